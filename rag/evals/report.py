"""Results → one HTML page that needs nothing else: no network, no other file.

Whatever comes from documents and questions is escaped here or set as text by report.js, and the
page's policy lets no other script run.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from html import escape
from importlib.resources import files
from itertools import pairwise
from typing import Any

import numpy as np

from rag.evals.figures import list_measures, risk_coverage
from rag.evals.measures import DOCUMENT_DEPTHS, PASSAGE_DEPTHS
from rag.evals.plots import Axis, Dot, draw_bars, draw_line, round_step
from rag.evals.results import Figure, Outcome, Results
from rag.evals.run import OpenSet
from rag.evals.spans import Place
from rag.render import place as describe_place

_SHARES = [(tick / 4, f"{tick / 4:g}") for tick in range(5)]
_RANKS = ((1, 1), (2, 2), (3, 3), (4, 5), (6, 10), (11, 20), (21, 50), (51, 100))
_TIMES = 12  # bars of the latencies, at most
_LISTED = 10  # documents of a ranking
_GOOD = ("right", "rightly refused", "found")
_FAIR = ("right, not first", "in part")


def render_report(results: Results, opened: OpenSet) -> str:
    """Return the page: the measures, plots, the run's identity, every question with its places."""
    style, script = (_read(f"report.{end}") for end in ("css", "js"))
    name = escape(results.set)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{report_policy()}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Evaluation of {name}</title><style>{style}</style></head><body>"
        f"<h1>Evaluation of {name}</h1>{_summary(results)}"
        f"<h2>Measures</h2>{_measures(results)}"
        f'<h2>Plots</h2><div class="plots">{"".join(draw_plots(results.questions))}</div>'
        f"<h2>This run</h2>{_identity(results.identity)}"
        f"<h2>Questions</h2>{_QUESTIONS}"
        f'<script type="application/json" id="data">{_data(results, opened)}</script>'
        f"<script>{script}</script></body></html>\n"
    )


_QUESTIONS = (
    '<div class="filters">'
    '<input id="search" type="search" placeholder="Words in the question" aria-label="Filter">'
    '<select id="verdicts" aria-label="Verdict"></select>'
    '<select id="kinds" aria-label="Kind"></select><span id="count" class="muted"></span></div>'
    '<p class="muted">Open a question for its passages: '
    '<mark class="quote">quoted</mark>, <mark class="gold">gold</mark>, '
    '<mark class="quote gold">both</mark>.</p>'
    '<table class="questions"><thead><tr id="head"></tr></thead>'
    '<tbody id="questions"></tbody></table>'
)


def report_policy() -> str:
    """The Content-Security-Policy under which a report shows and works."""
    script = _read("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


def _read(name: str) -> str:
    return files("rag.evals").joinpath(name).read_text("utf-8")


def _summary(results: Results) -> str:
    date = escape(str(results.identity["date"]).replace("T", " at "))
    lines = [f"{len(results.questions):,} questions, {date}"]
    if results.failures:
        lines.append(f"{len(results.failures):,} failed and count as zero")
    return "".join(f'<p class="muted">{line}</p>' for line in lines)


# Measures


def _measures(results: Results) -> str:
    parts, group = [], ""
    for measure in list_measures(results.questions):
        if measure.group != group:
            group = measure.group
            parts.append(f'</tbody><tbody><tr><th colspan="5">{group}</th></tr>')
        figure = results.measures[measure.name]
        parts.append(
            f"<tr><td>{escape(measure.name)}</td>"
            f'<td class="number">{show_number(figure.value)}</td>'
            f'<td class="interval">{draw_interval(figure, measure.group)}</td>'
            f'<td class="number">{figure.n:,}</td>'
            f'<td class="about">{escape(measure.about)}</td></tr>'
        )
    titles = "<th>measure</th><th class=number>value</th><th>95 % interval</th>"
    head = f"<thead><tr>{titles}<th class=number>questions</th><th></th></tr></thead>"
    return f'<table class="measures">{head}<tbody>{"".join(parts)}</tbody></table>'


def show_number(value: float) -> str:
    """A figure with three digits after the point, one where it is above 1."""
    return f"{value:.3f}" if value <= 1 else f"{value:,.1f}"


def draw_interval(figure: Figure, group: str) -> str:
    """Draw the interval of a share on a scale from 0 to 1; write out that of a time."""
    words = f"{show_number(figure.low)} to {show_number(figure.high)}"
    if group == "latency":
        return words
    left, width = 100 * figure.low, 100 * max(figure.high - figure.low, 0.004)
    return (
        f'<svg viewBox="0 0 100 12" preserveAspectRatio="none"><title>{words}</title>'
        '<line class="grid" x1="0" x2="100" y1="6" y2="6"/>'
        f'<rect class="range" x="{left:.2f}" width="{width:.2f}" y="2" height="8"/>'
        f'<rect class="value" x="{100 * figure.value - 0.5:.2f}" width="1" y="1" height="10"/>'
        "</svg>"
    )


# Plots


def draw_plots(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """The plots of one run, each an HTML figure."""
    answerable = [outcome for outcome in outcomes if outcome.answerable]
    if answerable:
        yield _figure("Recall against depth", _plot_recall(answerable))
        yield _figure("Where the gold stood in the ranking", _plot_ranks(answerable))
    if not any(outcome.grades for outcome in outcomes):
        yield _figure("Risk against coverage", _plot_risk(outcomes))
    if times := [1_000 * outcome.seconds for outcome in outcomes if not outcome.error]:
        yield _figure("Latency of a warm answer", _plot_times(times))


def _figure(title: str, svg: str) -> str:
    return f"<figure><h3>{title}</h3>{svg}</figure>"


def _plot_recall(outcomes: Sequence[Outcome]) -> str:
    graded = any(outcome.grades for outcome in outcomes)
    points = []
    for depth in DOCUMENT_DEPTHS if graded else PASSAGE_DEPTHS:
        recall = np.mean([outcome.values.get(f"recall@{depth}", 0.0) for outcome in outcomes])
        points.append((depth, float(recall)))
    ticks = [(_log(depth), str(depth)) for depth, _ in points if depth not in (3, 4, 7, 15, 30)]
    dots = [Dot(_log(depth), value, f"recall@{depth} {value:.3f}") for depth, value in points]
    x = Axis("documents" if graded else "passages", 0.0, _log(points[-1][0]), ticks)
    return draw_line([(dot.x, dot.y) for dot in dots], x, Axis("recall", 0, 1, _SHARES), dots)


def _log(value: float) -> float:
    return float(np.log(value))


def _plot_ranks(outcomes: Sequence[Outcome]) -> str:
    ranks = [outcome.rank for outcome in outcomes]
    bars = []
    for low, high in _RANKS:
        label = str(low) if low == high else f"{low}–{high}"
        bars.append((label, sum(rank is not None and low <= rank <= high for rank in ranks)))
    if not bars[-1][1]:
        bars.pop()
    return draw_bars([*bars, ("none", ranks.count(None))], "rank of the gold", "questions")


def _plot_risk(outcomes: Sequence[Outcome]) -> str:
    curve = risk_coverage(outcomes)
    dots = []
    if answered := sum(not outcome.refused for outcome in outcomes) / len(outcomes):
        coverage, risk = min(curve, key=lambda point: abs(point[0] - answered))
        label = f"at the threshold in use: {coverage:.3f} answered, {risk:.3f} of them wrong"
        dots.append(Dot(coverage, risk, label))
    x = Axis("coverage: share of the questions answered, surest first", 0, 1, _SHARES)
    y = Axis("risk: share of them wrong", 0, 1, _SHARES)
    return draw_line([(0.0, curve[0][1]), *curve], x, y, dots)


def _plot_times(times: Sequence[float]) -> str:
    """Draw bars up to the 99th percentile; the last holds what took longer, too."""
    top = float(np.quantile(times, 0.99, method="inverted_cdf"))
    width = round_step(top / _TIMES)
    last = int(top // width)
    places = [min(int(time // width), last) for time in times]
    bars = [(f"{i * width:g}{'+' * (i == last)}", places.count(i)) for i in range(last + 1)]
    return draw_bars(bars, "milliseconds, from", "questions")


# Identity


def _identity(identity: Mapping[str, Any]) -> str:
    items = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>" for name, value in _flat(identity)
    )
    return f"<dl>{items}</dl>"


def _flat(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}: {inner}", each) for inner, each in _flat(value))
        else:
            yield name.replace("_", " "), value


# Questions


def _data(results: Results, opened: OpenSet) -> str:
    """Return the questions for report.js, as JSON that cannot end its element."""
    graded = any(outcome.grades for outcome in results.questions)
    columns = _DOCUMENT_COLUMNS if graded else _PLACE_COLUMNS
    if not any(outcome.kind for outcome in results.questions):
        columns = tuple(column for column in columns if column[0] != "kind")
    reader = _Reader(opened)
    data = {
        "columns": [
            {"name": name, "title": title, "digits": digits} for name, title, digits in columns
        ],
        "questions": [
            reader.describe(outcome, [name for name, _, _ in columns])
            for outcome in results.questions
        ],
    }
    return json.dumps(data, ensure_ascii=True).replace("<", "\\u003c")


_Columns = tuple[tuple[str, str, int | None], ...]
_PLACE_COLUMNS: _Columns = (  # the outcome's value, its heading, digits after the point
    ("verdict", "verdict", None),
    ("question", "question", None),
    ("kind", "kind", None),
    ("confidence", "confidence", 2),
    ("rank", "gold at", 0),
    ("recall@5", "recall@5", 2),
    ("forced_quote_iou", "IoU", 2),
    ("ms", "ms", 0),
)
_DOCUMENT_COLUMNS: _Columns = (
    ("verdict", "verdict", None),
    ("question", "query", None),
    ("ndcg@10", "nDCG@10", 3),
    ("recall@10", "recall@10", 2),
    ("rank", "first at", 0),
    ("confidence", "confidence", 2),
    ("ms", "ms", 0),
)


class _Reader:
    """Finds the passages around the places of an outcome."""

    def __init__(self, opened: OpenSet) -> None:
        self._generation = opened.generation
        self._names = {id_: name for name, id_ in opened.ids.items()}
        self._ids = opened.ids
        self._passages = lru_cache(64)(self._read_passages)

    def describe(self, outcome: Outcome, columns: Iterable[str]) -> dict[str, Any]:
        """Return what report.js shows of an outcome."""
        verdict = outcome.verdict
        tone = "good" if verdict in _GOOD else "fair" if verdict in _FAIR else "bad"
        return {
            "cells": [_cell(outcome, name) for name in columns],
            "verdict": verdict,
            "tone": tone,
            "kind": outcome.kind,
            "notes": list(_notes(outcome)),
            "lists": list(self._lists(outcome)),
            "excerpts": list(self._excerpts(outcome)),
        }

    def _lists(self, outcome: Outcome) -> Iterator[dict[str, Any]]:
        if gold := [self._words(place) for place in outcome.gold]:
            yield {"title": "Gold", "items": gold}
        if outcome.quotes:
            title = "Quotes withheld" if outcome.refused else "Quotes"
            yield {"title": title, "items": [quote.text for quote in outcome.quotes]}
        if outcome.ranking:
            items = [self._ranked(outcome, id_) for id_ in outcome.ranking[:_LISTED]]
            yield {"title": "First documents", "items": items}
        if missed := [id_ for id_ in _relevant(outcome) if id_ not in outcome.ranking[:_LISTED]]:
            items = [self._ranked(outcome, id_) for id_ in missed]
            yield {"title": "Relevant, but not among them", "items": items}

    def _ranked(self, outcome: Outcome, id_: str) -> str:
        mark = "✓ " if id_ in _relevant(outcome) else ""
        try:
            return f"{mark}{id_}: {self._generation.document(self._names[id_]).title}"
        except KeyError:  # skipped by the index
            return f"{mark}{id_}"

    def _words(self, place: Place) -> str:
        return self._generation.document(place.document).text[place.start : place.end]

    def _excerpts(self, outcome: Outcome) -> Iterator[dict[str, Any]]:
        quotes = [quote.place for quote in outcome.quotes]
        for region in _join(self._around(place) for place in (*outcome.gold, *quotes)):
            document = self._generation.document(region.document)
            name = self._ids.get(region.document, region.document)
            parts = _mark(region, {"gold": outcome.gold, "quote": quotes})
            yield {
                "place": f"{document.title}: {name}, {describe_place(document, region.start)}",
                "parts": [(document.text[start:end], marks) for start, end, marks in parts],
            }

    def _around(self, place: Place) -> Place:
        """Return the passages that hold a place, as one stretch."""
        touching = [p for p in self._passages(place.document) if p.shared(place)]
        start = min([place.start, *(passage.start for passage in touching)])
        end = max([place.end, *(passage.end for passage in touching)])
        return Place(place.document, start, end)

    def _read_passages(self, name: str) -> list[Place]:
        passages = map(self._generation.passage, self._generation.passage_ids([name]))
        return [Place(name, passage.start, passage.end) for passage in passages]


def _cell(outcome: Outcome, name: str) -> str | float | None:
    named: dict[str, str | float | None] = {
        "verdict": outcome.verdict,
        "question": outcome.question,
        "kind": outcome.kind,
        "confidence": outcome.confidence,
        "rank": outcome.rank,
        "ms": None if outcome.error else 1_000 * outcome.seconds,
    }
    if name in named:
        return named[name]
    return outcome.values.get(name) if outcome.answerable else None


def _notes(outcome: Outcome) -> Iterator[str]:
    yield f"id {outcome.id}"
    if outcome.error:
        yield f"It failed: {outcome.error}"
    if not outcome.answerable:
        yield "The documents do not answer it."


def _relevant(outcome: Outcome) -> list[str]:
    return [id_ for id_, grade in outcome.grades.items() if grade > 0]


def _join(places: Iterable[Place]) -> list[Place]:
    """Join places that touch, in the order in which they first came."""
    joined: list[Place] = []
    for place in places:
        touching = [other for other in joined if other.shared(place)]
        for other in touching:
            joined.remove(other)
            place = Place(  # noqa: PLW2901 (it grows)
                place.document, min(place.start, other.start), max(place.end, other.end)
            )
        joined.append(place)
    return joined


def _mark(region: Place, marks: Mapping[str, Sequence[Place]]) -> Iterator[tuple[int, int, str]]:
    """Cut a region where a mark begins or ends: (start, end, the marks on it)."""
    inside = {n: [p for p in places if p.shared(region)] for n, places in marks.items()}
    cuts = {region.start, region.end}
    cuts |= {cut for places in inside.values() for p in places for cut in (p.start, p.end)}
    for start, end in pairwise(sorted(cuts)):
        piece = Place(region.document, start, end)
        yield start, end, " ".join(n for n in inside if any(p.shared(piece) for p in inside[n]))
