"""A question as retrieval and quoting read it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rag.encoder import Encoder, Encoding
from rag.generation import Generation
from rag.lexical import Word, read_words

_STOP_SHARE = 0.5  # of a stop word's weight


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """The text of a question with its vectors, its words, and how much each of them weighs."""

    text: str
    encoding: Encoding
    words: tuple[Word, ...]
    rarity: NDArray[np.float64]  # (words,), inverse document frequency
    weights: NDArray[np.float64]  # (tokens,), sums to 1


def read_question(text: str, encoder: Encoder, generation: Generation) -> Question:
    """Encode a question and weigh its tokens by how rare their words are in the index.

    A word weighs the square root of its inverse document frequency, a stop word half of that;
    its tokens share the weight.
    """
    [encoding] = encoder.encode([text])
    words = tuple(read_words(text))
    rarity = np.array([generation.lexical.rarity(word) for word in words])
    stop = np.array([word.is_stop for word in words], bool)
    weights = _share(np.sqrt(rarity) * np.where(stop, _STOP_SHARE, 1.0), words, encoding)
    return Question(text, encoding, words, rarity, weights)


def _share(
    weights: NDArray[np.float64], words: tuple[Word, ...], encoding: Encoding
) -> NDArray[np.float64]:
    """Divide each word's weight among its tokens; punctuation has none. Sums to 1."""
    starts = np.array([word.start for word in words], np.int64)
    ends = np.array([word.start + len(word.text) for word in words], np.int64)
    owner = np.searchsorted(starts, encoding.starts, "right") - 1
    owned = owner >= 0
    owned[owned] = encoding.starts[owned] < ends[owner[owned]]
    shares = np.zeros(len(owner))
    if owned.any():
        count = np.bincount(owner[owned], minlength=len(words))
        shares[owned] = (weights / np.maximum(count, 1))[owner[owned]]
    total = shares.sum()
    return shares / total if total else np.full(len(owner), 1 / max(len(owner), 1))
