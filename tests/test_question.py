from __future__ import annotations

import numpy as np
import pytest

from rag.generation import Generation
from rag.question import Question, read_question
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
