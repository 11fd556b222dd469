"""Question → answer or refusal: the life of a question on one screen."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from rag.encoder import Encoder
from rag.errors import QuestionError
from rag.generation import Generation
from rag.quote import Candidate, choose_quotes, rank_sentences
from rag.retrieve import retrieve
from rag.settings import Settings
from rag.types import Answer

MAX_QUESTION = 1_000  # characters: about what the model reads at once


def answer(
    question: str,
    generation: Generation,
    encoder: Encoder,
    settings: Settings,
    documents: Sequence[str] = (),
) -> Answer:
    """Answer from all documents, or from those named, in their own words; or refuse.

    Raises QuestionError for an empty or overlong question and for a document that is not in the
    index.
    """
    clock = _Clock()
    _check(question, documents, generation)
    encoded = encoder.encode([question])[0]
    clock.lap("encode")
    hits = retrieve(question, encoded.vector, generation, settings, documents)
    clock.lap("retrieve")
    candidates = rank_sentences(encoded, hits, generation)
    clock.lap("rerank")
    confidence = _confidence(candidates)
    sure = confidence >= settings.threshold
    quotes = choose_quotes(candidates, generation, settings.max_quotes) if sure else ()
    clock.lap("quote")
    return Answer(question, quotes, confidence, tuple(hits), clock.stages)


def _check(question: str, documents: Sequence[str], generation: Generation) -> None:
    if not question.strip():
        raise QuestionError("the question is empty: type what you want to know")
    if len(question) > MAX_QUESTION:
        raise QuestionError(
            f"the question has {len(question):,} characters: ask it in {MAX_QUESTION:,} or fewer"
        )
    unknown = set(documents) - set(generation.names)
    if unknown:
        raise QuestionError(f"no document called {min(unknown)} is in the index: see rag index")


def _confidence(candidates: Sequence[Candidate]) -> float:
    best = max((c.similarity for c in candidates), default=0.0)
    return float(np.clip(best, 0.0, 1.0))


class _Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.stages[stage] = now - self._last
        self._last = now
