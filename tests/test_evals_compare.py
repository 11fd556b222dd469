from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from scipy.stats import permutation_test

from rag.errors import EvalError
from rag.evals.compare import Comparison, Difference, compare, find_shortfalls, read_floors
from rag.evals.figures import summarise
from rag.evals.results import Outcome, Results, read_results
from rag.evals.tables import changed_lines, comparison_table, failure_lines, results_table
from tests.question_sets import RIGHT, WRONG, outcome


def results(outcomes: list[Outcome], **identity: Any) -> Results:
    plain = {"questions_digest": "a", "corpus_digest": "b", "model_digest": "c", "settings": {}}
    return Results("a set", plain | identity, summarise(outcomes), tuple(outcomes))


def difference(comparison: Comparison, name: str) -> Difference:
    return next(row for row in comparison.differences if row.name == name)


def test_a_run_compared_with_itself_has_not_changed() -> None:
    same = results([outcome(n, answerable=n % 3 > 0, confidence=n / 9) for n in range(9)])
    comparison = compare(same, same)
    assert (comparison.better, comparison.worse, comparison.notes) == ((), (), ())
    assert {row.name for row in comparison.differences} == set(same.measures)
    for row in comparison.differences:
        assert (row.change, row.p) == (0, 1)


def test_a_planted_worsening_is_significant() -> None:
    before = results([outcome(n) for n in range(40)])
    after = results([outcome(n, values=WRONG if n < 12 else RIGHT) for n in range(40)])
    row = difference(compare(before, after), "quote_hit@1")
    assert (row.before, row.after) == (1, 28 / 40)
    assert row.p < 0.01
    assert not row.better


def test_a_single_question_is_not() -> None:
    before = results([outcome(n) for n in range(40)])
    after = results([outcome(n, values=RIGHT if n else WRONG) for n in range(40)])
    assert difference(compare(before, after), "quote_hit@1").p > 0.5


def test_p_is_exact_where_every_swap_can_be_tried() -> None:
    old, new = [0.1, 0.5, 0.9, 0.2, 0.6, 0.3], [0.4, 0.6, 0.9, 0.7, 0.9, 0.2]
    before, after = (
        results([outcome(n, values=RIGHT | {"recall@5": v}) for n, v in enumerate(values)])
        for values in (old, new)
    )
    wanted = permutation_test(
        (np.array(new) - np.array(old),),
        np.mean,
        permutation_type="samples",
    )
    found = difference(compare(before, after), "recall@5")
    assert found.p == pytest.approx(wanted.pvalue)
    assert found.change == pytest.approx(np.mean(new) - np.mean(old))


def test_a_ratio_and_a_rank_statistic_are_tested_too() -> None:
    def side(shift: float) -> Results:
        answered = [outcome(n, confidence=0.5 + shift) for n in range(20)]
        others = [outcome(n, answerable=False, confidence=0.5 + n / 99) for n in range(20, 40)]
        return results(answered + others)

    comparison = compare(side(0.5), side(0.0))
    assert difference(comparison, "auroc").before == 1
    assert difference(comparison, "auroc").p < 0.01
    assert difference(comparison, "quote_f1").p == 1


def test_questions_are_listed_worst_first() -> None:
    before = results(
        [
            outcome(0),
            outcome(1),
            outcome(2, values=WRONG),
            outcome(3, answerable=False),
            outcome(4),
        ]
    )
    after = results(
        [
            outcome(0, values=RIGHT | {"quote_hit@1": 0.0}),
            outcome(1, values=WRONG, refused=True),
            outcome(2),
            outcome(3, answerable=False, refused=False),
            outcome(4, values=RIGHT | {"recall@5": 0.5}),
        ]
    )
    comparison = compare(before, after)
    assert [pair.after.id for pair in comparison.worse] == ["q1", "q3", "q0", "q4"]
    assert [pair.after.id for pair in comparison.better] == ["q2"]
    lines = list(changed_lines(comparison))
    assert lines[0] == "4 questions got worse:"
    assert "q1: question 1?  (right → wrongly refused; recall@5 1.00 → 0.00)" in lines[1]


def test_what_else_differs_is_said() -> None:
    before = results([outcome(0), outcome(1)], settings={"candidates": 50, "gone": 1})
    after = results([outcome(1), outcome(2)], corpus_digest="x", settings={"candidates": 9})
    notes = compare(before, after).notes
    assert notes == (
        "the sets differ: 1 questions are in both, of 2 and 2",
        "the corpus changed",
        "candidates was 50, is 9",
        "gone was 1, is None",
    )


def test_sets_without_a_common_question_cannot_be_compared() -> None:
    with pytest.raises(EvalError, match="no question"):
        compare(results([outcome(0)]), results([outcome(1)]))


def test_a_measure_under_its_floor_is_told() -> None:
    found = results([outcome(0), outcome(1, values=WRONG)])
    assert find_shortfalls(found, {"recall@5": 0.5, "aurc": 0.9}) == []
    assert find_shortfalls(found, {"recall@5": 0.51}) == ["recall@5 is 0.5, under 0.51"]
    assert find_shortfalls(found, {"p50_ms": 1}) == ["p50_ms is 3, over 1"]
    with pytest.raises(EvalError, match=r"no measure is called 'recal@5'.*recall@5"):
        find_shortfalls(found, {"recal@5": 0.5})


def test_floors_are_read() -> None:
    assert read_floors(["recall@5=0.85", "refused_a=b=1"]) == {"recall@5": 0.85, "refused_a=b": 1}
    for wrong in ("recall@5", "recall@5=", "=x"):
        with pytest.raises(EvalError, match="is no floor"):
            read_floors([wrong])


def test_results_are_read_back_as_they_were(tmp_path: Path) -> None:
    written = results([outcome(0), outcome(1, answerable=False, error="boom \u2028 <é>")])
    file = tmp_path / "results.json"
    file.write_text(written.to_json(), "utf-8")
    assert read_results(file) == written


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', '{"format": 1, "questions": 3}'])
def test_what_is_no_results_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "results.json"
    file.write_text(text)
    with pytest.raises(EvalError, match="holds no results"):
        read_results(file)


def test_results_of_another_format_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    file.write_text('{"format": 0}')
    with pytest.raises(EvalError, match="another version"):
        read_results(file)


def test_the_tables_show_every_measure() -> None:
    found = results([outcome(0), outcome(1, answerable=False, kind="[red]\x1b[31m")])
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(results_table(found))
    console.print(comparison_table(compare(found, found)))
    shown = console.export_text()
    for name in found.measures:
        assert shown.count(name.replace("\x1b", "<U+001B>")) >= 2
    assert "\x1b" not in shown


def test_failures_are_listed() -> None:
    assert failure_lines(results([outcome(0), outcome(1, error="boom\x07")])) == [
        "q1: boom<U+0007>"
    ]
