from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.agreement import Date, Figure, agree, wanted_values

WHEN = "When does it end?"
HOW_MANY = "How many soldiers are there?"


@pytest.mark.parametrize(
    ("text", "dates"),
    [
        ("It ends in 2025.", {Date(2025, None, None, None)}),
        ("It ends on 27 September 2024.", {Date(2024, 9, 27, None)}),
        ("On Sept. 27, 2024 it ended.", {Date(2024, 9, 27, None)}),
        ("On March 3rd it ended.", {Date(None, 3, 3, None)}),
        ("no later than the end of September 2025", {Date(2025, 9, None, "end")}),
        ("by September 2025", {Date(2025, 9, None, "start")}),
        ("by the end of September\n2025", {Date(2025, 9, None, "end")}),
        ("in early September", {Date(None, 9, None, "start")}),
        ("in late 2017", {Date(2017, None, None, "end")}),
        ("from mid-May to June 1999", {Date(None, 5, None, "middle"), Date(1999, 6, None, None)}),
        ("When it was announced in May 2024, they had met in 2019", {Date(2019, None, None, None)}),
        ("they had met in 2019 when it was announced in May", {Date(2019, None, None, None)}),
        ("2,500 marches were decided by 12 augurs", set()),
    ],
)  # fmt: skip
def test_dates_are_read(text: str, dates: set[Date]) -> None:
    assert wanted_values(WHEN, text) == dates


@pytest.mark.parametrize(
    ("text", "figures"),
    [
        ("About 2,500 soldiers", {Figure(2500, "")}),
        ("$148 million, or 3.5 %", {Figure(148e6, "$"), Figure(3.5, "%")}),
        ("two phases until September 2025", {Figure(2, "")}),
        ("from 12 to 87 countries", {Figure(12, ""), Figure(87, "")}),
        ("since 27 September 2024, two thousand came", {Figure(2000, "")}),
        ("nobody came", set()),
    ],
)
def test_figures_are_read(text: str, figures: set[Figure]) -> None:
    assert wanted_values(HOW_MANY, text) == figures


def test_a_question_that_asks_for_no_value_has_none() -> None:
    assert wanted_values("Why did it end in 2025?", "It ended in 2025.") == frozenset()


@pytest.mark.parametrize(
    ("question", "one", "other", "expected"),
    [
        (WHEN, "by September 2025", "no later than the end of September 2025", False),
        (WHEN, "in 2025", "on 3 May 2025", True),
        (WHEN, "in 2025", "in 2026", False),
        (WHEN, "announced on 27 September, it ends in May 2025", "ends in May 2025", True),
        (WHEN, "on 27 September", "in September 2025", False),
        (WHEN, "soon", "in 2026", None),
        (HOW_MANY, "2,500 of them", "about 2500 soldiers", True),
        (HOW_MANY, "$2 million", "2 million", False),
        (HOW_MANY, "900 soldiers", "about 2,500 soldiers", False),
    ],
)
def test_agreement(question: str, one: str, other: str, expected: bool | None) -> None:
    assert agree(wanted_values(question, one), wanted_values(question, other)) is expected


@given(st.text(), st.text())
def test_agreement_is_symmetric_and_any_text_can_be_read(one: str, other: str) -> None:
    for question in (WHEN, HOW_MANY):
        a, b = wanted_values(question, one), wanted_values(question, other)
        assert agree(a, b) is agree(b, a)
        assert agree(a, a) is (True if a else None)
