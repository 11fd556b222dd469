"""Plots as SVG text, without a plotting library; colours come from the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 440, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 14, 44
_PLOT_WIDTH = _WIDTH - _LEFT - _RIGHT
_PLOT_HEIGHT = _HEIGHT - _TOP - _BOTTOM
_BAR = 0.72  # of the room that a bar has


@dataclass(frozen=True, slots=True)
class Axis:
    """What an axis shows: from ``low`` to ``high``, ticks as (value, label)."""

    title: str
    low: float
    high: float
    ticks: Sequence[tuple[float, str]]

    def share(self, value: float) -> float:
        return (value - self.low) / ((self.high - self.low) or 1)


@dataclass(frozen=True, slots=True)
class Dot:
    """A point of a line that says ``label`` under the pointer."""

    x: float
    y: float
    label: str


def draw_line(
    points: Sequence[tuple[float, float]], x: Axis, y: Axis, dots: Sequence[Dot] = ()
) -> str:
    """Draw a line through the points, with dots on it."""
    path = " ".join(f"{_across(x, a):.1f},{_down(y, b):.1f}" for a, b in points)
    marks = "".join(
        f'<circle class="dot" cx="{_across(x, dot.x):.1f}" cy="{_down(y, dot.y):.1f}" r="4">'
        f"<title>{escape(dot.label)}</title></circle>"
        for dot in dots
    )
    return _frame(f'<polyline class="line" points="{path}"/>{marks}', x, y)


def draw_bars(bars: Sequence[tuple[str, int]], x_title: str, y_title: str) -> str:
    """Draw a bar for each (label, count), the count above it."""
    most = max((count for _, count in bars), default=0)
    x = Axis(x_title, 0, len(bars), [(i + 0.5, label) for i, (label, _) in enumerate(bars)])
    y = Axis(y_title, 0, most * 1.08, [(tick, f"{tick:,}") for tick in _round_ticks(most)])
    return _frame("".join(_bar(i, *bar, x, y) for i, bar in enumerate(bars)), x, y)


def _bar(number: int, label: str, count: int, x: Axis, y: Axis) -> str:
    left, right = (_across(x, number + 0.5 + side * _BAR / 2) for side in (-1, 1))
    top, bottom = _down(y, count), _down(y, 0)
    return (
        f'<rect class="bar" x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" '
        f'height="{bottom - top:.1f}"><title>{escape(label)}: {count:,}</title></rect>'
        f'<text class="count" x="{(left + right) / 2:.1f}" y="{top - 4:.1f}">{count:,}</text>'
    )


def _round_ticks(most: int) -> list[int]:
    """At most six round numbers from 0 to at most ``most``."""
    return list(range(0, most + 1, max(int(round_step(most / 5)), 1)))


def round_step(least: float) -> float:
    """The least of …, 1, 2, 5, 10, … that is not under ``least``."""
    if least <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least)


def _frame(inside: str, x: Axis, y: Axis) -> str:
    name = escape(f"{y.title} against {x.title}")
    middle, centre = _LEFT + _PLOT_WIDTH / 2, _TOP + _PLOT_HEIGHT / 2
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{name}">'
        f"{''.join(_y_tick(y, *tick) for tick in y.ticks)}"
        f"{''.join(_x_tick(x, *tick) for tick in x.ticks)}"
        f'<text class="axis" x="{middle}" y="{_HEIGHT - 6}">{escape(x.title)}</text>'
        f'<text class="axis" transform="translate(13 {centre}) rotate(-90)">'
        f"{escape(y.title)}</text>{inside}</svg>"
    )


def _x_tick(axis: Axis, value: float, label: str) -> str:
    place = f'x="{_across(axis, value):.1f}" y="{_TOP + _PLOT_HEIGHT + 16}"'
    return f'<text class="tick" {place}>{escape(label)}</text>'


def _y_tick(axis: Axis, value: float, label: str) -> str:
    y = _down(axis, value)
    return (
        f'<line class="grid" x1="{_LEFT}" x2="{_LEFT + _PLOT_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="tick end" x="{_LEFT - 6}" y="{y + 4:.1f}">{escape(label)}</text>'
    )


def _across(axis: Axis, value: float) -> float:
    return _LEFT + _PLOT_WIDTH * axis.share(value)


def _down(axis: Axis, value: float) -> float:
    return _TOP + _PLOT_HEIGHT * (1 - axis.share(value))
