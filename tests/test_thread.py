"""Following up: what leans on a thread, what is carried over, and what it finds."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.answer import answer
from rag.encoder import SentenceEncoder
from rag.generation import Generation, open_generation
from rag.question import read_question
from rag.settings import Settings
from rag.thread import carry_over
from rag.types import Answer
from tests.encoders import WordEncoder

ROOT = Path(__file__).parent.parent
EAGER = Settings(threshold=0)
THREAD = ("How long is the Danube?", "The Danube is 2,850 kilometres long.")


@cache
def threads() -> list[dict[str, Any]]:
    lines = (ROOT / "tests" / "threads.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def said(thread: dict[str, Any]) -> list[str]:
    return [turn["text"] for turn in thread["thread"]]


@cache
def briefs() -> dict[str, str]:
    paths = (ROOT / "corpus").glob("*.md")
    return {path.name: path.read_bytes().decode() for path in paths}


@pytest.mark.parametrize(
    "question",
    ["Why?", "And in Syria?", "Who said that?", "How many of them are still there today now?",
     "But does the river Rhine flow through more countries?", "?"],
)  # fmt: skip
def test_a_question_that_leans_takes_the_last_two_turns(question: str) -> None:
    assert carry_over(question, ["Do bees dance?", "They do.", *THREAD]) == THREAD
    assert carry_over(question, [*THREAD, " \n"]) == THREAD
    assert carry_over(question, []) == ()


@pytest.mark.parametrize(
    "question",
    ["How many countries does the river Rhine flow through?",
     "Which American minister visited northern Kurdistan in 2019?"],
)  # fmt: skip
def test_a_question_that_stands_alone_takes_nothing(question: str) -> None:
    assert carry_over(question, THREAD) == ()


@given(question=st.text(), thread=st.lists(st.text()))
def test_only_what_was_said_is_carried_over(question: str, thread: list[str]) -> None:
    carried = carry_over(question, thread)
    assert list(carried) in ([], [turn for turn in thread if turn.strip()][-2:])


def test_what_is_carried_over_finds_what_the_question_alone_does_not(
    generation: Generation, words: WordEncoder
) -> None:
    alone = answer("And where does it rise?", generation, words, EAGER)
    followed = answer("And where does it rise?", generation, words, EAGER, thread=THREAD)
    assert followed.hits[0].passage.document == "rivers.md"
    assert followed.quotes[0].text.startswith("The Danube")
    assert alone.searched_for == ""
    assert followed.searched_for == "And where does it rise? (after “How long is the Danube?”)"
    assert followed.question == "And where does it rise?"


def test_a_question_that_stands_alone_is_asked_as_it_stands(
    generation: Generation, words: WordEncoder
) -> None:
    question = "How many thousand bees does one hive hold?"
    alone = answer(question, generation, words, EAGER)
    followed = answer(question, generation, words, EAGER, thread=THREAD)
    assert _essence(followed) == _essence(alone)


def test_the_question_weighs_more_than_what_is_carried_over(
    generation: Generation, words: WordEncoder
) -> None:
    read = read_question("Why do hives dance?", words, generation, THREAD)
    own = len(words.encode(["Why do hives dance?"])[0].tokens)
    assert read.weights.sum() == pytest.approx(1)
    assert read.weights[:own].sum() == pytest.approx(1 / 1.4)
    assert len(read.weights) == len(read.encoding.tokens) > own
    assert np.linalg.norm(read.encoding.vector) == pytest.approx(1)


def test_a_question_without_words_of_its_own_has_nothing_unsaid(
    generation: Generation, words: WordEncoder
) -> None:
    assert answer("Why so?", generation, words, EAGER).signals["said"] == 0
    assert answer("Why so?", generation, words, EAGER, thread=THREAD).signals["said"] == 1
    wordy = answer("Why so late?", generation, words, EAGER, thread=THREAD)
    assert wordy.signals["said"] == 0


def test_a_turn_of_any_length_is_carried_over(generation: Generation, words: WordEncoder) -> None:
    given = answer("Why?", generation, words, EAGER, thread=["the Danube " * 50_000])
    assert given.hits[0].passage.document == "rivers.md"
    assert len(given.searched_for) < 130


def test_there_are_enough_threads_and_each_id_is_unique() -> None:
    answerable = [thread for thread in threads() if thread["quotes"]]
    assert len(answerable) >= 40
    assert len({thread["id"] for thread in threads()}) == len(threads())
    for thread in threads():
        assert set(thread) == {"id", "question", "thread", "quotes", "kind"}
        assert (not thread["quotes"]) == (thread["kind"] == "silent"), thread["id"]


def test_an_answer_in_a_thread_is_made_of_quotations() -> None:
    for thread in threads():
        roles = [turn["role"] for turn in thread["thread"]]
        assert roles == ["user", "assistant"] * (len(roles) // 2), thread["id"]
        for turn in thread["thread"][1::2]:
            assert any(turn["text"] in text for text in briefs().values()), thread["id"]


def test_gold_spans_of_threads_are_slices_of_the_briefs() -> None:
    for thread in threads():
        for quote in thread["quotes"]:
            text = briefs()[quote["document"]]
            assert text[quote["start"] : quote["end"]] == quote["text"], thread["id"]


def test_follow_ups_about_the_briefs_find_more_than_the_bare_questions(
    shipped_index: Path, encoder: SentenceEncoder
) -> None:
    generation = open_generation(shipped_index)
    right = {False: 0, True: 0}
    for thread in threads():
        for carried in right:
            turns = said(thread) if carried else []
            given = answer(thread["question"], generation, encoder, EAGER, thread=turns)
            right[carried] += _quotes_first(given, thread)
    assert right[True] >= right[False] + 5
    assert right[True] >= 0.75 * sum(bool(thread["quotes"]) for thread in threads())


def _quotes_first(given: Answer, thread: dict[str, Any]) -> bool:
    shown = (given.quotes[0], *given.quotes[0].also_in)
    return any(
        quote.document.name == gold["document"]
        and quote.start <= gold["start"]
        and gold["end"] <= quote.end
        for quote in shown
        for gold in thread["quotes"]
    )


def _essence(given: Answer) -> tuple[Any, ...]:
    return given.quotes, given.confidence, given.hits, given.searched_for
