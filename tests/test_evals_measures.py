"""Every measure of one question against values worked out by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.evals.measures import (
    DOCUMENT_DEPTHS,
    measure_documents,
    measure_quotes,
    measure_retrieval,
    rank_of_gold,
)
from rag.evals.spans import Place, Words

# Ten sentences of ten characters each, "word word." with no white space between them.
TEXT = "word word." * 10


def text_of(_name: str) -> str:
    return TEXT


def words_of(_name: str) -> Words:
    return Words(TEXT.replace(".", " "))


def sentence(number: int, document: str = "a") -> Place:
    return Place(document, 10 * number, 10 * number + 10)


def test_retrieval_by_hand() -> None:
    gold = [sentence(2), sentence(5)]
    passages = [sentence(0), sentence(5, "b"), sentence(2), sentence(9), sentence(8), sentence(5)]
    values = measure_retrieval(gold, passages, text_of)
    assert values["recall@1"] == 0
    assert values["recall@3"] == 10 / 20
    assert values["recall@5"] == 10 / 20
    assert values["recall@10"] == 1
    assert values["precision@5"] == 10 / 50
    assert values["iou@5"] == 10 / (20 + 50 - 10)
    assert (values["hit@1"], values["hit@5"], values["hit@10"]) == (0, 1, 1)
    assert values["mrr@10"] == 1 / 3


def test_a_span_over_two_passages_is_whole_once_both_are_there() -> None:
    gold = [Place("a", 15, 25)]
    passages = [sentence(7), sentence(2), sentence(1)]
    assert rank_of_gold(gold, passages[:2], text_of) is None
    assert rank_of_gold(gold, passages, text_of) == 3
    values = measure_retrieval(gold, passages, text_of)
    assert (values["recall@2"], values["recall@3"]) == (0.5, 1)
    assert values["mrr@10"] == 1 / 3


def test_beyond_ten_there_is_no_reciprocal_rank() -> None:
    passages = [sentence(n, "b") for n in range(10)] + [sentence(0)]
    values = measure_retrieval([sentence(0)], passages, text_of)
    assert values["mrr@10"] == values["hit@10"] == 0
    assert rank_of_gold([sentence(0)], passages, text_of) == 11


def test_quotes_by_hand() -> None:
    gold = [Place("a", 20, 24), Place("a", 50, 60)]  # one word, then a sentence of two words
    quotes = [[Place("a", 0, 10)], [Place("a", 20, 30)]]
    values = measure_quotes(gold, quotes, text_of, words_of)
    assert (values["quote_hit@1"], values["quote_hit@3"]) == (0, 1)
    assert values["quote_iou@1"] == 0
    assert values["quote_iou"] == 4 / (14 + 20 - 4)
    assert (values["words_shown"], values["words_right"], values["words_gold"]) == (4, 1, 3)


def test_a_quote_that_covers_gold_in_part_is_no_hit() -> None:
    values = measure_quotes([Place("a", 5, 15)], [[sentence(0)], [sentence(1)]], text_of, words_of)
    assert values["quote_hit@3"] == 0
    assert values["quote_iou"] == 10 / 20


def test_the_same_words_in_several_documents_are_shown_once() -> None:
    quote = [sentence(3, "b"), sentence(3, "a"), sentence(3, "c")]
    values = measure_quotes([sentence(3)], [quote], text_of, words_of)
    assert values["quote_hit@1"] == values["quote_iou@1"] == values["quote_iou"] == 1
    assert values["words_shown"] == 2
    wrong = measure_quotes([sentence(4)], [quote], text_of, words_of)
    assert wrong["quote_iou"] == 0
    assert wrong["words_shown"] == 2


def test_nothing_shown_is_zero_everywhere() -> None:
    retrieval = measure_retrieval([sentence(0)], [], text_of)
    quotes = measure_quotes([sentence(0)], [], text_of, words_of)
    assert quotes.pop("words_gold") == 2
    assert not any((*retrieval.values(), *quotes.values()))


def test_ndcg_by_hand() -> None:
    grades = {"a": 1, "b": 2, "z": 0}
    values = measure_documents(grades, ["z", "a", "c", "b"])
    gain = 1 / math.log2(3) + 2 / math.log2(5)
    assert values["ndcg@10"] == pytest.approx(gain / (2 + 1 / math.log2(3)))
    assert values["recall@2"] == 0.5
    assert values["recall@4"] == 1


def test_a_document_beyond_the_depth_does_not_count() -> None:
    values = measure_documents({"a": 1}, [*(f"x{n}" for n in range(10)), "a"])
    assert (values["ndcg@10"], values["recall@10"], values["recall@100"]) == (0, 0, 1)


def test_an_empty_ranking_is_zero_everywhere() -> None:
    values = measure_documents({"a": 1}, [])
    assert set(values.values()) == {0.0}
    assert set(values) == {"ndcg@10"} | {f"recall@{k}" for k in DOCUMENT_DEPTHS}


numbers = st.lists(st.integers(0, 9), unique=True, max_size=10)


@given(gold=numbers.filter(bool), ranked=numbers)
def test_bounds_and_order(gold: list[int], ranked: list[int]) -> None:
    values = measure_retrieval([sentence(n) for n in gold], [sentence(n) for n in ranked], text_of)
    assert all(0 <= value <= 1 for value in values.values())
    assert values["recall@1"] <= values["recall@5"] <= values["recall@10"]
    assert values["hit@1"] <= values["hit@5"] <= values["hit@10"]
    assert values["recall@10"] == pytest.approx(len(set(gold) & set(ranked)) / len(gold))


@given(gold=numbers.filter(bool))
def test_gold_first_is_perfect(gold: list[int]) -> None:
    places = [sentence(n) for n in gold]
    values = measure_retrieval(places, places, text_of)
    assert values["recall@10"] == values["mrr@10"] == values["hit@1"] == 1
    quotes = measure_quotes(places, [places], text_of, words_of)
    assert quotes["quote_hit@1"] == quotes["quote_iou"] == quotes["quote_iou@1"] == 1
    assert quotes["words_right"] == quotes["words_shown"] == quotes["words_gold"]


@given(gold=numbers.filter(bool), ranked=numbers, where=st.integers(0, 9))
def test_a_passage_of_no_use_never_helps(gold: list[int], ranked: list[int], where: int) -> None:
    places = [sentence(n) for n in ranked]
    worse = [*places[:where], Place("b", 0, 10), *places[where:]]
    before = measure_retrieval([sentence(n) for n in gold], places, text_of)
    after = measure_retrieval([sentence(n) for n in gold], worse, text_of)
    for name in ("recall@1", "recall@5", "hit@1", "hit@5", "mrr@10"):
        assert after[name] <= before[name]
