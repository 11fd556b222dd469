from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.answer import answer
from rag.build import build_index
from rag.confidence import SIGNALS, contradicts, judge
from rag.evals.calibrate import Example, describe, fit
from rag.generation import open_generation
from rag.lexical import read_words
from rag.settings import Settings
from tests.encoders import WordEncoder

ROOT = Path(__file__).parent.parent
WEIGHTS = dict.fromkeys(SIGNALS, 0.0) | {"around": 2.0, "passage": 1.0, "unsaid_names": -4.0}
MODEL = {"weights": WEIGHTS, "bias": 1}
AGAINST = {"unsaid_names", "unsaid_numbers", "contradicted"}  # that the documents do not answer

shares = st.floats(0, 1)
signals = st.fixed_dictionaries(dict.fromkeys(SIGNALS, shares))


def test_the_model_by_hand() -> None:
    read = dict.fromkeys(SIGNALS, 0.9) | {"around": 0.5, "passage": 1.0, "unsaid_names": 0.25}
    assert judge(read, MODEL) == 1 / (1 + math.exp(-2.0))


@given(signals, st.sampled_from(SIGNALS), shares)
def test_each_signal_moves_the_confidence_one_way(
    read: dict[str, float], name: str, more: float
) -> None:
    raised = judge(read | {name: max(more, read[name])})
    if name in AGAINST:
        assert raised <= judge(read)
    else:
        assert raised >= judge(read)


@given(signals)
def test_a_confidence_is_a_probability(read: dict[str, float]) -> None:
    assert 0 < judge(read) < 1


@pytest.mark.parametrize(
    ("question", "sentence", "opposed"),
    [
        ("What do otters not eat?", "Otters eat fish.", True),
        ("What do otters not eat?", "Otters never eat bread.", False),
        ("What don’t otters eat?", "Otters don't eat bread.", False),
        ("What do otters eat?", "Otters do not eat bread.", False),
        ("Isn't Paris in France?", "Paris is in France.", False),
        ("Can’t otters swim?", "Otters can swim.", False),
        ("Is the first ship faster?", "The second ship is faster.", False),
        ("When did the first ship sail?", "The second ship sailed in 1901.", True),
        ("When did the first ship sail?", "The first ship sailed, then the second.", False),
        ("Is the first or the second faster?", "The second is faster.", False),
        ("Who moved to the north?", "They moved to the west.", True),
        ("Who owns the Public Library?", "The library is private.", True),
        ("Prices did what as wages increased?", "As wages decreased, prices rose.", True),
    ],
)
def test_what_says_the_opposite_of_a_question(question: str, sentence: str, opposed: bool) -> None:
    assert contradicts(question, sentence) is opposed


def test_no_two_words_are_opposites_twice() -> None:
    lines = (ROOT / "rag" / "opposites.txt").read_text("utf-8").splitlines()
    stems = [{word.stem for word in read_words(line)} for line in lines]
    assert [len(each) for each in stems] == [len(line.split()) for line in lines]
    pairs = [frozenset(pair) for each in stems for pair in combinations(each, 2)]
    assert len(set(pairs)) == len(pairs)


def ask(folder: Path, text: str, *questions: str) -> list[Mapping[str, float]]:
    """The signals of each question asked of one document."""
    (folder / "corpus").mkdir()
    (folder / "corpus" / "island.txt").write_text(text)
    encoder = WordEncoder()
    build_index(folder / "corpus", folder / "index", encoder, Settings())
    generation = open_generation(folder / "index")
    return [answer(each, generation, encoder, Settings()).signals for each in questions]


def test_it_is_less_sure_of_what_says_the_opposite(tmp_path: Path) -> None:
    text = "The island is dependent on the support of its northern neighbour."
    signals = ask(
        tmp_path, text, "Who is dependent on support?", "Who is not dependent on support?"
    )
    assert [each["contradicted"] for each in signals] == [0, 1]


def test_a_name_may_stand_beside_the_sentence_but_a_number_must_stand_in_it(tmp_path: Path) -> None:
    text = "Skokholm had a lighthouse in 1916. Puffins nest on its cliffs."
    beside, within = ask(
        tmp_path, text, "Do puffins nest on cliffs of Skokholm in 1916?", "Is Skokholm of 1916?"
    )
    assert beside["unsaid_names"] == within["unsaid_names"] == within["unsaid_numbers"] == 0
    assert beside["unsaid_numbers"] > 0


def test_a_sentence_is_read_without_its_passage(tmp_path: Path) -> None:
    text = "Puffins nest on cliffs. The lighthouse is white."
    (signals,) = ask(tmp_path, text, "puffins nest on cliffs")
    assert signals["alone"] == pytest.approx(1, abs=1e-6)
    assert signals["passage"] < 0.95


def example(strength: float, *, answerable: bool, held_out: bool = False) -> Example:
    return Example(signs(strength), answerable, None, held_out)


def signs(strength: float) -> dict[str, float]:
    """Signals of a question of which they say that it is answerable, the stronger the more."""
    return {name: 1 - strength if name in AGAINST else strength for name in SIGNALS}


def test_a_fit_tells_apart_what_can_be_told() -> None:
    seen = [example(0.9, answerable=True), example(0.1, answerable=False)] * 40
    model = fit(seen)
    assert judge(signs(0.9), model) > 0.9
    assert judge(signs(0.1), model) < 0.1


def test_what_is_held_out_is_not_seen() -> None:
    seen = [example(0.9, answerable=True), example(0.1, answerable=False)]
    unseen = [example(0.9, answerable=False, held_out=True)] * 50
    assert fit([*seen, *unseen]) == fit(seen)


def test_what_each_threshold_refuses() -> None:
    examples = [example(0.9, answerable=True), example(0.1, answerable=False)]
    lines = describe("birds", examples, fit(examples * 40))
    assert lines[1] == "  answerable (1) refused: eager 0.000, balanced 0.000, cautious 0.000"
    assert lines[2] == "  unanswerable (1) refused: eager 1.000, balanced 1.000, cautious 1.000"
