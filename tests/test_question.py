from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.generation import Generation
from rag.question import Question, read_question, split_question
from tests.encoders import WordEncoder


def weigh(question: Question) -> dict[str, float]:
    """The weight of each word of a question that is one token."""
    return dict(zip([word.text for word in question.words], question.weights, strict=True))


def test_rare_words_weigh_more(generation: Generation, words: WordEncoder) -> None:
    weights = weigh(read_question("honey Danube zebra", words, generation))
    assert weights["honey"] < weights["Danube"] < weights["zebra"]


def test_a_stop_word_weighs_half_of_what_its_rarity_gives(
    generation: Generation, words: WordEncoder
) -> None:
    read = read_question("whose zebra", words, generation)
    assert read.rarity[0] == read.rarity[1]  # neither is in the index
    assert weigh(read)["whose"] * 2 == pytest.approx(weigh(read)["zebra"])


@pytest.mark.parametrize("text", ["honey", "the of", "?!", "日本語 honey", "a" * 900])
def test_weights_sum_to_one(text: str, generation: Generation, words: WordEncoder) -> None:
    weights = read_question(text, words, generation).weights
    assert np.isfinite(weights).all()
    assert weights.sum() == pytest.approx(1 if len(weights) else 0)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Who won? How long was the race?", ["Who won?", "How long was the race?"]),
        ("who won and how long was the race", ["who won", "how long was the race"]),
        ("Who won, and in which year was the race?", ["Who won", "in which year was the race?"]),
        ("Is honey sweet and is the hive full?", ["Is honey sweet", "is the hive full?"]),
        ("Who won? Why Rome? Why Bonn? How?", ["Who won?", "Why Rome?", "Why Bonn? How?"]),
    ],
)  # fmt: skip
def test_several_questions_in_one_are_told_apart(text: str, parts: list[str]) -> None:
    assert split_question(text, 3) == parts


@pytest.mark.parametrize("most", [1, 2, 3])
def test_no_more_questions_are_told_apart_than_may_be(most: int) -> None:
    parts = split_question("Who won? Why Rome? Why Bonn? How long was the race?", most)
    assert len(parts) == most


@pytest.mark.parametrize(
    "text",
    [
        "Who won, and was it close?",  # about one thing
        "When and where was Napoleon born?",
        "Who said that and why?",
        "What was built in 1920 and was later burned?",
        "In the race, who won?",
        "He won. Who lost?",
        "Bread and butter: what goes with them?",
        "?!",
    ],
)
def test_one_question_is_not_taken_apart(text: str) -> None:
    assert split_question(text, 3) == [text]


@given(st.lists(st.sampled_from(["who won", "and", "?", " ", "how long was the race", ","])))
def test_parts_stand_in_the_question_in_order(pieces: list[str]) -> None:
    text = " ".join(pieces)
    end = 0
    for part in split_question(text, 3):
        end = text.index(part, end) + len(part)


def test_a_part_is_read_in_the_light_of_the_whole(
    generation: Generation, words: WordEncoder
) -> None:
    part = read_question("Where do bees dance?", words, generation, whole="Danube, hive, honey?")
    assert {"danub", "hive", "honey"} <= set(part.carried)
    assert part.understood == "Where do bees dance?"
