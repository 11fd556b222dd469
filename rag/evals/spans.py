"""Places in documents and the characters and words that they share. Nothing is matched by text."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

TextOf = Callable[[str], str]  # a document's name → its text
WordsOf = Callable[[str], "Words"]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A span of a document: characters, end exclusive."""

    document: str
    start: int
    end: int

    def covers(self, other: Place) -> bool:
        same = self.document == other.document
        return same and self.start <= other.start and other.end <= self.end

    def shared(self, other: Place) -> int:
        """Count the characters that both places have."""
        if self.document != other.document:
            return 0
        return max(0, min(self.end, other.end) - max(self.start, other.start))


@dataclass(frozen=True, slots=True)
class Overlap:
    """How much of the gold is shown, counted in characters or in words.

    Precision, recall and intersection over union are those of Smith and Troynikov, "Evaluating
    Chunking Strategies for Retrieval" (Chroma, 2024): of ``|gold ∩ shown|`` the share in ``shown``,
    in ``gold`` and in ``gold ∪ shown``. A share of nothing is 0.
    """

    both: int
    gold: int
    shown: int

    @property
    def precision(self) -> float:
        return self.both / max(self.shown, 1)

    @property
    def recall(self) -> float:
        return self.both / max(self.gold, 1)

    @property
    def iou(self) -> float:
        return self.both / max(self.gold + self.shown - self.both, 1)


def trim(place: Place, text: str) -> Place:
    """Leave out the white space around a place: sentences and passages never begin or end in it."""
    words = text[place.start : place.end]
    start = place.start + len(words) - len(words.lstrip())
    return Place(place.document, start, start + len(words.strip()))


def merge(places: Iterable[Place], text_of: TextOf) -> list[Place]:
    """Return the same characters as disjoint places in order.

    White space between two places belongs to both: sentences leave it out, labels do not.
    """
    merged: list[Place] = []
    for place in sorted(places):
        last = merged[-1] if merged else None
        if last and _adjoin(last, place, text_of):
            merged[-1] = Place(place.document, last.start, max(last.end, place.end))
        else:
            merged.append(place)
    return merged


def overlap_characters(gold: Sequence[Place], shown: Sequence[Place], text_of: TextOf) -> Overlap:
    """Count characters; each once, however many places hold it."""
    gold, shown = merge(gold, text_of), merge(shown, text_of)
    both = sum(g.shared(s) for g in gold for s in shown)
    return Overlap(both, _size(gold), _size(shown))


def overlap_words(gold: Sequence[Place], shown: Sequence[Place], words_of: WordsOf) -> Overlap:
    """Count words, by where they stand, of which any character is in the place."""
    gold_words, shown_words = _words(gold, words_of), _words(shown, words_of)
    return Overlap(len(gold_words & shown_words), len(gold_words), len(shown_words))


class Words:
    """Where the words of a text stand."""

    def __init__(self, text: str) -> None:
        spans = [match.span() for match in re.finditer(r"\w+", text)]
        self._starts = [start for start, _ in spans]
        self._ends = [end for _, end in spans]

    def within(self, start: int, end: int) -> range:
        """Return the numbers of the words with a character in ``[start, end)``."""
        return range(bisect_right(self._ends, start), bisect_left(self._starts, end))


def _adjoin(first: Place, second: Place, text_of: TextOf) -> bool:
    if first.document != second.document:
        return False
    if second.start <= first.end:
        return True
    return text_of(first.document)[first.end : second.start].isspace()


def _size(places: Iterable[Place]) -> int:
    return sum(place.end - place.start for place in places)


def _words(places: Iterable[Place], words_of: WordsOf) -> set[tuple[str, int]]:
    return {
        (place.document, number)
        for place in places
        for number in words_of(place.document).within(place.start, place.end)
    }
