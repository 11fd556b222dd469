"""Dates as people and programs write them → ISO 8601."""

from __future__ import annotations

import re
from datetime import date

_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_TIME = r"(?:[T ]\d{1,2}:.*)?"
_NUMERIC = re.compile(rf"(?P<y>\d{{4}})(?:([-/.])(?P<m>\d{{1,2}})(?:\2(?P<d>\d{{1,2}}){_TIME})?)?")
_MONTH = r"(?P<m>[A-Za-z]{3,9})\.?"
_DAY = r"(?P<d>\d{1,2})(?:st|nd|rd|th)?"
_WORDED = [
    re.compile(rf"(?:[A-Za-z]+,? )?{_DAY} {_MONTH},? (?P<y>\d{{4}})"),
    re.compile(rf"(?:[A-Za-z]+,? )?{_MONTH} {_DAY},? (?P<y>\d{{4}})"),
    re.compile(rf"{_MONTH},? (?P<y>\d{{4}})"),
]


def iso_date(text: str | None) -> str | None:
    """``text`` as YYYY, YYYY-MM or YYYY-MM-DD; None where it is not surely a date.

    Day and month in figures without the year first ("09/10/2024") are not surely anything.
    """
    line = " ".join((text or "")[:100].split())
    for form in (_NUMERIC, *_WORDED):
        if found := form.fullmatch(line):
            return _checked(found.groupdict())
    return None


def _checked(parts: dict[str, str | None]) -> str | None:
    """The date of a year, month and day as written, or None where there is no such day."""
    year, month, day = (parts.get(part) for part in "ymd")
    try:
        found = date(int(year or 0), _month(month) if month else 1, int(day or 1))
    except ValueError:
        return None
    return found.isoformat()[: 10 if day else 7 if month else 4]


def _month(text: str) -> int:
    """The number of a month written in figures or in English, whole or cut short."""
    if text.isdigit():
        return int(text)
    full = next((month for month in _MONTHS if month.startswith(text.lower())), "")
    return _MONTHS.index(full) + 1
