"""Answers as the shell shows them: JSON objects by the contract, and text for a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from typing import NotRequired, TypedDict

from rag.types import Answer, Document, Hit, Quote

PASSAGES = 10  # hits that an answer's object lists
NEAREST = 3  # hits that a refusal shows

_HARMLESS = {"\n", "\t", "\u200c", "\u200d"}  # the joiners shape letters and emoji


class PlaceObject(TypedDict):
    """A place of a document: characters of its text, end exclusive."""

    document: str
    start: int
    end: int


class HitObject(PlaceObject):
    """A passage with its score; higher is better."""

    score: float


class FoundObject(HitObject):
    """A passage as ``rag search --json`` lists it."""

    text: str


class DocumentObject(TypedDict):
    """A document with its text, in which all offsets count characters."""

    name: str
    title: str
    text: str
    digest: str  # SHA-256 of the file, hex
    date: str | None
    source: str | None
    pages: list[int]  # where each page starts


class QuoteObject(HitObject):
    """A quote with the other places of its words."""

    title: str
    page: int | None
    text: str
    also_in: list[PlaceObject]


class AnswerObject(TypedDict):
    """One answer as ``rag ask --json`` prints it."""

    question: str
    searched_for: NotRequired[str]  # where it was understood otherwise than as it stands
    unanswered: NotRequired[list[str]]  # of several questions in one
    answered: bool
    confidence: float  # 0..1
    seconds: float
    agreeing: list[str]
    differ: bool
    quotes: list[QuoteObject]
    passages: list[HitObject]


def answer_object(answer: Answer) -> AnswerObject:
    """One answer as ``rag ask --json`` prints it."""
    values: AnswerObject = {
        "question": answer.question,
        "answered": answer.answered,
        "confidence": round(answer.confidence, 4),
        "seconds": round(answer.seconds, 4),
        "agreeing": list(answer.agreeing),
        "differ": answer.differ,
        "quotes": [_quote_object(quote) for quote in answer.quotes],
        "passages": [hit_object(hit) for hit in answer.hits[:PASSAGES]],
    }
    if answer.searched_for:
        values["searched_for"] = answer.searched_for
    if answer.unanswered:
        values["unanswered"] = list(answer.unanswered)
    return values


def hit_object(hit: Hit) -> HitObject:
    """One passage as ``rag ask --json`` lists it."""
    return {
        "document": hit.passage.document,
        "start": hit.passage.start,
        "end": hit.passage.end,
        "score": round(hit.score, 4),
    }


def found_object(hit: Hit, document: Document) -> FoundObject:
    """One passage with its text, as ``rag search --json`` lists it."""
    text = document.text[hit.passage.start : hit.passage.end]
    return FoundObject(**hit_object(hit), text=text)


def document_object(document: Document) -> DocumentObject:
    """A document for programs."""
    return DocumentObject(
        name=document.name,
        title=document.title,
        text=document.text,
        digest=document.digest,
        date=document.date,
        source=document.source,
        pages=list(document.pages),
    )


def _quote_object(quote: Quote) -> QuoteObject:
    return {
        "document": quote.document.name,
        "title": quote.document.title,
        "page": quote.page,
        "start": quote.start,
        "end": quote.end,
        "text": quote.text,
        "score": round(quote.score, 4),
        "also_in": [
            {"document": other.document.name, "start": other.start, "end": other.end}
            for other in quote.also_in
        ],
    }


def place(document: Document, start: int) -> str:
    """Where a character stands, for a citation: the page, or the line where there are no pages."""
    page = document.page(start)
    return f"page {page}" if page else f"line {document.line(start)}"


def answer_lines(answer: Answer, nearest: Sequence[tuple[Hit, Document]]) -> Iterator[str]:
    """An answer for a terminal: its quotes, then their numbered citations.

    ``nearest`` is shown with a refusal.
    """
    if answer.searched_for:
        yield printable(f"Searched for: {answer.searched_for}\n")
    if not answer.answered:
        yield "The documents do not answer this."
        yield from _nearest_lines(nearest)
        return
    if accord := say_accord(answer):
        yield f"{accord}:\n"
    for number, quote in enumerate(answer.quotes, 1):
        yield f"“{printable(quote.text)}” [{number}]\n"
    for part in answer.unanswered:
        yield printable(f"The documents do not answer: {part}\n")
    for number, quote in enumerate(answer.quotes, 1):
        yield f"[{number}] {_citation(quote)}"
        for other in quote.also_in:
            yield f"    also in {_citation(other)}"


def say_accord(answer: Answer) -> str:
    """Whether several documents say so, or differ; empty where neither is known."""
    if answer.differ:
        return "The sources differ"
    if len(answer.agreeing) > 1:
        return f"{len(answer.agreeing)} documents say so"
    return ""


def _nearest_lines(nearest: Sequence[tuple[Hit, Document]]) -> Iterator[str]:
    if nearest:
        yield "The nearest passages:"
    for hit, document in nearest:
        yield f"\n{passage_line(hit, document)}"


def passage_line(hit: Hit, document: Document) -> str:
    """A passage for a terminal: its place, then its text on one line."""
    start, end = hit.passage.start, hit.passage.end
    words = " ".join(document.text[start:end].split())
    return printable(f"{document.name}, {place(document, start)}: {words}")


def _citation(quote: Quote) -> str:
    document = quote.document
    dated = f" ({document.date})" if document.date else ""
    return printable(f"{document.title}{dated}, {document.name}, {place(document, quote.start)}")


def printable(text: str) -> str:
    """Replace what could steer a terminal or turn the direction of writing by its code point."""
    return "".join(
        f"<U+{ord(c):04X}>" if unicodedata.category(c)[0] == "C" and c not in _HARMLESS else c
        for c in text.replace("\r\n", "\n")
    )
