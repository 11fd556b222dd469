from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.answer import MAX_QUESTION, answer
from rag.build import build_index
from rag.encoder import SentenceEncoder
from rag.errors import QuestionError
from rag.generation import Generation, open_generation
from rag.settings import Settings
from rag.types import Answer, Scope
from tests.encoders import WordEncoder

EAGER = Settings(threshold=0)


@pytest.fixture(scope="module")
def shipped(shipped_index: Path) -> Generation:
    return open_generation(shipped_index)


def check_invariants(given: Answer, generation: Generation, most: int) -> None:
    assert len(given.quotes) <= most
    assert 0 <= given.confidence <= 1
    spans = [(q.document.name, q.start, q.end) for q in given.quotes]
    assert len(set(spans)) == len(spans)
    for quote in (q for shown in given.quotes for q in (shown, *shown.also_in)):
        stored = generation.document(quote.document.name).text
        assert stored[quote.start : quote.end] == quote.text
        assert quote.text == quote.text.strip() != ""


@given(question=st.text(min_size=1, max_size=200).filter(str.strip))
@settings(max_examples=60)
def test_whatever_is_asked_every_quote_is_a_slice(
    question: str, shipped: Generation, encoder: SentenceEncoder
) -> None:
    check_invariants(answer(question, shipped, encoder, EAGER), shipped, EAGER.max_quotes)


def test_a_fact_is_quoted(shipped: Generation, encoder: SentenceEncoder) -> None:
    given = answer("How many American soldiers are in Iraq?", shipped, encoder, Settings())
    assert "2,500" in given.quotes[0].text


def test_what_the_documents_do_not_say_is_refused(
    shipped: Generation, encoder: SentenceEncoder
) -> None:
    given = answer("What is the boiling point of mercury?", shipped, encoder, Settings())
    assert not given.answered
    assert given.hits


@pytest.mark.parametrize("question", ["何人の兵士がいますか", "Сколько солдат?", "🍯🍯🍯", "?!"])
def test_a_question_in_another_script_is_refused(
    shipped: Generation, encoder: SentenceEncoder, question: str
) -> None:
    assert not answer(question, shipped, encoder, Settings()).answered


def test_the_same_words_in_two_documents_are_shown_once(
    generation: Generation, words: WordEncoder
) -> None:
    given = answer("honey never spoils", generation, words, EAGER)
    assert given.quotes[0].text == "Honey never spoils."
    assert [q.text for q in given.quotes].count("Honey never spoils.") == 1
    [other] = given.quotes[0].also_in
    assert {given.quotes[0].document.name, other.document.name} == {"bees.txt", "sub/honey.txt"}


def test_adjoining_sentences_are_one_quote(tmp_path: Path, words: WordEncoder) -> None:
    corpus = tmp_path / "c"
    corpus.mkdir()
    (corpus / "a.txt").write_text("Storks nest here.\r\nStorks nest there. Frogs sing.")
    build_index(corpus, tmp_path / "i", words, Settings())
    given = answer("storks nest", open_generation(tmp_path / "i"), words, EAGER)
    assert given.quotes[0].text == "Storks nest here.\r\nStorks nest there."


def test_several_questions_in_one_are_each_answered(
    shipped: Generation, encoder: SentenceEncoder
) -> None:
    question = "Who is the Iraqi defence minister, and what will the $148 million pay for?"
    given = answer(question, shipped, encoder, Settings())
    assert [[w in q.text for w in ("Abbassi", "$148")] for q in given.quotes[:2]] == [
        [True, False],
        [False, True],
    ]
    assert given.searched_for == (
        "Who is the Iraqi defence minister · what will the $148 million pay for?"
    )
    check_invariants(given, shipped, 3)
    whole = answer(question, shipped, encoder, Settings(), as_written=True)
    assert whole.searched_for == ""


def test_what_is_not_answered_of_several_questions_is_named(
    shipped: Generation, encoder: SentenceEncoder
) -> None:
    question = "Who is the Iraqi defence minister? What is the boiling point of mercury?"
    given = answer(question, shipped, encoder, Settings())
    assert "Abbassi" in given.quotes[0].text
    assert given.unanswered == ("What is the boiling point of mercury?",)
    both = "What is the boiling point of mercury? How deep is the Danube?"
    refusal = answer(both, shipped, encoder, Settings())
    assert not refusal.answered
    assert refusal.unanswered == ()


def test_documents_restrict_the_answer(generation: Generation, words: WordEncoder) -> None:
    given = answer("honey never spoils", generation, words, EAGER, Scope(("sub/honey.txt",)))
    assert {q.document.name for q in given.quotes} == {"sub/honey.txt"}
    assert given.quotes[0].also_in == ()


@pytest.mark.parametrize(
    ("question", "documents", "complaint"),
    [
        ("", (), "empty"),
        (" \n\t", (), "empty"),
        ("Who is \ud800?", (), "half of a character"),
        ("honey", ("\ud800",), "no document called"),
        ("x" * 100_000, (), "100,000 characters: ask it in 1,000 or fewer"),
        ("honey", ("nowhere.md",), "no document called nowhere.md"),
    ],
)
def test_what_cannot_be_asked(
    generation: Generation,
    words: WordEncoder,
    question: str,
    documents: tuple[str, ...],
    complaint: str,
) -> None:
    with pytest.raises(QuestionError, match=complaint):
        answer(question, generation, words, EAGER, Scope(documents))


def test_the_longest_question_is_answered(generation: Generation, words: WordEncoder) -> None:
    question = ("honey never spoils " * 100)[:MAX_QUESTION]
    check_invariants(answer(question, generation, words, EAGER), generation, 3)


def test_the_stages_add_up(generation: Generation, words: WordEncoder) -> None:
    given = answer("honey", generation, words, EAGER)
    assert list(given.stages) == ["encode", "retrieve", "rerank", "quote"]
    assert given.seconds == sum(given.stages.values())
