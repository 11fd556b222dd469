"""Question → hits: candidates by vector and by words, ranked by both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rag.generation import Generation
from rag.settings import Settings
from rag.types import Hit


def retrieve(
    question: str,
    vector: NDArray[np.float32],
    generation: Generation,
    settings: Settings,
    documents: Sequence[str] = (),
) -> list[Hit]:
    """Return the best passages, best first, of all documents or of those named.

    ``vector`` is the question's, (dimensions,), unit length. Both scores are scaled to 0..1 within
    the question and summed by ``settings.vector_weight``: a convex combination, as in Bruch,
    Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval" (2023).
    """
    among = generation.passage_ids(documents) if documents else None
    cosines = dict(generation.vectors.search(vector, settings.candidates, among))
    words = dict(generation.lexical.search(question, settings.candidates, documents))
    missing = [number for number in words if number not in cosines]
    rows = generation.vectors.rows(missing) @ vector if missing else ()
    cosines.update(zip(missing, map(float, rows), strict=True))

    by_vector, by_words = _scale(cosines), _scale(dict.fromkeys(cosines, 0.0) | words)
    share = settings.vector_weight
    scores = {n: share * by_vector[n] + (1 - share) * by_words[n] for n in cosines}
    ranked = sorted(scores, key=lambda number: (-scores[number], number))[: settings.candidates]
    return [Hit(n, generation.passage(n), scores[n], cosines[n], words.get(n, 0.0)) for n in ranked]


def _scale(scores: Mapping[int, float]) -> dict[int, float]:
    """Scale to 0..1 between the least and the most."""
    least, most = min(scores.values(), default=0.0), max(scores.values(), default=0.0)
    span = (most - least) or 1.0
    return {number: (score - least) / span for number, score in scores.items()}
