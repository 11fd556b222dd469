from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.documents.dates import iso_date


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2024", "2024"),
        ("2024-09", "2024-09"),
        ("2024-9-7", "2024-09-07"),
        ("2024/09/27", "2024-09-27"),
        ("2024.09.27", "2024-09-27"),
        ("2024-09-27T23:30:00-05:00", "2024-09-27"),
        ("2024-09-27 08:00", "2024-09-27"),
        (" 27 September 2024\n", "2024-09-27"),
        ("27th Sept. 2024", "2024-09-27"),
        ("Friday, 27 September 2024", "2024-09-27"),
        ("September 27, 2024", "2024-09-27"),
        ("Sep 27 2024", "2024-09-27"),
        ("Friday, September 27, 2024", "2024-09-27"),
        ("September 2024", "2024-09"),
        ("29 February 2024", "2024-02-29"),
    ],
)
def test_dates_that_can_be_read(text: str, date: str) -> None:
    assert iso_date(text) == date


@pytest.mark.parametrize(
    "text",
    [
        *(None, "", "soon", "09/10/2024", "27.09.2024", "2024-13-01", "2023-02-29", "0000-01-01"),
        *("2024-09/27", "31 Juno 2024", "20240927", "2024 and later", "12345", "٢٠٢٤-٠٩-٢٧x"),
        "9" * 100_000,
    ],
)
def test_what_is_not_surely_a_date_is_none(text: str | None) -> None:
    assert iso_date(text) is None


@given(st.dates(min_value=dt.date(1000, 1, 1)), st.sampled_from(["%Y-%m-%d", "%Y/%m/%d"]))
def test_every_day_is_read(day: dt.date, form: str) -> None:
    assert iso_date(day.strftime(form)) == day.isoformat()


@given(st.text(max_size=40))
def test_any_text_is_a_date_or_none(text: str) -> None:
    date = iso_date(text)
    assert date is None or dt.date.fromisoformat(f"{date}-01-01"[:10])
