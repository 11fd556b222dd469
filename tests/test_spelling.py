"""Typing errors: what is corrected, what never is, and that a copy of a set is made by its seed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.answer import answer
from rag.encoder import SentenceEncoder
from rag.generation import Generation, open_generation
from rag.lexical import Lexical, write_lexical
from rag.settings import Settings
from rag.spelling import correct_spelling
from tests.benchmarks.perturb import HOW, mistype

EAGER = Settings(threshold=0)
PASSAGES = [
    (0, "a.md", "The government of Kirkuk, the governor and the government’s soldiers."),
    (1, "b.md", "A café in Kirkuk was harmed; soldiers and a soldier harassed it."),
    (2, "c.md", "Governor Blinken attended a ceremony. The governor's guests were seen."),
]


@pytest.fixture(scope="module")
def lexical(tmp_path_factory: pytest.TempPathFactory) -> Lexical:
    folder = tmp_path_factory.mktemp("spelling") / "lexical"
    write_lexical(folder, PASSAGES)
    return Lexical(folder)


@pytest.fixture(scope="module")
def shipped(shipped_index: Path) -> Generation:
    return open_generation(shipped_index)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("Who is Blinkin?", "Who is Blinken?"),
        ("the goverment of kirkkuk", "the government of kirkuk"),
        ("the Goverment's soldires", "the Government's soldiers"),
        ("hwo and WHere, whta or thier", "hwo and WHere, what or their"),
        ("two errors in ceremmmony", "two errors in ceremmmony"),
    ],
)
def test_a_typing_error_is_corrected(
    typed: str, meant: str, lexical: Lexical, encoder: SentenceEncoder
) -> None:
    assert correct_spelling(typed, encoder, lexical) == meant


@pytest.mark.parametrize(
    "question",
    [
        "Is KIRKUT a city?",  # all capitals: a name of its own
        "Did governments harm soldiers?",  # another form of a word that is there
        "Is the armed guard there?",  # one the model knows whole
        "Is a cafe open?",  # without its accent
        "Kirkuk2 or 2024?",
        "Кирккук?",
        "何人の兵士がいますか",
        "",
    ],
)
def test_a_word_that_may_be_meant_is_left(
    question: str, lexical: Lexical, encoder: SentenceEncoder
) -> None:
    assert correct_spelling(question, encoder, lexical) == question


def test_swapped_letters_come_before_the_same_first_letter(
    tmp_path: Path, encoder: SentenceEncoder
) -> None:
    passages = [(0, "a.md", "Heat, heat."), (1, "b.md", "A seabird."), (2, "c.md", "X")]
    write_lexical(tmp_path / "l", passages)
    assert correct_spelling("hwat is a saebird", encoder, Lexical(tmp_path / "l")) == (
        "what is a seabird"
    )


@given(question=st.text(max_size=80))
def test_any_text_can_be_read(question: str, lexical: Lexical, encoder: SentenceEncoder) -> None:
    corrected = correct_spelling(question, encoder, lexical)
    assert abs(len(corrected) - len(question)) <= len(question.split())


def test_an_answer_says_what_was_searched_for(
    shipped: Generation, encoder: SentenceEncoder
) -> None:
    typed = "How many Amercian soldeirs are in Iraq?"
    given = answer(typed, shipped, encoder, EAGER)
    assert given.question == typed
    assert given.searched_for == "How many American soldiers are in Iraq?"
    assert "2,500" in given.quotes[0].text
    assert answer(given.searched_for, shipped, encoder, EAGER).searched_for == ""


def test_a_question_can_be_asked_as_written(shipped: Generation, encoder: SentenceEncoder) -> None:
    typed, thread = "And the soldeirs?", ["When does the mission end?"]
    understood = answer(typed, shipped, encoder, EAGER, thread=thread)
    written = answer(typed, shipped, encoder, EAGER, thread=thread, as_written=True)
    assert understood.searched_for == "And the soldiers? (after “When does the mission end?”)"
    assert written.searched_for == ""
    assert written.hits != understood.hits


@given(question=st.text(), seed=st.integers())
def test_a_perturbed_question_is_made_by_its_seed(question: str, seed: int) -> None:
    for change in HOW.values():
        once, again = (change(question, random.Random(seed)) for _ in range(2))  # noqa: S311
        assert once == again


@given(seed=st.integers())
def test_one_typing_error_is_made(seed: int) -> None:
    question = "When does the mission in Iraq end?"
    typed = mistype(question, random.Random(seed))  # noqa: S311
    assert typed != question
    assert abs(len(typed) - len(question)) <= 1


def test_capitals_throughout_make_no_word_a_name(
    shipped: Generation, encoder: SentenceEncoder
) -> None:
    question = "How many people vanished from Kirkuk?"
    quiet, shouted = (
        answer(typed, shipped, encoder, EAGER).signals for typed in (question, question.upper())
    )
    assert shouted["unsaid_names"] == 0
    dated = answer("WHEN WAS PARIS TAKEN IN 1871?", shipped, encoder, EAGER).signals
    assert dated["unsaid_numbers"] > dated["unsaid_names"] == 0
    assert shouted["said"] == pytest.approx(quiet["said"])
