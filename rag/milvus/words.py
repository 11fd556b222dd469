"""BM25 as sparse vectors: a passage's weights as stored, a question's with what is known of words.

The inner product of the two is the score that the local index gives: tantivy's BM25, lengths
rounded as Lucene and tantivy store them, inverse document frequencies of the whole corpus.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

_K1, _B = 1.2, 0.75  # of BM25
_EXACT = 40  # words up to which a length is stored exactly
_NOTHING = {0: 1e-6}  # a vector that no question finds: one without any number is refused
_LONGEST_WORD = 1_000  # characters: no question holds a longer one


@dataclass
class WordCounts:
    """In how many passages each word stands, and how long the passages are."""

    passages: int = 0
    lengths: Counter[str] = field(default_factory=Counter)  # by field, in words, of all together
    standing: dict[str, Counter[str]] = field(
        default_factory=lambda: {name: Counter() for name in ("text", "near", "words")}
    )

    def add(self, fields: Mapping[str, str]) -> None:
        """Count a passage's words as ``read_fields`` gives them."""
        self.passages += 1
        for name, counts in self.standing.items():
            words = split(fields[name])
            counts.update(set(words))
            self.lengths[name] += len(words)

    @cached_property
    def dimensions(self) -> dict[str, int]:
        """The dimension of every word, from 1, once all have been counted."""
        known = dict.fromkeys(word for counts in self.standing.values() for word in counts)
        return {word: number for number, word in enumerate(known, start=1)}

    def weigh(self, name: str, text: str) -> dict[int, float]:
        """The sparse vector of a passage's words, without what is rare about them."""
        words = split(text)
        mean = self.lengths[name] / max(self.passages, 1)
        norm = _K1 * (1 - _B + _B * _rounded(len(words)) / max(mean, 1e-9))
        weights = {
            self.dimensions[word]: (_K1 + 1) * count / (count + norm)
            for word, count in Counter(words).items()
        }
        return weights or _NOTHING


def split(text: str) -> list[str]:
    return [word for word in text.split() if len(word) <= _LONGEST_WORD]


def _rounded(length: int) -> int:
    """A length as it is kept in one byte: four binary digits and an exponent, from 40 on."""
    if length < _EXACT:
        return length
    over = length - 24
    shift = over.bit_length() - 4
    return 24 + (over >> shift << shift)
