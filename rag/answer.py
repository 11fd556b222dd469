"""Question → answer or refusal: the life of a question on one screen."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from rag.confidence import judge, read_signals
from rag.encoder import Encoder
from rag.errors import QuestionError
from rag.index import Index
from rag.question import Question, read_question, split_question
from rag.quote import Choice, choose_quotes, join_choices
from rag.rerank import Ranking, read_hits
from rag.retrieve import retrieve
from rag.settings import Settings
from rag.spelling import correct_spelling
from rag.thread import carry_over, is_whole
from rag.types import EVERYTHING, Answer, Hit, Scope

MAX_QUESTION = 1_000  # characters: about what the model reads at once


def answer(
    question: str,
    generation: Index,
    encoder: Encoder,
    settings: Settings,
    scope: Scope = EVERYTHING,
    thread: Sequence[str] = (),
    *,
    as_written: bool = False,
) -> Answer:
    """Answer in the words of the documents in scope, or refuse.

    ``thread`` is what was said before, questions and answers, oldest first: a question that leans
    on it is understood in its light. Of several questions in one each is answered. ``as_written``
    leaves the thread out, takes the question as one, and corrects no typing error.
    Raises QuestionError for an empty or overlong question and for a document that is not in the
    index.
    """
    clock = _Clock()
    _check(question)
    meant = question if as_written else correct_spelling(question, encoder, generation.lexical)
    parts = [meant] if as_written else split_question(meant, settings.max_quotes)
    earlier = () if as_written else carry_over(meant, thread)
    found: list[_Found] = []
    for part in parts:
        whole = meant if part != meant else ""
        asked = read_question(part, encoder, generation, earlier, whole)
        clock.lap("encode")
        found.append(_find(asked, generation, encoder, settings, scope, clock))
    return _join(question, found, settings.max_quotes, clock)


@dataclass(frozen=True, slots=True)
class _Found:
    """What was found for one question."""

    asked: Question
    hits: Sequence[Hit]
    signals: Mapping[str, float]
    confidence: float
    choice: Choice


def _find(
    asked: Question,
    generation: Index,
    encoder: Encoder,
    settings: Settings,
    scope: Scope,
    clock: _Clock,
) -> _Found:
    found = retrieve(asked, generation, settings, scope)
    clock.lap("retrieve")
    ranking = Ranking(asked, read_hits(asked, found, generation), generation)
    hits = ranking.rerank(found, settings.rerank_weight)
    clock.lap("rerank")
    signals = read_signals(ranking, encoder)
    confidence = judge(signals)
    choice = choose_quotes(ranking, settings.max_quotes)
    if confidence < settings.threshold:
        choice = choice.refuse()
    clock.lap("quote")
    return _Found(asked, hits, signals, confidence, choice)


def _join(question: str, found: Sequence[_Found], most: int, clock: _Clock) -> Answer:
    """One answer to all that was asked in a question; as sure as of the part it is surest of."""
    surest = max(found, key=lambda part: part.confidence)
    choice = join_choices([part.choice for part in found], most)
    searched_for = " · ".join(part.asked.understood for part in found)
    unanswered = [part.asked.text for part in found if not part.choice.quotes]
    return Answer(
        question, choice.quotes, surest.confidence, surest.signals,
        _merge([part.hits for part in found]), clock.stages,
        choice.further, choice.agreeing, choice.differ,
        searched_for if searched_for != question else "",
        tuple(unanswered) if choice.quotes else (),
    )  # fmt: skip


def _merge(rankings: Sequence[Sequence[Hit]]) -> tuple[Hit, ...]:
    """The hits of several rankings, each once, best first."""
    best: dict[int, Hit] = {}
    for hit in chain.from_iterable(rankings):
        if hit.id not in best or best[hit.id].score < hit.score:
            best[hit.id] = hit
    return tuple(sorted(best.values(), key=lambda hit: -hit.score))


def _check(question: str) -> None:
    if not question.strip():
        raise QuestionError("the question is empty: type what you want to know")
    if not is_whole(question):
        raise QuestionError("the question holds half of a character: type it anew")
    if len(question) > MAX_QUESTION:
        raise QuestionError(
            f"the question has {len(question):,} characters: ask it in {MAX_QUESTION:,} or fewer"
        )


class _Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.stages[stage] = self.stages.get(stage, 0.0) + now - self._last
        self._last = now
