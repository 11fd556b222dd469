"""Whether several documents state the same date or figure in answer to a question."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields

_WHEN = re.compile(r"\b(when|(what|which) (year|date|day|month))\b", re.IGNORECASE)
_HOW_MANY = re.compile(
    r"\bhow (many|much)\b|\b(what|which) (number|share|percentage|amount|sum|figure)\b",
    re.IGNORECASE,
)

_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip
_MONTH = "|".join(rf"{name[:3]}(?:{name[3:]}|t)?" for name in _MONTHS)
_PART = (
    r"(?:(?P<end>late|(?:the )?end of)|(?P<middle>mid|(?:the )?middle of)"
    r"|(?P<start>early|(?:the )?(?:start|beginning) of|by|before))[ -]"
)
_DATE = re.compile(
    rf"\b(?:{_PART})?(?:(?:(?P<day>\d\d?)(?:st|nd|rd|th)? )?(?P<month>{_MONTH})\b\.?"
    rf"(?: (?P<late_day>\d\d?)(?:st|nd|rd|th)?\b)?(?:,? )?)?(?P<year>\b(?:1\d|20)\d\d\b)?",
    re.IGNORECASE,
)
# "… when it was announced in May": a date of something else than the sentence states.
_ASIDE = re.compile(r"\b(?:when|while|once)\b[^,;]*", re.IGNORECASE)
_SCALES = {"thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12}
_SMALL = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
]
_FIGURE = re.compile(
    rf"(?P<sign>[$€£])?\b(?P<digits>\d+(?:,\d{{3}})*(?:\.\d+)?|{'|'.join(_SMALL)})\b"
    rf"(?:[ -](?P<scale>{'|'.join(_SCALES)}))?(?P<percent> ?%| per ?cent\b)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Date:
    """A date as far as a text gives it. "By May" is its start, unlike "the end of May"."""

    year: int | None
    month: int | None
    day: int | None
    part: str | None  # "start", "middle" or "end" of the period

    def fits(self, other: Date) -> bool:
        """Whether both can be one date, the vaguer of them being true of the other."""
        if (self.year is None) != (other.year is None) and None in (self.day, other.day):
            return False
        pairs = ((getattr(self, f.name), getattr(other, f.name)) for f in fields(Date))
        return all(a == b or None in (a, b) for a, b in pairs)


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its unit of money or per cent."""

    number: float
    unit: str

    def fits(self, other: Figure) -> bool:
        return self == other


Value = Date | Figure


def wanted_values(question: str, text: str) -> frozenset[Value]:
    """The dates in ``text`` if the question asks when, the figures if it asks how many."""
    if _WHEN.search(question):
        return frozenset(_dates(text))
    if _HOW_MANY.search(question):
        return frozenset(_figures(text))
    return frozenset()


def agree(some: Iterable[Value], others: Iterable[Value]) -> bool | None:
    """Whether one of each can be the same; None where either states no value."""
    left, right = list(some), list(others)
    if not left or not right:
        return None
    return any(type(a) is type(b) and a.fits(b) for a in left for b in right)  # type: ignore[arg-type]


def _dates(text: str) -> Iterator[Date]:
    for found in _DATE.finditer(_ASIDE.sub("", " ".join(text.split()))):
        month, year = found["month"], found["year"]
        if month or year:
            day = found["day"] or found["late_day"]
            part = next((name for name in ("start", "middle", "end") if found[name]), None)
            yield Date(
                year=int(year) if year else None,
                month=_month_number(month) if month else None,
                day=int(day) if day else None,
                part=part,
            )


def _month_number(name: str) -> int:
    return next(n for n, month in enumerate(_MONTHS, 1) if month.startswith(name[:3].lower()))


def _figures(text: str) -> Iterator[Figure]:
    words = " ".join(text.split())
    dates = [found.span() for found in _DATE.finditer(words) if found.group().strip()]
    for found in _FIGURE.finditer(words):
        inside = any(start <= found.start() < end for start, end in dates)
        if inside and not found["sign"]:
            continue
        yield Figure(_number(found), "%" if found["percent"] else found["sign"] or "")


def _number(found: re.Match[str]) -> float:
    digits = found["digits"].lower()
    number = float(_SMALL.index(digits)) if digits in _SMALL else float(digits.replace(",", ""))
    return number * _SCALES.get((found["scale"] or "").lower(), 1)
