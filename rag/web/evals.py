"""The page of evals: run a set on the index in use, see the figures and what changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fastapi import APIRouter, HTTPException
from fastapi.responses import HTMLResponse
from markupsafe import Markup

from rag.errors import EvalError
from rag.evals.compare import Comparison, Difference
from rag.evals.figures import list_measures
from rag.evals.plots import Axis, Dot, draw_line
from rag.evals.report import draw_interval, draw_plots, report_policy, show_number
from rag.evals.tables import changed_lines
from rag.web.markup import show_evals, show_problem
from rag.web.routes import DESK_HEADERS
from rag.web.runs import Run, Runs

_SHARES = [(tick / 4, f"{tick / 4:g}") for tick in range(5)]
_FOLLOWED = ("recall@5", "quote_hit@1", "ndcg@10")  # from run to run
_SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True)
class Row:
    """A measure of a run, as text, beside the run before."""

    group: str
    name: str
    value: str
    interval: Markup
    n: int
    before: str
    change: str
    tone: str  # "better" or "worse" where the difference is hardly chance
    about: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A run with all that the page says of it."""

    run: Run
    before: Run | None  # the one before of the same set
    rows: Sequence[Row]
    changes: Sequence[str]  # what else differs, and the questions that got better or worse
    plots: Sequence[Markup]


def make_evals_router(runs: Runs, *, accounts: bool) -> APIRouter:
    """The routes over runs."""
    router = APIRouter()

    @router.get("/evals", response_class=HTMLResponse)
    def page(run: str = "") -> HTMLResponse:
        """The run named, else the last one."""
        kept = runs.runs()
        chosen = next((each for each in kept if each.name == run), kept[0] if kept else None)
        shown = _show(chosen, runs, kept) if chosen else None
        html = show_evals(runs.sets(), kept, shown, accounts=accounts)
        return HTMLResponse(html, headers=DESK_HEADERS)

    @router.get("/evals/state")
    def state() -> dict[str, Any]:
        return asdict(runs.state)

    @router.put("/evals/runs/{name:path}")
    def begin(name: str) -> None:
        try:
            runs.begin(name)
        except EvalError as error:
            raise HTTPException(409, str(error)) from None

    @router.get("/evals/reports/{name}", response_class=HTMLResponse)
    def report(name: str) -> HTMLResponse:
        html = runs.report(name)
        if html is None:
            page = show_problem("No such report", f"No run called {name} is kept.")
            return HTMLResponse(page, 404, DESK_HEADERS)
        policy = f"{report_policy()}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        return HTMLResponse(html, headers=DESK_HEADERS | {"Content-Security-Policy": policy})

    return router


def _show(run: Run, runs: Runs, kept: Sequence[Run]) -> Shown:
    same = [each for each in kept if each.results.set == run.results.set and each.name <= run.name]
    before, comparison, changes = None, None, []
    if len(same) > 1:
        before = same[1]
        try:
            comparison = runs.compare(before, run)
            changes = list(changed_lines(comparison))
        except EvalError as error:
            changes = [str(error)]
    plots = [*_draw_trends(same[::-1]), *draw_plots(run.results.questions)]
    rows = list(_list_rows(run, comparison))
    return Shown(run, before, rows, changes, [Markup(plot) for plot in plots])  # noqa: S704  ours


def _list_rows(run: Run, comparison: Comparison | None) -> Iterator[Row]:
    differences = {row.name: row for row in comparison.differences} if comparison else {}
    for measure in list_measures(run.results.questions):
        figure = run.results.measures[measure.name]
        row = differences.get(measure.name)
        yield Row(
            group=measure.group,
            name=measure.name,
            value=show_number(figure.value),
            interval=Markup(draw_interval(figure, measure.group)),  # noqa: S704  ours
            n=figure.n,
            before=show_number(row.before) if row else "",
            change=f"{row.change:+.3f}" if row and row.change else "",
            tone=_tone(row) if row else "",
            about=measure.about,
        )


def _tone(row: Difference) -> str:
    if row.p >= _SIGNIFICANT or not row.change:
        return ""
    return "better" if row.better else "worse"


def _draw_trends(runs: Sequence[Run]) -> Iterator[str]:
    """A line for each measure that is followed, over the runs of a set, oldest first."""
    ticks = [(number, run.name.lstrip("0")) for number, run in enumerate(runs)]
    x, y = Axis("run", 0, len(runs) - 1, ticks), Axis("value", 0, 1, _SHARES)
    for name in _FOLLOWED if len(runs) > 1 else ():
        values = [run.results.measures.get(name) for run in runs]
        dots = [
            Dot(number, figure.value, f"run {ticks[number][1]}: {figure.value:.3f}")
            for number, figure in enumerate(values)
            if figure
        ]
        if dots:
            line = draw_line([(dot.x, dot.y) for dot in dots], x, y, dots)
            yield f"<figure><h3>{name}, run by run</h3>{line}</figure>"
