from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rag.duplicates import group_alike, sign

REPORT = " ".join(f"word{number}" for number in range(500))


@given(st.lists(st.text(max_size=60), max_size=8))
def test_each_text_is_with_the_first_that_has_the_same_words(texts: list[str]) -> None:
    groups = group_alike([sign(text) for text in texts])
    assert len(groups) == len(texts)
    for place, group in enumerate(groups):
        assert group <= place
        assert groups[group] == group
        assert group == groups[texts.index(texts[place])] or not sign(texts[place])


def test_a_few_other_words_leave_texts_alike_and_many_do_not() -> None:
    half = " ".join(REPORT.split()[:250]) + " " + " ".join(f"other{n}" for n in range(250))
    texts = [REPORT, "Our copy: " + REPORT + " END", half, "bees dance"]
    assert group_alike([sign(text) for text in texts]) == [0, 0, 2, 3]


def test_texts_without_words_are_alike_to_none() -> None:
    assert group_alike([sign(""), sign("…"), sign("")]) == [0, 1, 2]
