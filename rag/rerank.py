"""Question and hits → scores of sentences and a better order of the hits, by late interaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rag.codes import COSINE
from rag.index import Index
from rag.question import Question
from rag.store import Tokens
from rag.types import Document, Hit, Sentence

READ = 50  # hits that are read sentence by sentence
_BLOCK = 256  # token vectors compared at once
_LOCAL = 10  # hits among whose sentences a token's local rarity is measured
_SAME = 0.7  # cosine from which a sentence is said to hold a token
_HIT_SHARE = 0.2  # of a hit's score, in the score of its sentences
_PAIR_SHARE = 0.3  # of the share of the question's pairs of words that a sentence has as they are
_BEST_SHARE = 0.4  # of a passage's best sentence, where the passage's own similarity counts 1
_LIKE_SHARE = 0.4  # of its likeness to the best passage, likewise
_ASKING = 0.2  # what a sentence that asks loses: it seldom answers


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """The sentences of the best hits, and how well each token of the question matches them."""

    hits: Sequence[Hit]
    sentences: list[tuple[int, Sentence]]  # (place in hits, sentence), in order
    owner: NDArray[np.int64]  # (sentences,), place in hits
    matches: NDArray[np.float32]  # (question tokens, sentences), best cosine of each


def read_hits(question: Question, hits: Sequence[Hit], generation: Index) -> Reading:
    """Compare the question's tokens with those of each sentence, read in its passage."""
    read = hits[:READ]
    sentences = [(n, s) for n, hit in enumerate(read) for s in hit.passage.sentences]
    matches = _best_matches(question, generation.tokens([hit.id for hit in read]))
    return Reading(read, sentences, np.array([n for n, _ in sentences], np.int64), matches)


def _best_matches(question: Question, tokens: Tokens) -> NDArray[np.float32]:
    """The best cosine of each question token in each sentence: (question tokens, sentences)."""
    cosines = _cosines(question.encoding.tokens, tokens.vectors)
    matches = np.zeros((len(cosines), len(tokens.bounds) - 1), np.float32)
    holds = np.diff(tokens.bounds) > 0
    if holds.any():
        starts = tokens.bounds[:-1][holds]
        matches[:, holds] = np.maximum.reduceat(cosines, starts, axis=1)
    return matches


def _cosines(units: NDArray[np.float32], rows: NDArray[np.int8]) -> NDArray[np.float32]:
    """(units, rows); block by block, for what is in the cache is read several times."""
    cosines = np.empty((len(units), len(rows)), np.float32)
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK].astype(np.float32)
        lengths = np.sqrt(np.einsum("ij,ij->i", block, block))
        cosines[:, start : start + _BLOCK] = units @ block.T / np.maximum(lengths * COSINE, 1)
    return cosines


@dataclass(frozen=True, eq=False)
class Ranking:
    """Scores of the sentences that were read, higher is better.

    Each token of the question finds its best match among a sentence's token vectors; the matches
    are averaged with the token's weight: MaxSim of Khattab and Zaharia, "ColBERT" (2020). To a
    sentence's own similarity are added its similarity together with the sentence before it, that
    of its whole passage, a share of the hit's score, and one for words that stand side by side as
    in the question: the ordered phrases of Metzler and Croft, "A Markov Random Field Model for
    Term Dependencies" (2005).
    """

    question: Question
    reading: Reading
    generation: Index

    @cached_property
    def similarity(self) -> NDArray[np.float64]:
        """(hits,), weighted MaxSim of each passage that was read, at most 1."""
        return np.asarray(self.question.weights @ self._whole, np.float64)

    @cached_property
    def scores(self) -> NDArray[np.float64]:
        """(sentences,); a heading, which is never quoted alone, scores -inf."""
        return self.closeness + _PAIR_SHARE * self._pairs

    @cached_property
    def closeness(self) -> NDArray[np.float64]:
        """(sentences,), the scores without the words side by side: whatever the wording."""
        reading, matches, owner = self.reading, self.reading.matches, self.reading.owner
        follows = np.append(False, owner[1:] == owner[:-1])[: len(owner)]
        before = np.where(follows, np.roll(matches, 1, axis=1), -1.0)
        weights = self._local_weights()
        scores = weights @ matches + weights @ np.maximum(matches, before)
        scores += (weights @ self._whole)[owner]
        scores += _HIT_SHARE * np.array([hit.score for hit in reading.hits])[owner]
        scores -= _ASKING * self._asks
        scores[[sentence.heading for _, sentence in reading.sentences]] = -np.inf
        return np.asarray(scores, np.float64)

    @cached_property
    def _pairs(self) -> NDArray[np.float64]:
        """(sentences,), the share of the question's neighbouring words that each has so, 0..1.

        One that asks has none: it may be the question itself.
        """
        words = [word.text.casefold() for word in self.question.words]
        pairs = [f"{first} {second}" for first, second in pairwise(words)]
        said = [sum(pair in key for pair in pairs) for key in self.keys]
        return np.array(said, np.float64) * ~self._asks / max(len(pairs), 1)

    @cached_property
    def _asks(self) -> NDArray[np.bool_]:
        """(sentences,), whether each ends in a question mark."""
        return np.array([text.rstrip(" '\"”)").endswith("?") for text in self.texts], bool)

    @cached_property
    def _whole(self) -> NDArray[np.float32]:
        """(question tokens, hits): the best match of each token in each whole passage."""
        return np.maximum.reduceat(self.reading.matches, self._firsts, axis=1)

    @cached_property
    def _firsts(self) -> NDArray[np.int64]:
        """(hits,), where the sentences of each begin."""
        owner = self.reading.owner
        return np.flatnonzero(np.append(True, owner[1:] != owner[:-1]))

    def _local_weights(self) -> NDArray[np.float64]:
        """The question's weights, less for a token that most sentences of the best hits hold."""
        nearest = self.reading.matches[:, self.reading.owner < _LOCAL]
        held = (nearest > _SAME).mean(axis=1)
        weights = self.question.weights * np.log1p(1 / (held + 0.02))
        return np.asarray(weights / max(weights.sum(), np.finfo(np.float64).tiny), np.float64)

    @cached_property
    def texts(self) -> list[str]:
        """The text of each sentence that was read."""
        passages = [hit.passage for hit in self.reading.hits]
        texts = self.generation.texts(passages)
        return [
            texts[n][sentence.start - passages[n].start : sentence.end - passages[n].start]
            for n, sentence in self.reading.sentences
        ]

    @cached_property
    def keys(self) -> list[str]:
        """What sentences with the same words have in common."""
        return [" ".join(text.split()).casefold() for text in self.texts]

    def document(self, hit: int) -> Document:
        """The document of the hit at this place."""
        return self.generation.document(self.reading.hits[hit].passage.document)

    def rerank(self, hits: Sequence[Hit], weight: float) -> list[Hit]:
        """The hits, best first, to those that were read ``weight`` times their worth added.

        Worth is the passage's similarity, a share of the score of its best sentence, and one of its
        cosine with the passage that is best so far: what is like the best is about the same thing,
        the relevance feedback of Rocchio (1971) taken from one passage.
        """
        read = self.reading.hits
        if not read:
            return list(hits)
        best = np.maximum(np.maximum.reduceat(self.scores, self._firsts), 0.0)
        scores = np.array([hit.score for hit in read], np.float64)
        scores += weight * (self.similarity + _BEST_SHARE * best)
        rows = self.generation.rows([hit.id for hit in read])
        scores += weight * _LIKE_SHARE * (rows @ rows[scores.argmax()])
        scored = [replace(h, score=s) for h, s in zip(read, scores.tolist(), strict=True)]
        return sorted(scored, key=lambda hit: (-hit.score, hit.id)) + list(hits[len(read) :])
