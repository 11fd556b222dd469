"""A question as retrieval and quoting read it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from textwrap import shorten

import numpy as np
from numpy.typing import NDArray

from rag.encoder import Encoder, Encoding, unit_rows
from rag.generation import Generation
from rag.lexical import Word, read_words, stems_to_find

_STOP_SHARE = 0.5  # of a stop word's weight
_CARRIED = 0.2  # what a turn that is carried over counts, where the question counts 1
_MOST_CARRIED = 1_000  # characters of a turn
_SHOWN = 100  # characters of what was carried over


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """A question with its vectors, its words, and how much each of them weighs.

    Where it leans on earlier turns, the encoding holds theirs too, weighted less: the vector is
    their sum, the tokens follow those of the question.
    """

    text: str
    encoding: Encoding
    words: tuple[Word, ...]  # of the question alone
    rarity: NDArray[np.float64]  # (words,), inverse document frequency
    weights: NDArray[np.float64]  # (tokens,), sums to 1
    understood: str  # the question as it was searched for, in words
    carried: Mapping[str, float] = field(default_factory=dict)  # stem → what it counts


def read_question(
    text: str, encoder: Encoder, generation: Generation, earlier: Sequence[str] = ()
) -> Question:
    """Encode a question and weigh its tokens by how rare their words are in the index.

    A word weighs the square root of its inverse document frequency, a stop word half of that;
    its tokens share the weight. The ``earlier`` turns are read in the same way and added.
    """
    turns = [turn[:_MOST_CARRIED] for turn in earlier]
    first, *others = [
        _read(each, encoding, generation)
        for each, encoding in zip([text, *turns], encoder.encode([text, *turns]), strict=True)
    ]
    return _add(first, others) if others else first


def _read(text: str, encoding: Encoding, generation: Generation) -> Question:
    words = tuple(read_words(text))
    rarity = np.array([generation.lexical.rarity(word) for word in words])
    stop = np.array([word.is_stop for word in words], bool)
    weights = _share(np.sqrt(rarity) * np.where(stop, _STOP_SHARE, 1.0), words, encoding)
    return Question(text, encoding, words, rarity, weights, text)


def _add(question: Question, earlier: Sequence[Question]) -> Question:
    """Add the vectors and the words of earlier turns to a question's, weighted less."""
    encodings = [question.encoding, *(turn.encoding for turn in earlier)]
    vectors = [question.encoding.vector, *(_CARRIED * e.vector for e in encodings[1:])]
    weights = [question.weights, *(_CARRIED * turn.weights for turn in earlier)]
    stems = Counter(stem for turn in earlier for stem in stems_to_find(turn.words))
    return replace(
        question,
        encoding=Encoding(
            vector=unit_rows(np.sum(vectors, axis=0, dtype=np.float32)),
            tokens=np.concatenate([e.tokens for e in encodings]),
            starts=np.concatenate([e.starts for e in encodings]),
        ),
        weights=np.concatenate(weights) / sum(map(np.sum, weights)),
        carried={stem: _CARRIED * count for stem, count in stems.items()},
        understood=f"{question.text} (after “{_shorten(earlier[0].text)}”)",
    )


def _shorten(text: str) -> str:
    return shorten(text, _SHOWN, placeholder="…")


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
