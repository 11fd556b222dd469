"""Question and hits → quotes, by late interaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rag.generation import Generation
from rag.question import Question
from rag.types import Hit, Quote, Sentence

READ = 50  # hits that are read sentence by sentence
_LOCAL = 10  # hits among whose sentences a token's local rarity is measured
_SAME = 0.7  # cosine from which a sentence is said to hold a token
_HIT_SHARE = 0.2  # of a hit's score, in the score of its sentences
_ASKING = 0.2  # what a sentence that asks loses: it seldom answers
_RANK_SHARE = 0.5  # of a passage's similarity, in its rank among the hits
_WIDEN = 0.9  # a neighbour that scores this share of a sentence joins its quote
_MORE = 0.97  # a further quote is shown when it scores this share of the first


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """The sentences of the best hits, and how well each token of the question matches them."""

    hits: Sequence[Hit]
    sentences: list[tuple[int, Sentence]]  # (place in hits, sentence), in order
    owner: NDArray[np.int64]  # (sentences,), place in hits
    matches: NDArray[np.float32]  # (question tokens, sentences), best cosine of each


def read_hits(question: Question, hits: Sequence[Hit], generation: Generation) -> Reading:
    """Compare the question's tokens with those of each sentence, read in its passage."""
    read = hits[:READ]
    sentences = [(n, s) for n, hit in enumerate(read) for s in hit.passage.sentences]
    columns = [_best_matches(question, hit, generation) for hit in read]
    empty = np.zeros((len(question.encoding.tokens), 0), np.float32)
    matches = np.concatenate([empty, *columns], axis=1)
    return Reading(read, sentences, np.array([n for n, _ in sentences], np.int64), matches)


def _best_matches(question: Question, hit: Hit, generation: Generation) -> NDArray[np.float32]:
    """The best cosine of each question token in each sentence: (question tokens, sentences)."""
    tokens, _, bounds = generation.tokens(hit.id)
    cosines = question.encoding.tokens @ tokens.T
    columns = np.zeros((len(cosines), len(bounds) - 1), np.float32)
    for place, (first, last) in enumerate(pairwise(bounds)):
        if first < last:
            columns[:, place] = cosines[:, first:last].max(axis=1)
    return columns


@dataclass(frozen=True, eq=False)
class Ranking:
    """Scores of the sentences that were read, higher is better.

    Each token of the question finds its best match among a sentence's token vectors; the matches
    are averaged with the token's weight: MaxSim of Khattab and Zaharia, "ColBERT" (2020). To a
    sentence's own similarity are added its similarity together with the sentence before it, that
    of its whole passage, and a share of the hit's score.
    """

    question: Question
    reading: Reading
    generation: Generation

    @cached_property
    def similarity(self) -> NDArray[np.float64]:
        """(sentences,), weighted MaxSim of the sentence alone, at most 1."""
        return np.asarray(self.question.weights @ self.reading.matches, np.float64)

    @cached_property
    def scores(self) -> NDArray[np.float64]:
        """(sentences,); a heading, which is never quoted alone, scores -inf."""
        reading, matches, owner = self.reading, self.reading.matches, self.reading.owner
        follows = np.append(False, owner[1:] == owner[:-1])[: len(owner)]
        before = np.where(follows, np.roll(matches, 1, axis=1), -1.0)
        weights = self._local_weights()
        scores = weights @ matches + weights @ np.maximum(matches, before)
        scores += (weights @ self._whole)[owner]
        scores += _HIT_SHARE * np.array([hit.score for hit in reading.hits])[owner]
        scores -= _ASKING * np.array([self._asks(s) for s in reading.sentences])
        scores[[sentence.heading for _, sentence in reading.sentences]] = -np.inf
        return np.asarray(scores, np.float64)

    @cached_property
    def _whole(self) -> NDArray[np.float32]:
        """(question tokens, hits): the best match of each token in each whole passage."""
        owner = self.reading.owner
        firsts = np.flatnonzero(np.append(True, owner[1:] != owner[:-1]))
        return np.maximum.reduceat(self.reading.matches, firsts, axis=1)

    def _local_weights(self) -> NDArray[np.float64]:
        """The question's weights, less for a token that most sentences of the best hits hold."""
        nearest = self.reading.matches[:, self.reading.owner < _LOCAL]
        held = (nearest > _SAME).mean(axis=1)
        weights = self.question.weights * np.log1p(1 / (held + 0.02))
        return np.asarray(weights / max(weights.sum(), np.finfo(np.float64).tiny), np.float64)

    def _asks(self, place: tuple[int, Sentence]) -> bool:
        return self.text(place).rstrip(" '\"”)").endswith("?")

    def key(self, index: int) -> str:
        """What two sentences with the same words have in common."""
        return " ".join(self.text(self.reading.sentences[index]).split()).casefold()

    def text(self, place: tuple[int, Sentence]) -> str:
        number, sentence = place
        document = self.generation.document(self.reading.hits[number].passage.document)
        return document.text[sentence.start : sentence.end]

    def rerank(self, hits: Sequence[Hit]) -> list[Hit]:
        """The hits, those that were read by their passage's similarity too, best first."""
        whole = self.question.weights @ self._whole
        read = [
            replace(hit, score=hit.score + _RANK_SHARE * float(whole[number]))
            for number, hit in enumerate(self.reading.hits)
        ]
        return sorted(read, key=lambda hit: (-hit.score, hit.id)) + list(hits[len(read) :])


def choose_quotes(ranking: Ranking, most: int) -> tuple[Quote, ...]:
    """As many of the best sentences as answer, at most ``most`` quotes, best first.

    A neighbour that scores nearly as high joins a sentence's quote, quotes that adjoin are joined,
    and the same words in several places are one quote.
    """
    runs: list[range] = []
    taken: set[tuple[str, ...]] = set()
    for index in _good_enough(ranking.scores):
        run = _widen(index, ranking)
        key = _key(run, ranking)
        if key not in taken and not any(set(run) & set(other) for other in runs):
            taken.add(key)
            runs.append(run)
        if len(runs) == most:
            break
    return _join_adjoining([_quote(run, ranking) for run in runs])


def _good_enough(scores: NDArray[np.float64]) -> list[int]:
    """The sentences that score nearly as high as the best, best first."""
    order = np.argsort(-scores, kind="stable")
    best = scores[order[0]] if len(order) else -np.inf
    return [int(i) for i in order if np.isfinite(best) and scores[i] >= _MORE * best]


def _widen(index: int, ranking: Ranking) -> range:
    """The sentence with its neighbours in the passage that score nearly as high."""
    scores, owner = ranking.scores, ranking.reading.owner

    def joins(other: int) -> bool:
        within = 0 <= other < len(scores) and owner[other] == owner[index]
        return bool(within and scores[other] >= _WIDEN * scores[index])

    first = index - 1 if joins(index - 1) else index
    last = index + 1 if joins(index + 1) else index
    return range(first, last + 1)


def _quote(run: range, ranking: Ranking) -> Quote:
    """The run as a quote, with the other places among the hits where the same words stand."""
    score = float(ranking.scores[list(run)].max())
    first = _slice(run, ranking, score)
    others = [_slice(other, ranking, score) for other in _same_words(run, ranking)]
    return replace(first, also_in=tuple(others))


def _slice(run: range, ranking: Ranking, score: float) -> Quote:
    (number, first), (_, last) = (ranking.reading.sentences[i] for i in (run[0], run[-1]))
    document = ranking.generation.document(ranking.reading.hits[number].passage.document)
    return Quote(document, first.start, last.end, score)


def _same_words(run: range, ranking: Ranking) -> list[range]:
    """Other runs of one passage each with the same words, one for each document, in order."""
    wanted, owner = _key(run, ranking), ranking.reading.owner
    found: dict[str, range] = {}
    for start in range(len(owner) - len(run) + 1):
        other = range(start, start + len(run))
        name = ranking.reading.hits[owner[start]].passage.document
        if other == run or owner[other[-1]] != owner[start] or name in found:
            continue
        if ranking.key(start) == wanted[0] and _key(other, ranking) == wanted:
            found[name] = other
    return list(found.values())


def _key(run: range, ranking: Ranking) -> tuple[str, ...]:
    return tuple(ranking.key(index) for index in run)


def _join_adjoining(quotes: Sequence[Quote]) -> tuple[Quote, ...]:
    """Join quotes of one document with nothing but white space between them; best first."""
    joined: list[Quote] = []
    for quote in sorted(quotes, key=lambda q: (q.document.name, q.start)):
        if joined and _adjoin(joined[-1], quote):
            score = max(joined[-1].score, quote.score)
            joined[-1] = replace(joined[-1], end=quote.end, score=score)
        else:
            joined.append(quote)
    return tuple(sorted(joined, key=lambda quote: -quote.score))


def _adjoin(first: Quote, second: Quote) -> bool:
    if first.document.name != second.document.name or first.also_in or second.also_in:
        return False
    return not first.document.text[first.end : second.start].strip()
