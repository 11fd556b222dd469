"""What an evaluation found: the outcome of every question, the figures, the run's identity."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rag.errors import EvalError
from rag.evals.spans import Place

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Shown:
    """A quote as measured: its place, its words, and the other places of the same words."""

    place: Place
    text: str
    score: float
    also_in: tuple[Place, ...] = ()

    @property
    def places(self) -> tuple[Place, ...]:
        return (self.place, *self.also_in)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one question.

    ``quotes`` are those that the question gets when nothing is refused; ``refused`` tells whether
    the threshold in use withholds them. A question that failed has an ``error`` and the worst
    values.
    """

    id: str
    question: str
    answerable: bool
    gold: tuple[Place, ...]
    quotes: tuple[Shown, ...]
    refused: bool
    confidence: float
    values: Mapping[str, float]  # by measure, of this question alone
    stages: Mapping[str, float]  # seconds by stage
    rank: int | None  # of the gold in the ranking, from 1; None where it is not in it
    kind: str | None = None
    grades: Mapping[str, int] = field(default_factory=dict)  # BEIR: relevant documents
    ranking: tuple[str, ...] = ()  # BEIR: documents, best first
    error: str | None = None

    @property
    def seconds(self) -> float:
        return sum(self.stages.values())

    @property
    def verdict(self) -> str:
        """What the answer was worth, in words."""
        if self.error:
            return "failed"
        if self.grades:
            return "found" if self.values["recall@10"] else "not found"
        if not self.answerable:
            return "rightly refused" if self.refused else "should refuse"
        return "wrongly refused" if self.refused else self._verdict_on_quotes()

    def _verdict_on_quotes(self) -> str:
        if self.values["quote_hit@1"]:
            return "right"
        if self.values["quote_hit@3"]:
            return "right, not first"
        return "in part" if self.values["words_right"] else "wrong"

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Outcome:
        gold = tuple(Place(**place) for place in values.pop("gold"))
        quotes = tuple(_read_shown(quote) for quote in values.pop("quotes"))
        ranking = tuple(values.pop("ranking"))
        values.pop("seconds")
        return cls(gold=gold, quotes=quotes, ranking=ranking, **values)


@dataclass(frozen=True, slots=True)
class Figure:
    """A measure of the whole set with its 95 % interval."""

    value: float
    low: float
    high: float
    n: int  # questions that it is measured on


@dataclass(frozen=True, slots=True)
class Results:
    """An evaluation, as ``--json`` writes it."""

    set: str
    identity: Mapping[str, Any]
    measures: Mapping[str, Figure]
    questions: tuple[Outcome, ...]

    @property
    def failures(self) -> list[Outcome]:
        return [outcome for outcome in self.questions if outcome.error]

    def to_json(self) -> str:
        values = {"format": FORMAT} | asdict(self)
        for row, outcome in zip(values["questions"], self.questions, strict=True):
            row["seconds"] = outcome.seconds
        return json.dumps(values, ensure_ascii=False)


def read_results(path: Path) -> Results:
    """Read what ``--json`` wrote. Raises EvalError where it is something else."""
    try:
        values = json.loads(path.read_bytes())
        if values.pop("format") != FORMAT:
            raise EvalError(f"{path} was written by another version: evaluate anew to compare")
        questions = tuple(Outcome.from_dict(row) for row in values.pop("questions"))
        measures = {name: Figure(**figure) for name, figure in values.pop("measures").items()}
        return Results(questions=questions, measures=measures, **values)
    except OSError as error:
        raise EvalError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise EvalError(f"{path} holds no results: rag eval SET --json writes them") from None


def _read_shown(values: dict[str, Any]) -> Shown:
    place = Place(**values.pop("place"))
    also_in = tuple(Place(**other) for other in values.pop("also_in"))
    return Shown(place, also_in=also_in, **values)
