"""Question and hits → quotes, by late interaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rag.encoder import Encoding
from rag.generation import Generation
from rag.types import Hit, Quote, Sentence

_RANKED_PASSAGES = 10  # hits whose sentences are read
_PASSAGE_SHARE = 0.2  # of a hit's score, in the score of its sentences
_ENOUGH = 0.9  # a further quote scores at least this share of the best


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence that may be quoted, with how well it matches the question."""

    hit: Hit
    place: int  # of the sentence in the hit's passage
    similarity: float  # weighted MaxSim, at most 1
    score: float

    @property
    def sentence(self) -> Sentence:
        return self.hit.passage.sentences[self.place]


def rank_sentences(
    question: Encoding, hits: Sequence[Hit], generation: Generation
) -> list[Candidate]:
    """Score the sentences of the best hits, best first; headings are left out.

    Each token of the question finds its best match among a sentence's token vectors; the matches
    are averaged with the rarity of the question's token as weight: MaxSim of Khattab and Zaharia,
    "ColBERT" (2020), weighted by inverse document frequency.
    """
    weights = _rarity(question.ids, generation)
    candidates = []
    for hit in hits[:_RANKED_PASSAGES]:
        tokens, _, bounds = generation.tokens(hit.id)
        matches = question.tokens @ tokens.T  # (question tokens, passage tokens)
        for place, sentence in enumerate(hit.passage.sentences):
            first, last = bounds[place], bounds[place + 1]
            if sentence.heading or first == last:
                continue
            similarity = float(weights @ matches[:, first:last].max(axis=1))
            score = similarity + _PASSAGE_SHARE * hit.score
            candidates.append(Candidate(hit, place, similarity, score))
    return sorted(candidates, key=lambda c: (-c.score, c.hit.id, c.place))


def choose_quotes(
    candidates: Sequence[Candidate], generation: Generation, most: int
) -> tuple[Quote, ...]:
    """The best sentences as quotes, best first: adjoining ones joined, the same words once."""
    if not candidates:
        return ()
    enough = candidates[0].score * _ENOUGH
    quotes = [_quote(c, generation) for c in candidates if c.score >= enough]
    distinct = _join_adjoining(_merge_same(quotes)[:most])
    return tuple(sorted(distinct, key=lambda quote: -quote.score))


def _quote(candidate: Candidate, generation: Generation) -> Quote:
    document = generation.document(candidate.hit.passage.document)
    return Quote(document, candidate.sentence.start, candidate.sentence.end, candidate.score)


def _rarity(ids: NDArray[np.int32], generation: Generation) -> NDArray[np.float32]:
    """The weight of each token by inverse document frequency; together they weigh 1."""
    frequency = generation.token_counts[ids].astype(np.float32)
    weights = np.log1p((len(generation) - frequency + 0.5) / (frequency + 0.5))
    scaled: NDArray[np.float32] = weights / max(weights.sum(), np.finfo(np.float32).tiny)
    return scaled


def _merge_same(quotes: Iterable[Quote]) -> list[Quote]:
    """Show the same words once: the first stays, and tells where else they stand."""
    merged: dict[str, Quote] = {}
    for quote in quotes:
        words = " ".join(quote.text.split()).casefold()
        first = merged.get(words)
        merged[words] = replace(first, also_in=(*first.also_in, quote)) if first else quote
    return list(merged.values())


def _join_adjoining(quotes: Iterable[Quote]) -> list[Quote]:
    """Join quotes of one document with nothing but white space between them."""
    joined: list[Quote] = []
    for quote in sorted(quotes, key=lambda q: (q.document.name, q.start)):
        last = joined[-1] if joined else None
        if last and _adjoin(last, quote):
            joined[-1] = replace(last, end=quote.end, score=max(last.score, quote.score))
        else:
            joined.append(quote)
    return joined


def _adjoin(first: Quote, second: Quote) -> bool:
    if first.document.name != second.document.name or first.also_in or second.also_in:
        return False
    return not first.document.text[first.end : second.start].strip()
