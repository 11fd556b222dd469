"""Fit the confidence: python -m rag.evals.calibrate SET… writes rag/confidence.json.

The model sees the questions of one half of each set's documents; the figures are of the other.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.answer import answer
from rag.confidence import MODEL, SIGNALS, judge
from rag.encoder import Encoder, SentenceEncoder
from rag.evals.run import open_set
from rag.evals.sets import Question
from rag.settings import THRESHOLDS, Settings
from rag.types import Scope

_HARD = "adversarial"  # a kind: made to look answerable, beyond what these signals can tell
_HARD_WEIGHT = 0.1
_PENALTY = 1e-2  # of the squared weights


@dataclass(frozen=True, slots=True)
class Example:
    """A question's signals and whether the documents answer it."""

    signals: dict[str, float]
    answerable: bool
    kind: str | None
    held_out: bool  # not seen when the model is fitted


def main(paths: Sequence[str]) -> None:
    settings = Settings()
    encoder = SentenceEncoder(settings.model, settings.engine)
    sets = {Path(path).name: read_examples(Path(path), encoder, settings) for path in paths}
    model = fit([example for examples in sets.values() for example in examples])
    command = f"python -m rag.evals.calibrate {' '.join(sets)}"
    MODEL.write_text(json.dumps({"made by": command, **model}, indent=2) + "\n", "utf-8")
    for name, examples in sets.items():
        for line in describe(name, [e for e in examples if e.held_out], model):
            print(line)  # noqa: T201


def read_examples(path: Path, encoder: Encoder, settings: Settings) -> list[Example]:
    """Ask every question of a set."""
    opened = open_set(path, path, encoder, settings)
    names = opened.generation.names

    def read(question: Question) -> Example:
        scope = Scope(question.documents)
        given = answer(question.text, opened.generation, encoder, opened.settings, scope)
        held_out = _is_held_out(question, names)
        return Example(dict(given.signals), question.answerable, question.kind, held_out)

    return [read(question) for question in opened.questions]


def _is_held_out(question: Question, names: Sequence[str]) -> bool:
    """Every other document; of the questions without one, one half."""
    if question.gold:
        return names.index(question.gold[0].document) % 2 == 1
    return hashlib.sha256(question.id.encode()).digest()[0] % 2 == 1


def fit(examples: Sequence[Example]) -> dict[str, object]:
    """Logistic regression."""
    from scipy.optimize import minimize

    seen = [example for example in examples if not example.held_out]
    rows = np.array([[e.signals[name] for name in SIGNALS] + [1.0] for e in seen])
    signs = np.array([1.0 if e.answerable else -1.0 for e in seen])
    weights = np.array([_HARD_WEIGHT if e.kind == _HARD else 1.0 for e in seen])

    def loss(model: NDArray[np.float64]) -> float:
        misfit = weights @ np.logaddexp(0, -signs * (rows @ model))
        return float(misfit + _PENALTY * model[:-1] @ model[:-1])

    found = minimize(loss, np.zeros(rows.shape[1])).x.round(3).tolist()
    return {"weights": dict(zip(SIGNALS, found, strict=False)), "bias": found[-1]}


def describe(name: str, examples: Sequence[Example], model: dict[str, object]) -> list[str]:
    """What the model does with these questions."""
    judged = [(e, judge(e.signals, model)) for e in examples]
    kinds = sorted({e.kind or "unanswerable" for e in examples if not e.answerable})
    lines = [f"{name}: {len(examples)} questions of the other half"]
    for kind in ("answerable", *kinds):
        scores = [c for e, c in judged if kind == _name(e)]
        refused = [
            f"{label} {np.mean(np.array(scores) < least):.3f}"
            for label, least in THRESHOLDS.items()
        ]
        lines.append(f"  {kind} ({len(scores)}) refused: {', '.join(refused)}")
    return lines


def _name(example: Example) -> str:
    return "answerable" if example.answerable else example.kind or "unanswerable"


if __name__ == "__main__":
    main(sys.argv[1:])
