"""The measures of a set against hand-worked values and against SciPy."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap

from rag.evals.figures import (
    area_under_risk,
    auroc,
    list_measures,
    mean,
    quantile,
    ratio,
    risk_coverage,
    summarise,
)
from tests.question_sets import RIGHT, WRONG, outcome

ONES = np.ones((1, 5))
EVERY = np.ones(5, bool)


def test_statistics_by_hand() -> None:
    values = np.array([0.0, 1.0, 1.0, 0.5, 9.0])
    assert mean(values, np.array([1, 1, 1, 1, 0], bool))(ONES)[0] == 2.5 / 4
    assert ratio(values, np.array([1.0, 1, 2, 1, 18]))(ONES)[0] == 11.5 / 23
    assert ratio(np.zeros(5), np.zeros(5))(ONES)[0] == 0
    assert quantile(values, 0.5, EVERY)(ONES)[0] == 1
    assert quantile(values, 0.95, EVERY)(ONES)[0] == 9
    assert quantile(values, 0.75, values < 9)(ONES)[0] == 1


def test_auroc_is_the_share_of_pairs_in_order() -> None:
    confidence = np.array([0.9, 0.5, 0.5, 0.2, 0.6])
    positive = np.array([1, 1, 0, 0, 0], bool)
    # 0.9 beats all three; 0.5 beats 0.2, ties with 0.5, loses to 0.6.
    assert auroc(confidence, positive, ~positive)(ONES)[0] == (3 + 1.5) / 6
    assert np.isnan(auroc(confidence, positive, np.zeros(5, bool))(ONES)[0])


levels = st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=2, max_size=12)


@given(pairs=levels.filter(lambda rows: len({kind for _, kind in rows}) == 2))
def test_auroc_equals_counting_every_pair(pairs: list[tuple[int, bool]]) -> None:
    confidence = np.array([value for value, _ in pairs], float)
    positive = np.array([kind for _, kind in pairs])
    won = [(p > n) + (p == n) / 2 for p, n in product(confidence[positive], confidence[~positive])]
    found = auroc(confidence, positive, ~positive)(np.ones((1, len(pairs))))[0]
    assert found == pytest.approx(np.mean(won))
    turned = auroc(-confidence, positive, ~positive)(np.ones((1, len(pairs))))[0]
    assert turned == pytest.approx(1 - found)


def test_weights_count_a_question_as_often_as_they_say() -> None:
    confidence = np.array([0.1, 0.4, 0.4, 0.8, 0.9])
    wrong = np.array([1.0, 0, 1, 0, 0])
    positive = wrong == 0
    drawn = np.array([3, 0, 2, 1, 2])
    again = np.repeat(np.arange(5), drawn)
    ones = np.ones((1, len(again)))
    for whole, repeated in (
        (mean(confidence, EVERY), mean(confidence[again], np.ones(8, bool))),
        (area_under_risk(confidence, wrong), area_under_risk(confidence[again], wrong[again])),
        (
            auroc(confidence, positive, ~positive),
            auroc(confidence[again], positive[again], ~positive[again]),
        ),
        (
            quantile(confidence, 0.6, EVERY),
            quantile(confidence[again], 0.6, np.ones(8, bool)),
        ),
    ):
        assert whole(drawn[None].astype(float))[0] == pytest.approx(repeated(ones)[0])


def test_the_area_under_risk_by_hand() -> None:
    confidence = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    wrong = np.array([0.0, 1, 0, 1, 1])
    risks = [0, 1 / 2, 1 / 3, 2 / 4, 3 / 5]
    assert area_under_risk(confidence, wrong)(ONES)[0] == pytest.approx(np.mean(risks))
    assert area_under_risk(np.zeros(5), wrong)(ONES)[0] == 3 / 5


def test_the_curve_has_the_area() -> None:
    outcomes = [
        outcome(0, confidence=0.9),
        outcome(1, confidence=0.8, values=WRONG),
        outcome(2, confidence=0.7),
        outcome(3, answerable=False, confidence=0.7),
    ]
    curve = risk_coverage(outcomes)
    assert curve == [(1 / 4, 0), (2 / 4, 1 / 2), (1, 2 / 4)]
    area = (0 + 1 / 2 + 2 * 2 / 4) / 4
    assert summarise(outcomes)["aurc"].value == pytest.approx(area)


def test_figures_of_a_small_set_by_hand() -> None:
    outcomes = [
        outcome(0, kind="fact"),
        outcome(1, values=WRONG, kind="fact", confidence=0.3),
        outcome(2, refused=True, values=WRONG | {"words_shown": 0.0}, confidence=0.2),
        outcome(3, answerable=False, confidence=0.25, kind="near", values={"words_shown": 0.0}),
        outcome(4, answerable=False, refused=False, kind="far", values={"words_shown": 6.0}),
    ]
    figures = summarise(outcomes)
    values = {name: figure.value for name, figure in figures.items()}
    assert values["recall@5"] == values["quote_hit@1"] == pytest.approx(1 / 3)
    assert values["quote_hit@1_fact"] == 1 / 2
    assert values["quote_precision"] == 2 / (4 + 4 + 0 + 0 + 6)
    assert values["quote_recall"] == 2 / 6
    assert values["quote_f1"] == pytest.approx(2 * 2 / (14 + 6))
    assert values["auroc"] == (2 + 2 + 1) / 6
    assert values["auroc_near"] == 2 / 3
    assert values["auroc_far"] == 1
    assert values["refused_unanswerable"] == 1 / 2
    assert (values["refused_near"], values["refused_far"]) == (1, 0)
    assert values["refused_answerable"] == 1 / 3
    assert values["p50_ms"] == pytest.approx(3)
    assert values["retrieve_p95_ms"] == pytest.approx(2)
    counts = {name: figure.n for name, figure in figures.items()}
    assert counts["recall@5"] == 3
    assert counts["quote_f1"] == counts["aurc"] == 5
    assert counts["auroc_near"] == 4


def test_a_failure_is_the_worst_answer_and_stays_in_every_denominator() -> None:
    right = [outcome(0), outcome(1, answerable=False, values={"words_shown": 0.0})]
    failed = [
        outcome(2, values=WRONG, error="boom", confidence=0.0, refused=True, stages={}),
        outcome(3, answerable=False, error="boom", confidence=0.0, refused=True, stages={}),
    ]
    figures = summarise(right + failed)
    assert figures["recall@5"].value == 1 / 2
    assert figures["refused_answerable"].value == 1 / 2
    assert figures["refused_unanswerable"].value == 1 / 2  # not credited with a refusal
    assert figures["auroc"].value == (1 + 0 + 0 + 0) / 4
    assert figures["recall@5"].n == figures["refused_far"].n == 2
    assert figures["p50_ms"].n == 2  # what failed took no time


def test_an_interval_is_that_of_scipy() -> None:
    generator = np.random.default_rng(1)
    values = generator.random(60)
    outcomes = [outcome(n, values=RIGHT | {"recall@5": v}) for n, v in enumerate(values)]
    ours = summarise(outcomes)["recall@5"]
    theirs = bootstrap(
        (values,), np.mean, method="percentile", n_resamples=4_000, rng=generator
    ).confidence_interval
    assert ours.value == pytest.approx(values.mean())
    assert ours.low == pytest.approx(theirs.low, abs=0.01)
    assert ours.high == pytest.approx(theirs.high, abs=0.01)


@given(
    st.lists(
        st.tuples(st.booleans(), st.booleans(), st.booleans(), st.floats(0, 1), st.floats(0, 9)),
        min_size=1,
        max_size=8,
    )
)
def test_every_interval_holds_and_every_share_is_a_share(
    rows: list[tuple[bool, bool, bool, float, float]],
) -> None:
    outcomes = [
        outcome(
            n,
            answerable=answerable,
            refused=refused,
            confidence=confidence,
            values=(RIGHT if right else WRONG) if answerable else {"words_shown": 3.0},
            stages={"retrieve": seconds},
        )
        for n, (answerable, right, refused, confidence, seconds) in enumerate(rows)
    ]
    for name, figure in summarise(outcomes).items():
        assert figure.low <= figure.high
        assert figure.n <= len(rows)
        if not name.endswith("_ms"):
            assert 0 <= figure.low <= figure.high <= 1 + 1e-9
            assert -1e-9 <= figure.value <= 1 + 1e-9


@given(order=st.permutations(range(6)))
def test_the_order_of_the_questions_does_not_matter(order: list[int]) -> None:
    outcomes = [
        outcome(n, answerable=n % 3 > 0, values=RIGHT if n % 2 else WRONG, confidence=n / 6)
        for n in range(6)
    ]
    ones = np.ones((1, 6))
    wanted = {m.name: m.statistic(ones)[0] for m in list_measures(outcomes)}
    moved = list_measures([outcomes[n] for n in order])
    assert {m.name: m.statistic(ones)[0] for m in moved} == pytest.approx(wanted)


def test_perfect_answers_are_perfect() -> None:
    outcomes = [outcome(n) for n in range(4)] + [outcome(n, answerable=False) for n in (4, 5)]
    values = {name: figure.value for name, figure in summarise(outcomes).items()}
    for name in ("recall@5", "quote_hit@1", "auroc", "refused_unanswerable"):
        assert values[name] == 1
    assert values["refused_answerable"] == 0
    assert values["aurc"] == pytest.approx((2 / 6 * 2) / 6)  # none wrong until all are answered
