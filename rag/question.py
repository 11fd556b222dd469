"""A question as retrieval and quoting read it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from textwrap import shorten

import numpy as np
from numpy.typing import NDArray

from rag.encoder import Encoder, Encoding, unit_rows
from rag.index import Index
from rag.lexical import Word, read_words, stems_to_find
from rag.thread import points_back

_STOP_SHARE = 0.5  # of a stop word's weight
_CARRIED = 0.2  # what a turn that is carried over counts, where the question counts 1
_MOST_CARRIED = 1_000  # characters of a turn
_SHOWN = 100  # characters of what was carried over

_ASKS = "(?:who|whom|whose|what|when|where|why|which|how)"
_HELPS = "(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|should|may|might)"
_SUBJECT = "(?:it|they|he|she|we|you|i|the|this|that|these|those|there)"
_ASKING = re.compile(rf"\b{_ASKS}\b|^\W*{_HELPS}\b", re.IGNORECASE)
_WHETHER = re.compile(rf"\W*(?:{_HELPS}(?:n['’]t)?|can['’]t|won['’]t)\b", re.IGNORECASE)
_NEXT = re.compile(
    rf"(?<=[?？])\s+(?:and\s+|also\s+)*(?=(?:\w+\s+)?{_ASKS}\b|{_HELPS}\b)"
    rf"|\s*[,;]?\s+and\s+(?=(?:also\s+|in\s+|by\s+|from\s+|for\s+|to\s+|with\s+|at\s+)?{_ASKS}\b"
    rf"|{_HELPS}\s+{_SUBJECT}\b)",
    re.IGNORECASE,
)


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


def split_question(text: str, most: int) -> list[str]:
    """The questions asked in one, at most ``most``; the last one keeps what is over.

    They are cut behind a question mark and before "and", where a question goes on: "Who won, and
    how long was the race?" Each asks, has a word of its own to search for, and stands alone: "Who
    won, and was it close?" asks twice about one thing, and is one question.
    """
    parts = _NEXT.split(text, maxsplit=most - 1) if most > 1 else [text]  # 0 would be no limit
    several = all(map(_asks, parts)) and not any(map(points_back, parts[1:]))
    return parts if several else [text]


def asks_whether(text: str) -> bool:
    """Whether yes or no answers it: "Did she win?", "Isn't it closed?"."""
    return _WHETHER.match(text) is not None


def _asks(part: str) -> bool:
    own = any(not word.is_stop for word in read_words(part))
    return own and _ASKING.search(part) is not None


def read_question(
    text: str,
    encoder: Encoder,
    generation: Index,
    earlier: Sequence[str] = (),
    whole: str = "",
) -> Question:
    """Encode a question and weigh its tokens by how rare their words are in the index.

    A word weighs the square root of its inverse document frequency, a stop word half of that;
    its tokens share the weight. The ``earlier`` turns, and the ``whole`` that it is a part of, are
    read in the same way and added.
    """
    turns = [turn[:_MOST_CARRIED] for turn in (*earlier, whole) if turn]
    first, *others = [
        _read(each, encoding, generation)
        for each, encoding in zip([text, *turns], encoder.encode([text, *turns]), strict=True)
    ]
    question = _add(first, others) if others else first
    after = f" (after “{_shorten(turns[0])}”)" if earlier else ""
    return replace(question, understood=text + after)


def _read(text: str, encoding: Encoding, generation: Index) -> Question:
    words = tuple(read_words(text))
    rarity = np.array(generation.lexical.rarity(words))
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
