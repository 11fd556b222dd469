"""How the figures of an index grow with the number of its passages, as one SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rag.evals.plots import Axis, Dot, draw_line

_STYLE = (
    "svg{background:#fff;font:12px sans-serif}.line{fill:none;stroke:#2b5fa4;stroke-width:2}"
    ".dot{fill:#2b5fa4}.grid{stroke:#ddd}text{fill:#444;text-anchor:middle}"
    ".tick.end{text-anchor:end}"
)
_WIDTH, _HEIGHT = 440, 260  # of one plot
_COLUMNS = 2
_ROOM = 0.2  # beside and above the largest, as a share of a power of ten


@dataclass(frozen=True, slots=True)
class Growth:
    """The figures of an index of one size."""

    passages: int
    full: float  # seconds of a build without the model
    nothing: float  # seconds where nothing changed
    one: float  # seconds where one document changed
    answer: float  # milliseconds, p50
    question: float  # milliseconds in which the rival encodes a question
    disk: float  # MB
    peak: float  # GiB of memory while building


_PLOTS = (
    ("full", "full build without the model, s"),
    ("one", "one document changed, s"),
    ("nothing", "nothing changed, s"),
    ("answer", "warm answer, p50, ms"),
    ("disk", "on disk, MB"),
    ("peak", "peak memory of a build, GiB"),
)


def draw_growth(grown: Sequence[Growth]) -> str:
    """One plot a figure, both axes logarithmic."""
    plots = "".join(
        _place(_draw(grown, *plot), i % _COLUMNS, i // _COLUMNS) for i, plot in enumerate(_PLOTS)
    )
    width, height = _WIDTH * _COLUMNS, _HEIGHT * math.ceil(len(_PLOTS) / _COLUMNS)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">'
        f"<style>{_STYLE}</style>{plots}</svg>\n"
    )


def _place(plot: str, column: int, row: int) -> str:
    place = f'x="{_WIDTH * column}" y="{_HEIGHT * row}" width="{_WIDTH}" height="{_HEIGHT}"'
    return plot.replace("<svg ", f"<svg {place} ", 1)


def _draw(grown: Sequence[Growth], name: str, title: str) -> str:
    points = [(math.log10(each.passages), math.log10(getattr(each, name))) for each in grown]
    dots = [
        Dot(*point, f"{each.passages:,} passages: {getattr(each, name):.3g}")
        for point, each in zip(points, grown, strict=True)
    ]
    sizes, down = zip(*points, strict=True)
    across = [max(size, round(size, 1)) for size in sizes]  # 995 is about 1,000
    x = Axis("passages", math.floor(across[0]), max(across) + _ROOM, _powers(across))
    y = Axis(title, math.floor(min(down)), math.ceil(max(down) + _ROOM), _powers(down))
    return draw_line(points, x, y, dots)


def _powers(values: Sequence[float]) -> list[tuple[float, str]]:
    """Ticks at the powers of ten around some logarithms."""
    powers = range(math.floor(min(values)), math.ceil(max(values)) + 1)
    return [(power, f"{10**power:,}" if power >= 0 else f"{10.0**power:g}") for power in powers]
