from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from rag.confidence import SIGNALS, judge
from rag.evals.calibrate import Example, describe, fit

MODEL = {"weights": {"sentence": 2.0, "passage": 1.0, "said": 0.0, "unsaid_names": -4.0}, "bias": 1}

shares = st.floats(0, 1)
signals = st.fixed_dictionaries(dict.fromkeys(SIGNALS, shares))


def test_the_model_by_hand() -> None:
    read = {"sentence": 0.5, "passage": 1.0, "said": 0.9, "unsaid_names": 0.25}
    assert judge(read, MODEL) == 1 / (1 + math.exp(-2.0))


@given(signals, st.sampled_from(SIGNALS), shares)
def test_each_signal_moves_the_confidence_one_way(
    read: dict[str, float], name: str, more: float
) -> None:
    raised = judge(read | {name: max(more, read[name])})
    if name == "unsaid_names":
        assert raised <= judge(read)
    else:
        assert raised >= judge(read)


@given(signals)
def test_a_confidence_is_a_probability(read: dict[str, float]) -> None:
    assert 0 < judge(read) < 1


def example(strength: float, *, answerable: bool, held_out: bool = False) -> Example:
    return Example(dict.fromkeys(SIGNALS, strength), answerable, None, held_out)


def test_a_fit_tells_apart_what_can_be_told() -> None:
    seen = [example(0.9, answerable=True), example(0.1, answerable=False)] * 40
    model = fit(seen)
    assert judge(dict.fromkeys(SIGNALS, 0.9), model) > 0.9
    assert judge(dict.fromkeys(SIGNALS, 0.1), model) < 0.1


def test_what_is_held_out_is_not_seen() -> None:
    seen = [example(0.9, answerable=True), example(0.1, answerable=False)]
    unseen = [example(0.9, answerable=False, held_out=True)] * 50
    assert fit([*seen, *unseen]) == fit(seen)


def test_what_each_threshold_refuses() -> None:
    examples = [example(0.9, answerable=True), example(0.1, answerable=False)]
    lines = describe("birds", examples, fit(examples * 40))
    assert lines[1] == "  answerable (1) refused: eager 0.000, balanced 0.000, cautious 0.000"
    assert lines[2] == "  unanswerable (1) refused: eager 1.000, balanced 1.000, cautious 1.000"
