"""The words of the project as frozen data types. Imports nothing of ours.

Every offset is a count of characters into ``Document.text``, end exclusive.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

Layout = Literal["prose", "markdown", "rows"]


@dataclass(frozen=True, slots=True)
class Document:
    """One file's text as stored; all offsets count characters of ``text``."""

    name: str  # path relative to the corpus folder, parts joined by "/"
    text: str  # for .txt, .md and .csv the decoded file, newlines as they are
    title: str  # the document's own, or the file's stem
    digest: str  # SHA-256 of the file's bytes, hex
    layout: Layout = "prose"  # how sentences lie in it
    body: int = 0  # where the sentences begin, after front matter
    date: str | None = None  # ISO 8601 where the document's own date could be read as such
    source: str | None = None
    pages: tuple[int, ...] = ()  # where each page starts; empty without pages

    def context(self, heading: str) -> str:
        """What a passage under ``heading`` is read after: the document's own title, the heading."""
        title = "" if self.title == PurePosixPath(self.name).stem else self.title
        return "\n".join(part for part in (title, heading) if part)

    def searchable(self, heading: str, start: int, end: int) -> str:
        """What a passage is found by: its words, after its context."""
        return f"{self.context(heading)}\n{self.text[start:end]}"

    def page(self, offset: int) -> int | None:
        """The page, from 1, on which the character at ``offset`` stands; None without pages."""
        return bisect_right(self.pages, offset) or None

    def line(self, offset: int) -> int:
        """The line, from 1, on which the character at ``offset`` stands."""
        return self.text.count("\n", 0, offset) + 1


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that is not in the index, and why."""

    name: str
    reason: str
    digest: str = ""  # as in Document, empty where the file cannot be opened


@dataclass(frozen=True, slots=True)
class Sentence:
    """A span of a document without surrounding white space."""

    start: int
    end: int
    heading: bool = False  # a heading or caption: found and shown, never quoted alone


@dataclass(frozen=True, slots=True)
class Passage:
    """A run of whole sentences of one document; the unit of retrieval."""

    document: str  # Document.name
    sentences: tuple[Sentence, ...]  # at least one, in order
    heading: str = ""  # the headings in force where it starts, joined by " › "

    @property
    def start(self) -> int:
        return self.sentences[0].start

    @property
    def end(self) -> int:
        return self.sentences[-1].end


@dataclass(frozen=True, slots=True)
class Scope:
    """The documents that a question is asked of: by name, all where there is none, and by date.

    Dates are in ISO 8601, "" for no bound. A date of a month or a year fits where any day of it
    does; a document without a date fits no range.
    """

    documents: tuple[str, ...] = ()
    first: str = ""
    last: str = ""

    def fits(self, date: str | None) -> bool:
        """Whether a document's date is in the range."""
        if not (self.first or self.last):
            return True
        if date is None:
            return False
        return self.first[: len(date)] <= date and (not self.last or date <= self.last)


EVERYTHING = Scope()


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage with the scores that ranked it; higher is better."""

    id: int  # row of the passage in its generation, from 0
    passage: Passage
    score: float
    vector: float  # cosine of question and passage
    lexical: float  # BM25, 0 where no word is shared


@dataclass(frozen=True, slots=True)
class Quote:
    """One sentence or several adjoining ones, chosen to answer; a slice, never a copy."""

    document: Document
    start: int
    end: int
    score: float  # higher is better
    also_in: tuple[Quote, ...] = ()  # the same words in other documents

    @property
    def text(self) -> str:
        return self.document.text[self.start : self.end]

    @property
    def page(self) -> int | None:
        return self.document.page(self.start)


@dataclass(frozen=True, slots=True)
class Answer:
    """Quotes with a confidence, or a refusal (no quotes) with the nearest passages."""

    question: str
    quotes: tuple[Quote, ...]
    confidence: float  # 0..1, that the documents answer the question
    signals: Mapping[str, float]  # what the confidence was judged by
    hits: tuple[Hit, ...]  # best first
    stages: Mapping[str, float]  # seconds by stage, in order
    further: tuple[Quote, ...] = ()  # the next best, not shown as the answer
    agreeing: tuple[str, ...] = ()  # documents that state what the first quote does, its own too
    differ: bool = False  # whether the quotes state different dates or figures
    searched_for: str = ""  # how the question was understood, empty when as it was asked
    unanswered: tuple[str, ...] = ()  # of several questions in one, those that are not answered

    @property
    def seconds(self) -> float:
        return sum(self.stages.values())

    @property
    def answered(self) -> bool:
        return bool(self.quotes)
