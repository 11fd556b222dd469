"""Results and comparisons as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rag.evals.compare import Comparison, Difference, Pair
from rag.evals.figures import list_measures
from rag.evals.results import Results
from rag.render import printable

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

_LISTED = 20  # questions that got better, and as many that got worse
_SIGNIFICANT = 0.05


def results_table(results: Results) -> Table:
    """Every measure with its 95 % interval, in groups."""
    table = _table("measure", "value", "95 % interval", "n", "")
    group = ""
    for measure in list_measures(results.questions):
        if group not in ("", measure.group):
            table.add_section()
        group = measure.group
        figure = results.measures[measure.name]
        interval = f"{_number(figure.low)} – {_number(figure.high)}"
        name = _plain(measure.name)
        table.add_row(name, _number(figure.value), interval, f"{figure.n:,}", _plain(measure.about))
    return table


def failure_lines(results: Results) -> list[str]:
    """One line for each question that failed, with its error."""
    return [printable(f"{outcome.id}: {outcome.error}") for outcome in results.failures]


def comparison_table(comparison: Comparison) -> Table:
    """Each measure before and after; in colour where the difference is hardly chance."""
    table = _table("measure", "before", "after", "change", "p")
    group = ""
    for row in comparison.differences:
        if group not in ("", row.group):
            table.add_section()
        group = row.group
        change = f"{row.change:+.3f}"
        cells = (_number(row.before), _number(row.after), change, f"{row.p:.4f}")
        table.add_row(_plain(row.name), *cells, style=_style(row))
    return table


def changed_lines(comparison: Comparison) -> Iterator[str]:
    """What else differs between the runs, then the questions that got worse, and better."""
    yield from (printable(note) for note in comparison.notes)
    yield from _pair_lines("worse", comparison.worse)
    yield from _pair_lines("better", comparison.better)


def _pair_lines(title: str, pairs: Sequence[Pair]) -> Iterator[str]:
    yield f"{len(pairs):,} questions got {title}{':' if pairs else '.'}"
    for pair in pairs[:_LISTED]:
        yield printable(f"  {pair.after.id}: {pair.after.question}  ({_moved(pair)})")
    if len(pairs) > _LISTED:
        yield f"  … and {len(pairs) - _LISTED:,} more"


def _moved(pair: Pair) -> str:
    """What changed of a question, in a few words."""
    sides = (pair.before, pair.after)
    if pair.after.grades:
        return "ndcg@10 " + " → ".join(f"{side.values['ndcg@10']:.2f}" for side in sides)
    verdict = " → ".join(dict.fromkeys(side.verdict for side in sides))
    if not pair.after.answerable:
        return verdict
    recall = " → ".join(f"{side.values.get('recall@5', 0.0):.2f}" for side in sides)
    return f"{verdict}; recall@5 {recall}"


def _table(*titles: str) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for number, title in enumerate(titles):
        last = number == len(titles) - 1 and not title
        table.add_column(
            title, justify="left" if number == 0 or last else "right", no_wrap=not last
        )
    return table


def _plain(text: str) -> Text:
    """Text that is never read as markup and cannot steer the terminal."""
    from rich.text import Text

    return Text(printable(text))


def _style(difference: Difference) -> str | None:
    if difference.p >= _SIGNIFICANT or not difference.change:
        return None
    return "green" if difference.better else "red"


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) <= 1 else f"{value:,.1f}"
