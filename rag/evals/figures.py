"""The measures of a whole set and their intervals.

A measure is a function of weights, one for each question: all ones give its value, the counts of a
resample one value of its bootstrap, so every measure is resampled and compared in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rag.evals.results import Figure, Outcome

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]  # (questions,)
Statistic = Callable[[Floats], Floats]  # weights (draws, questions) → values (draws,)

_DRAWS = 1_000
_SEED = 20_240

_MEANS = {  # over the questions that the documents answer
    "documents": {
        "ndcg@10": "gain of the first 10 documents, of the best possible",
        "recall@10": "share of the relevant documents in the first 10",
        "recall@100": "share of the relevant documents in the first 100",
    },
    "passages": {
        "recall@1": "share of the gold in the first passage",
        "recall@5": "share of the gold in the first 5 passages",
        "recall@10": "share of the gold in the first 10",
        "precision@5": "share of the first 5 passages that is gold",
        "iou@5": "gold within the first 5 passages, of both together",
        "hit@1": "a gold span stands whole in the first passage",
        "hit@5": "a gold span stands whole in the first 5",
        "hit@10": "a gold span stands whole in the first 10",
        "mrr@10": "one over the rank where a gold span is whole",
    },
    "quotes": {
        "quote_hit@1": "the first quote covers a gold span whole",
        "quote_hit@3": "one of the first 3 quotes covers one whole",
        "quote_iou@1": "gold within the first quote, of both together",
        "quote_iou": "gold within all quotes, of both together",
        "forced_quote_hit@1": "quote_hit@1 if nothing were refused",
        "forced_quote_hit@3": "quote_hit@3 if nothing were refused",
        "ranked_quote_hit@3": "the same of the 3 best ranked, shown or not",
        "forced_quote_iou@1": "quote_iou@1 if nothing were refused",
        "forced_quote_iou": "quote_iou if nothing were refused",
    },
}


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure bound to the outcomes of a set."""

    name: str
    group: str
    about: str  # one line for the reader of a table
    statistic: Statistic
    counted: Mask  # the questions that it is measured on
    higher_is_better: bool = True


def list_measures(outcomes: Sequence[Outcome]) -> list[Measure]:
    """Every measure that these outcomes allow, in the order of a table."""
    groups = (_retrieval(outcomes), _quotes(outcomes), _refusing(outcomes), _latency(outcomes))
    return [measure for group in groups for measure in group if measure.counted.any()]


def summarise(outcomes: Sequence[Outcome]) -> dict[str, Figure]:
    """Each measure with its 95 % interval: the percentile bootstrap over questions.

    Efron and Tibshirani, "An Introduction to the Bootstrap" (1993). Answerable and unanswerable
    questions are resampled apart, so that their shares stay those of the set.
    """
    draws = _resample(np.array([outcome.answerable for outcome in outcomes]))
    return {measure.name: _figure(measure, draws) for measure in list_measures(outcomes)}


def _figure(measure: Measure, draws: Floats) -> Figure:
    value = measure.statistic(np.ones((1, draws.shape[1])))[0]
    low, high = np.nanpercentile(measure.statistic(draws), [2.5, 97.5])
    return Figure(float(value), float(low), float(high), int(measure.counted.sum()))


def _resample(answerable: Mask) -> Floats:
    """How often each question is drawn, (draws, questions)."""
    generator = np.random.default_rng(_SEED)
    counts = np.zeros((_DRAWS, len(answerable)))
    for part in (answerable, ~answerable):
        size = int(part.sum())
        if size:
            counts[:, part] = generator.multinomial(size, np.full(size, 1 / size), size=_DRAWS)
    return counts


# Statistics


def mean(values: Floats, among: Mask) -> Statistic:
    """The mean of values (questions,) among some of the questions."""
    return ratio(values * among, among.astype(np.float64))


def ratio(parts: Floats, wholes: Floats) -> Statistic:
    """The sum of the parts over the sum of the wholes (micro average); 0 where that is 0."""

    def statistic(weights: Floats) -> Floats:
        total = weights @ wholes
        shares: Floats = weights @ parts / np.where(total == 0, 1, total)
        return shares

    return statistic


def auroc(confidence: Floats, positive: Mask, negative: Mask) -> Statistic:
    """The probability that a positive's confidence exceeds a negative's, ties counted half.

    The area under the ROC curve by rank: Mann and Whitney (1947); Hanley and McNeil (1982).
    nan where a draw holds no positive or no negative.
    """
    order, starts = _levels(confidence)

    def statistic(weights: Floats) -> Floats:
        ranked = weights[:, order]
        positives = np.add.reduceat(ranked * positive[order], starts, axis=1)
        negatives = np.add.reduceat(ranked * negative[order], starts, axis=1)
        below = np.cumsum(negatives, axis=1) - negatives / 2
        pairs = positives.sum(axis=1) * negatives.sum(axis=1)
        wins = (positives * below).sum(axis=1)
        share: Floats = np.where(pairs > 0, wins / np.where(pairs > 0, pairs, 1), np.nan)
        return share

    return statistic


def area_under_risk(confidence: Floats, wrong: Floats) -> Statistic:
    """The mean, over coverage, of the share of wrong answers among the most confident ones.

    The area under the risk-coverage curve: Geifman and El-Yaniv, "Selective Classification for
    Deep Neural Networks" (2017). Questions of one confidence are answered together.
    """
    order, starts = _levels(-confidence)

    def statistic(weights: Floats) -> Floats:
        ranked = weights[:, order]
        answered = np.add.reduceat(ranked, starts, axis=1)
        errors = np.cumsum(np.add.reduceat(ranked * wrong[order], starts, axis=1), axis=1)
        coverage = np.cumsum(answered, axis=1)
        risk = errors / np.where(coverage == 0, 1, coverage)
        area: Floats = (risk * answered).sum(axis=1) / coverage[:, -1]
        return area

    return statistic


def quantile(values: Floats, share: float, among: Mask) -> Statistic:
    """The least value that at least ``share`` of some of the questions do not exceed."""
    rows = np.flatnonzero(among)
    order = rows[np.argsort(values[rows], kind="stable")]

    def statistic(weights: Floats) -> Floats:
        reached = np.cumsum(weights[:, order], axis=1)
        place = (reached >= share * reached[:, -1:] - 1e-9).argmax(axis=1)
        found: Floats = values[order][place]
        return found

    return statistic


def risk_coverage(outcomes: Sequence[Outcome]) -> list[tuple[float, float]]:
    """The curve whose area is ``aurc``: the share answered and the share wrong among them.

    An answer is wrong when the documents hold none, or when the first quote covers no gold span.
    """
    order, starts = _levels(-_confidence(outcomes))
    wrong = np.cumsum(_wrong(outcomes)[order])
    ends = np.append(starts[1:], len(order))
    return [(int(end) / len(order), float(wrong[end - 1] / end)) for end in ends]


def _levels(values: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The order from the least value, and where in it each new value begins."""
    order = np.argsort(values, kind="stable")
    return order, np.flatnonzero(np.diff(values[order], prepend=np.nan) != 0)


# The list of measures


def _retrieval(outcomes: Sequence[Outcome]) -> Iterator[Measure]:
    kind = "documents" if _have(outcomes, "ndcg@10") else "passages"
    yield from _means(outcomes, kind, "retrieval")


def _quotes(outcomes: Sequence[Outcome]) -> Iterator[Measure]:
    """Words are counted over all questions, as the verbatim-rag project does (micro averages).

    A refusal shows no word, a wrong answer to an unanswerable question only wrong ones.
    """
    if not _have(outcomes, "words_gold"):
        return
    yield from _means(outcomes, "quotes", "quotes")
    yield from _means_by_kind(outcomes)
    right, shown, gold = (
        _column(outcomes, name) for name in ("words_right", "words_shown", "words_gold")
    )
    everywhere = np.ones(len(outcomes), bool)
    for name, about, part, whole in (
        ("quote_precision", "share of the words shown that are gold", right, shown),
        ("quote_recall", "share of the gold words that are shown", right, gold),
        ("quote_f1", "the harmonic mean of both", 2 * right, shown + gold),
    ):
        yield Measure(name, "quotes", about, ratio(part, whole), everywhere)


def _means(outcomes: Sequence[Outcome], listed: str, group: str) -> Iterator[Measure]:
    answerable = _answerable(outcomes)
    for name, about in _MEANS[listed].items():
        if _have(outcomes, name):
            statistic = mean(_column(outcomes, name), answerable)
            yield Measure(name, group, about, statistic, answerable)


def _means_by_kind(outcomes: Sequence[Outcome]) -> Iterator[Measure]:
    hits = _column(outcomes, "quote_hit@1")
    for kind in _kinds(outcomes, answerable=True):
        counted = _answerable(outcomes) & _of_kind(outcomes, kind)
        about = f'of the kind "{kind}"'
        yield Measure(f"quote_hit@1_{kind}", "quotes", about, mean(hits, counted), counted)


def _refusing(outcomes: Sequence[Outcome]) -> Iterator[Measure]:
    answerable, confidence = _answerable(outcomes), _confidence(outcomes)
    groups = {"unanswerable": ~answerable}
    for kind in _kinds(outcomes, answerable=False):
        groups[kind] = ~answerable & _of_kind(outcomes, kind)
    for name, part in groups.items():
        if answerable.any() and part.any():
            suffix = "" if name == "unanswerable" else f"_{name}"
            about = f"how often an answerable question is surer than one that is {name}"
            score = auroc(confidence, answerable, part)
            yield Measure(f"auroc{suffix}", "refusing", about, score, answerable | part)
    yield from _shares_refused(outcomes, groups)
    if _have(outcomes, "forced_quote_hit@1"):
        area = area_under_risk(confidence, _wrong(outcomes))
        about = "area under the curve of risk against coverage"
        everywhere = np.ones(len(outcomes), bool)
        yield Measure("aurc", "refusing", about, area, everywhere, higher_is_better=False)


def _shares_refused(outcomes: Sequence[Outcome], groups: Mapping[str, Mask]) -> Iterator[Measure]:
    refused, answerable = _refused(outcomes), _answerable(outcomes)
    for name, part in groups.items():
        share = mean(refused, part)
        yield Measure(f"refused_{name}", "refusing", "share rightly refused", share, part)
    yield Measure(
        "refused_answerable",
        "refusing",
        "share wrongly refused",
        mean(refused, answerable),
        answerable,
        higher_is_better=False,
    )


def _latency(outcomes: Sequence[Outcome]) -> Iterator[Measure]:
    counted = np.array([outcome.error is None for outcome in outcomes])
    stages = dict.fromkeys(stage for outcome in outcomes for stage in outcome.stages)
    times = {"": [outcome.seconds for outcome in outcomes]}
    for stage in stages:
        times[f"{stage}_"] = [outcome.stages.get(stage, 0.0) for outcome in outcomes]
    for stage, seconds in times.items():
        for share in (50, 95):
            part = f" for {stage.strip('_')}" if stage else ""
            about = f"milliseconds{part} that {share} % of the answers stay within"
            statistic = quantile(1_000 * np.array(seconds), share / 100, counted)
            name = f"{stage}p{share}_ms"
            yield Measure(name, "latency", about, statistic, counted, higher_is_better=False)


def _have(outcomes: Sequence[Outcome], name: str) -> bool:
    return any(name in outcome.values for outcome in outcomes)


def _column(outcomes: Sequence[Outcome], name: str) -> Floats:
    return np.array([outcome.values.get(name, 0.0) for outcome in outcomes])


def _answerable(outcomes: Sequence[Outcome]) -> Mask:
    return np.array([outcome.answerable for outcome in outcomes])


def _of_kind(outcomes: Sequence[Outcome], kind: str) -> Mask:
    return np.array([outcome.kind == kind for outcome in outcomes])


def _kinds(outcomes: Sequence[Outcome], *, answerable: bool) -> list[str]:
    """The kinds of answerable or of unanswerable questions, in the order of the set."""
    among = (outcome for outcome in outcomes if outcome.answerable is answerable)
    return list(dict.fromkeys(outcome.kind for outcome in among if outcome.kind))


def _confidence(outcomes: Sequence[Outcome]) -> Floats:
    """The confidences; of a question that failed the worst that could be."""
    return np.array(
        [float(not o.answerable) if o.error else o.confidence for o in outcomes], np.float64
    )


def _refused(outcomes: Sequence[Outcome]) -> Floats:
    """1 for each refusal; a failure counts as a wrong one, never as a right one."""
    return np.array([float(o.answerable if o.error else o.refused) for o in outcomes])


def _wrong(outcomes: Sequence[Outcome]) -> Floats:
    """1 for each question whose answer would be wrong, were it not refused."""
    return 1 - _column(outcomes, "forced_quote_hit@1") * _answerable(outcomes)
