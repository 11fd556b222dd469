"""Question → answer or refusal: the life of a question on one screen."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rag.confidence import judge, read_signals
from rag.encoder import Encoder
from rag.errors import QuestionError
from rag.generation import Generation
from rag.question import read_question
from rag.quote import choose_quotes
from rag.rerank import Ranking, read_hits
from rag.retrieve import retrieve
from rag.settings import Settings
from rag.spelling import correct_spelling
from rag.thread import carry_over, is_whole
from rag.types import Answer

MAX_QUESTION = 1_000  # characters: about what the model reads at once


def answer(
    question: str,
    generation: Generation,
    encoder: Encoder,
    settings: Settings,
    documents: Sequence[str] = (),
    thread: Sequence[str] = (),
    *,
    as_written: bool = False,
) -> Answer:
    """Answer from all documents, or from those named, in their own words; or refuse.

    ``thread`` is what was said before, questions and answers, oldest first: a question that leans
    on it is understood in its light. ``as_written`` leaves it out, and corrects no typing error.
    Raises QuestionError for an empty or overlong question and for a document that is not in the
    index.
    """
    clock = _Clock()
    _check(question, documents, generation)
    meant = question if as_written else correct_spelling(question, encoder, generation.lexical)
    earlier = () if as_written else carry_over(meant, thread)
    asked = read_question(meant, encoder, generation, earlier)
    clock.lap("encode")
    found = retrieve(asked, generation, settings, documents)
    clock.lap("retrieve")
    ranking = Ranking(asked, read_hits(asked, found, generation), generation)
    hits = ranking.rerank(found, settings.rerank_weight)
    clock.lap("rerank")
    signals = read_signals(ranking)
    confidence = judge(signals)
    choice = choose_quotes(ranking, settings.max_quotes)
    if confidence < settings.threshold:
        choice = choice.refuse()
    clock.lap("quote")
    searched_for = asked.understood if asked.understood != question else ""
    return Answer(
        question, choice.quotes, confidence, signals, tuple(hits), clock.stages,
        choice.further, choice.agreeing, choice.differ, searched_for,
    )  # fmt: skip


def _check(question: str, documents: Sequence[str], generation: Generation) -> None:
    if not question.strip():
        raise QuestionError("the question is empty: type what you want to know")
    if not is_whole(question):
        raise QuestionError("the question holds half of a character: type it anew")
    if len(question) > MAX_QUESTION:
        raise QuestionError(
            f"the question has {len(question):,} characters: ask it in {MAX_QUESTION:,} or fewer"
        )
    unknown = set(documents) - set(generation.names)
    if unknown:
        raise QuestionError(f"no document called {min(unknown)} is in the index: see rag index")


class _Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.stages[stage] = now - self._last
        self._last = now
