from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from rag.render import answer_lines, answer_object, passage_line, printable
from rag.types import Answer, Document, Hit, Passage, Quote, Sentence

TEXT = "Bees dance.\r\nHoney never spoils."
BEES = Document("bees.txt", TEXT, "On bees", "0" * 64, date="2020-01-02")
PAPER = Document("p.pdf", TEXT, "A paper", "1" * 64, pages=(0, 13))
HIT = Hit(4, Passage("bees.txt", (Sentence(0, 11), Sentence(13, 32))), 0.51234567, 0.4, 2.0)
ANSWER = Answer(
    question="Does honey spoil?",
    quotes=(Quote(BEES, 13, 32, 0.8, also_in=(Quote(PAPER, 13, 32, 0.7),)),),
    confidence=0.91239,
    signals={},
    hits=(HIT,),
    stages={"encode": 0.25, "quote": 0.5},
    agreeing=("bees.txt", "p.pdf"),
)
REFUSAL = Answer("Why?", (), 0.1, {}, (HIT,), {"encode": 0.0})


def test_an_answer_is_an_object_of_the_contract() -> None:
    assert json.loads(json.dumps(answer_object(ANSWER))) == {
        "question": "Does honey spoil?",
        "answered": True,
        "confidence": 0.9124,
        "seconds": 0.75,
        "agreeing": ["bees.txt", "p.pdf"],
        "differ": False,
        "quotes": [
            {
                "document": "bees.txt",
                "title": "On bees",
                "page": None,
                "start": 13,
                "end": 32,
                "text": "Honey never spoils.",
                "score": 0.8,
                "also_in": [{"document": "p.pdf", "start": 13, "end": 32}],
            }
        ],
        "passages": [{"document": "bees.txt", "start": 0, "end": 32, "score": 0.5123}],
    }


def test_what_is_not_answered_is_named() -> None:
    part = replace(ANSWER, unanswered=("Why do bees \x1bdance?",))
    assert answer_object(part)["unanswered"] == ["Why do bees \x1bdance?"]
    lines = list(answer_lines(part, []))
    assert "The documents do not answer: Why do bees <U+001B>dance?\n" in lines


def test_a_refusal_keeps_its_confidence_and_passages() -> None:
    refusal = answer_object(REFUSAL)
    assert (refusal["answered"], refusal["quotes"], refusal["confidence"]) == (False, [], 0.1)
    assert len(refusal["passages"]) == 1


def test_a_terminal_shows_quotes_then_their_places() -> None:
    assert list(answer_lines(ANSWER, [])) == [
        "2 documents say so:\n",
        "“Honey never spoils.” [1]\n",
        "[1] On bees (2020-01-02), bees.txt, line 2",
        "    also in A paper, p.pdf, page 2",
    ]


def test_a_terminal_says_that_sources_differ() -> None:
    differing = replace(ANSWER, agreeing=("bees.txt",), differ=True)
    assert next(answer_lines(differing, [])) == "The sources differ:\n"
    alone = replace(differing, differ=False)
    assert next(answer_lines(alone, [])).startswith("“")


def test_a_terminal_shows_what_is_nearest_to_a_refused_question() -> None:
    assert list(answer_lines(REFUSAL, [(HIT, BEES)])) == [
        "The documents do not answer this.",
        "The nearest passages:",
        "\nbees.txt, line 1: Bees dance. Honey never spoils.",
    ]


def test_a_document_cannot_steer_the_terminal() -> None:
    hostile = Document("a\x1b[2J.txt", "\x1b]0;owned\x07 \u202eevil", "t", "0" * 64)
    hit = Hit(0, Passage(hostile.name, (Sentence(0, len(hostile.text)),)), 1, 1, 1)
    line = passage_line(hit, hostile)
    assert line == "a<U+001B>[2J.txt, line 1: <U+001B>]0;owned<U+0007> <U+202E>evil"


@given(st.text())
def test_printable_text_has_nothing_to_obey(text: str) -> None:
    assert all(c in "\n\t\u200c\u200d" or c.isprintable() or c.isspace() for c in printable(text))


@given(st.text(st.characters(categories=["L", "M", "N", "P", "S", "Zs"])))
def test_harmless_text_is_printed_as_it_is(text: str) -> None:
    assert printable(text) == text
