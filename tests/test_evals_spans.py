from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rag.evals.spans import Place, Words, merge, overlap_characters, overlap_words, trim

TEXT = "The Danube is long.\n\nIt flows east.  Bees dance."


def text_of(_name: str) -> str:
    return TEXT


def words_of(_name: str) -> Words:
    return Words(TEXT)


places = st.builds(
    lambda name, start, length: Place(name, start, min(start + length, len(TEXT))),
    st.sampled_from(["a", "b"]),
    st.integers(0, len(TEXT) - 1),
    st.integers(1, 20),
)
lists = st.lists(places, max_size=6)


def characters(shown: list[Place]) -> set[tuple[str, int]]:
    return {(p.document, at) for p in shown for at in range(p.start, p.end)}


def test_white_space_between_two_places_belongs_to_both() -> None:
    first, second = Place("a", 0, 19), Place("a", 21, 35)
    assert merge([second, first], text_of) == [Place("a", 0, 35)]
    assert merge([first, Place("b", 21, 35)], text_of) == [first, Place("b", 21, 35)]
    assert merge([Place("a", 0, 10), Place("a", 14, 19)], text_of)[0] == Place("a", 0, 10)


def test_trim_leaves_white_space_out() -> None:
    assert trim(Place("a", 19, 36), TEXT) == Place("a", 21, 35)


def test_the_shares_of_an_overlap_by_hand() -> None:
    found = overlap_characters([Place("a", 0, 10)], [Place("a", 4, 16)], text_of)
    assert (found.both, found.gold, found.shown) == (6, 10, 12)
    assert found.recall == 6 / 10
    assert found.precision == 6 / 12
    assert found.iou == 6 / 16


def test_words_count_where_they_stand_and_when_cut() -> None:
    gold = [Place("a", 4, 10)]  # Danube
    found = overlap_words(gold, [Place("a", 0, 8)], words_of)  # The Danu
    assert (found.both, found.gold, found.shown) == (1, 1, 2)
    assert overlap_words(gold, [Place("b", 0, 19)], words_of).both == 0


def test_a_word_ends_where_its_span_ends() -> None:
    assert list(Words("one two").within(3, 4)) == []
    assert list(Words("one two").within(2, 5)) == [0, 1]


@given(gold=lists, shown=lists)
def test_overlap_is_set_arithmetic_but_for_white_space(
    gold: list[Place], shown: list[Place]
) -> None:
    found = overlap_characters(gold, shown, text_of)
    wanted = len(characters(gold) & characters(shown))
    white = sum(map(str.isspace, TEXT)) * 2
    assert wanted <= found.both <= wanted + white
    assert len(characters(gold)) <= found.gold <= len(characters(gold)) + white
    for value in (found.recall, found.precision, found.iou):
        assert 0 <= value <= 1
    assert found.iou <= min(found.recall, found.precision)


@given(gold=lists.filter(bool))
def test_what_is_shown_whole_is_perfect(gold: list[Place]) -> None:
    found = overlap_characters(gold, gold, text_of)
    assert (found.recall, found.precision, found.iou) == (1, 1, 1)


@given(gold=lists, shown=lists, seed=st.randoms(use_true_random=False))
def test_the_order_and_the_cutting_of_places_do_not_matter(
    gold: list[Place], shown: list[Place], seed: object
) -> None:
    halves = [
        half
        for p in shown
        for half in (Place(p.document, p.start, p.start + 1), Place(p.document, p.start, p.end))
    ]
    seed.shuffle(halves)  # type: ignore[attr-defined]
    assert overlap_characters(gold, halves, text_of) == overlap_characters(gold, shown, text_of)
    assert overlap_words(gold, halves, words_of) == overlap_words(gold, shown, words_of)
