"""Two runs of one question set side by side: which measures moved, and by which questions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rag.errors import EvalError
from rag.evals.figures import Measure, list_measures
from rag.evals.results import Outcome, Results

_WORTH = {"right": 1.0, "rightly refused": 1.0, "right, not first": 0.5, "in part": 0.25}

Rows = NDArray[np.intp]  # outcomes by number

_RESAMPLES = 1_999  # the least p-value is 0.0005
_BATCH = 200  # of them at a time, so that memory stays small
_SEED = 20_240


@dataclass(frozen=True, slots=True)
class Difference:
    """One measure before and after, with the p-value of its difference."""

    name: str
    group: str
    before: float
    after: float
    p: float
    higher_is_better: bool

    @property
    def change(self) -> float:
        return self.after - self.before

    @property
    def better(self) -> bool:
        return self.change > 0 if self.higher_is_better else self.change < 0


@dataclass(frozen=True, slots=True)
class Pair:
    """A question's outcome in both runs."""

    before: Outcome
    after: Outcome

    @property
    def change(self) -> tuple[float, float]:
        """How much better it got: by its verdict, then by its retrieval."""
        old, new = self.before, self.after
        return (_worth(new) - _worth(old), _retrieved(new) - _retrieved(old))


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs compared on the questions that both asked."""

    differences: tuple[Difference, ...]
    worse: tuple[Pair, ...]  # worst first
    better: tuple[Pair, ...]  # best first
    notes: tuple[str, ...]  # what else differs between the runs


def compare(before: Results, after: Results) -> Comparison:
    """Compare two runs on the questions with the same id, text and answerability.

    Raises EvalError when there are none.
    """
    pairs = _match(before.questions, after.questions)
    if not pairs:
        raise EvalError(f"no question of {after.set} is in the earlier results, of {before.set}")
    ordered = sorted(pairs, key=lambda pair: pair.change)
    return Comparison(
        differences=tuple(_differences(before, after, pairs)),
        worse=tuple(pair for pair in ordered if pair.change < (0, 0)),
        better=tuple(pair for pair in reversed(ordered) if pair.change > (0, 0)),
        notes=tuple(_notes(before, after, len(pairs))),
    )


def read_floors(texts: Sequence[str]) -> dict[str, float]:
    """Read floors written as "recall@5=0.85". Raises EvalError for any other writing."""
    floors = {}
    for text in texts:
        name, _, value = text.rpartition("=")
        try:
            floors[name] = float(value)
        except ValueError:
            raise EvalError(
                f"{text!r} is no floor: write a measure and a value, recall@5=0.85"
            ) from None
    return floors


def find_shortfalls(results: Results, floors: Mapping[str, float]) -> list[str]:
    """Say of each measure that is worse than its floor by how much; nothing when all is well.

    Of a measure that is better the lower it is, the floor is a ceiling. Raises EvalError for a
    measure that these results do not have.
    """
    known = {measure.name: measure for measure in list_measures(results.questions)}
    for name in floors:
        if name not in known:
            raise EvalError(f"no measure is called {name!r}; there are {', '.join(known)}")
    return [
        line for name, floor in floors.items() if (line := _shortfall(results, known[name], floor))
    ]


def _shortfall(results: Results, measure: Measure, floor: float) -> str:
    value = results.measures[measure.name].value
    if measure.higher_is_better and value < floor:
        return f"{measure.name} is {value:.4g}, under {floor:g}"
    if not measure.higher_is_better and value > floor:
        return f"{measure.name} is {value:.4g}, over {floor:g}"
    return ""


def _match(before: Sequence[Outcome], after: Sequence[Outcome]) -> list[Pair]:
    earlier = {outcome.id: outcome for outcome in before}
    pairs = [Pair(earlier[later.id], later) for later in after if later.id in earlier]
    return [pair for pair in pairs if _same_question(pair.before, pair.after)]


def _same_question(before: Outcome, after: Outcome) -> bool:
    return (before.question, before.answerable) == (after.question, after.answerable)


def _differences(before: Results, after: Results, pairs: Sequence[Pair]) -> Iterator[Difference]:
    """Compare each measure that both runs have, over the pairs."""
    outcomes = [pair.before for pair in pairs] + [pair.after for pair in pairs]
    both = set(before.measures) & set(after.measures)
    measures = [measure for measure in list_measures(outcomes) if measure.name in both]
    first = np.arange(len(pairs))
    sides = [_evaluate(measures, rows) for rows in (first, first + len(pairs))]
    chances = permutation_p(measures, len(pairs))
    for measure, old, new, p in zip(measures, *sides, chances, strict=True):
        yield Difference(
            measure.name, measure.group, float(old), float(new), float(p), measure.higher_is_better
        )


def permutation_p(measures: Sequence[Measure], pairs: int) -> NDArray[np.float64]:
    """Return the two-sided p-value of each measure's difference, (measures,).

    The measures are of ``2 * pairs`` outcomes, those before and then those after. The paired
    permutation test: each question's two outcomes are swapped at random, as if it did not matter
    which run they came from (Fisher, 1935; for retrieval Smucker, Allan and Carterette, CIKM 2007).
    """
    from scipy.stats import permutation_test

    def differences(left: Rows, right: Rows, axis: int) -> NDArray[np.float64]:
        del axis  # always the last
        return _evaluate(measures, right) - _evaluate(measures, left)

    if pairs < 2:  # SciPy wants two; one proves nothing
        return np.ones(len(measures))
    rows = np.arange(pairs)
    test = permutation_test(
        (rows, rows + pairs),
        differences,
        permutation_type="samples",
        vectorized=True,
        n_resamples=_RESAMPLES,
        batch=_BATCH,
        rng=np.random.default_rng(_SEED),
    )
    return np.asarray(test.pvalue, np.float64)


def _evaluate(measures: Sequence[Measure], rows: Rows) -> NDArray[np.float64]:
    """Return each measure over each set of outcomes, (sets, n) → (sets, measures), (n,) → one."""
    chosen = np.atleast_2d(rows)
    weights = np.zeros((len(chosen), len(measures[0].counted)))
    np.put_along_axis(weights, chosen, 1.0, axis=1)
    values = np.stack([measure.statistic(weights) for measure in measures], axis=-1)
    return values.reshape(*rows.shape[:-1], len(measures))


def _worth(outcome: Outcome) -> float:
    """Return how good an answer is, from 0 to 1: by its verdict, or the ranking of documents."""
    if outcome.grades:
        return outcome.values["ndcg@10"]
    return _WORTH.get(outcome.verdict, 0.0)


def _retrieved(outcome: Outcome) -> float:
    return outcome.values.get("recall@5", 0.0)


def _notes(before: Results, after: Results, pairs: int) -> Iterator[str]:
    asked = (len(before.questions), len(after.questions))
    if asked != (pairs, pairs):
        yield f"the sets differ: {pairs:,} questions are in both, of {asked[0]:,} and {asked[1]:,}"
    for name in ("questions_digest", "corpus_digest", "model_digest"):
        if before.identity[name] != after.identity[name]:
            yield f"the {name.removesuffix('_digest')} changed"
    old, new = before.identity["settings"], after.identity["settings"]
    for name in sorted(set(old) | set(new)):
        if old.get(name) != new.get(name):
            yield f"{name} was {old.get(name)}, is {new.get(name)}"
