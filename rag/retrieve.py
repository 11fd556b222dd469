"""Question → hits: candidates by vector and by words, ranked by both."""

from __future__ import annotations

from collections.abc import Mapping

from rag.index import Index
from rag.question import Question
from rag.settings import Settings
from rag.types import EVERYTHING, Hit, Scope

_RANKS = 60  # the constant of reciprocal rank fusion
_Parts = tuple[tuple[float, Mapping[int, float]], ...]  # share and scores of each kind


def retrieve(
    question: Question,
    generation: Index,
    settings: Settings,
    scope: Scope = EVERYTHING,
) -> list[Hit]:
    """Return the best passages of the documents in scope, best first.

    A passage's score is the sum of its cosine and of two BM25 scores, of its own words and of its
    own with its neighbours', each divided by the best of the question: a convex combination, as in
    Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval" (2023). By ranks
    it is reciprocal rank fusion of the three: Cormack, Clarke and Buettcher (SIGIR, 2009).
    """
    among = generation.select(scope)
    vector, depth = question.encoding.vector, settings.candidates
    cosines = dict(generation.nearest(vector, depth, among))
    words, carried = question.words, question.carried
    own = dict(generation.matching(words, depth, "text", among, carried))
    near = dict(generation.matching(words, depth, "near", among, carried))
    missing = [number for number in {**own, **near} if number not in cosines]
    if missing:
        rows = generation.rows(missing) @ vector
        cosines.update(zip(missing, map(float, rows), strict=True))

    share = settings.vector_weight
    parts: _Parts = ((share, cosines), ((1 - share) / 2, own), ((1 - share) / 2, near))
    if settings.fusion == "ranks":
        parts = tuple((share, _reciprocal_ranks(scores)) for share, scores in parts)
    scores = _combine(cosines, parts)
    ranked = sorted(scores, key=lambda number: (-scores[number], number))
    return [
        Hit(number, passage, scores[number], cosines[number], own.get(number, 0.0))
        for number, passage in zip(ranked, generation.passages(ranked), strict=True)
    ]


def _reciprocal_ranks(scores: Mapping[int, float]) -> dict[int, float]:
    ranked = sorted(scores, key=lambda number: (-scores[number], number))
    return {number: 1 / (_RANKS + rank) for rank, number in enumerate(ranked, start=1)}


def _combine(ids: Mapping[int, float], parts: _Parts) -> dict[int, float]:
    """Sum each id's scores, divided by the best of their kind, with the share of each kind."""
    bests = [max(scores.values(), default=0.0) for _, scores in parts]
    return {
        number: sum(
            share * max(scores.get(number, 0.0), 0.0) / best
            for (share, scores), best in zip(parts, bests, strict=True)
            if best > 0
        )
        for number in ids
    }
