"""A saved conversation against the index in use: which quotes still stand, moved, or are gone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rag.errors import ConversationError
from rag.index import Index
from rag.render import place, printable
from rag.transcript import FORMAT

State = Literal["stands", "moved", "gone"]


@dataclass(frozen=True, slots=True)
class Saved:
    """A quote as it was saved."""

    number: int  # of its turn, from 1
    document: str
    start: int
    end: int
    text: str
    digest: str  # of the document at that time


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a saved quote."""

    quote: Saved
    state: State
    start: int | None  # where its words stand now
    same_document: bool  # the document is, byte for byte, the one that was quoted


def read_conversation(path: Path) -> list[Saved]:
    """The quotes of a conversation saved as JSON, with their other places.

    Raises ConversationError where the file is something else.
    """
    try:
        values = json.loads(path.read_bytes())
        if values["format"] != FORMAT:
            raise ConversationError(f"{path} was saved by another version of this program")
        turns = enumerate(values["turns"], start=1)
        return [saved for number, turn in turns for saved in _read_turn(number, turn)]
    except OSError as error:
        raise ConversationError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ConversationError(
            f"{path} holds no conversation: the chat saves one with Save as JSON"
        ) from None


def _read_turn(number: int, turn: dict[str, Any]) -> Iterator[Saved]:
    for quote in turn["quotes"]:
        for row in (quote, *quote["also_in"]):
            start, end = int(row["start"]), int(row["end"])
            text = str(row.get("text", quote["text"]))
            yield Saved(number, str(row["document"]), start, end, text, str(row["digest"]))


def verify(quote: Saved, generation: Index) -> Verdict:
    """Look whether the words stand where they stood, else whether they stand elsewhere there.

    This is the one place where words are searched for: those of a document that has changed.
    """
    try:
        document = generation.document(quote.document)
    except KeyError:
        return Verdict(quote, "gone", None, same_document=False)
    same = document.digest == quote.digest
    if quote.start >= 0 and document.text[quote.start : quote.end] == quote.text:
        return Verdict(quote, "stands", quote.start, same_document=same)
    places = list(_find_all(quote.text, document.text))
    if not places:
        return Verdict(quote, "gone", None, same_document=same)
    nearest = min(places, key=lambda start: abs(start - quote.start))
    return Verdict(quote, "moved", nearest, same_document=same)


def _find_all(words: str, text: str) -> Iterator[int]:
    start = text.find(words) if words else -1
    while start >= 0:
        yield start
        start = text.find(words, start + 1)


def verdict_line(verdict: Verdict, generation: Index) -> str:
    """One line for a terminal."""
    quote = verdict.quote
    words = " ".join(quote.text.split())
    return printable(
        f"{verdict.state:<6}  turn {quote.number}, {quote.document}, "
        f"{_where(verdict, generation)}: “{words}”"
    )


def _where(verdict: Verdict, generation: Index) -> str:
    quote = verdict.quote
    if verdict.start is None:
        known = quote.document in generation.names
        return "its words are no longer there" if known else "no such document"
    now = place(generation.document(quote.document), verdict.start)
    if verdict.state == "moved":
        return f"now {now}, characters {verdict.start} to {verdict.start + len(quote.text)}"
    return now if verdict.same_document else f"{now} of a document that changed elsewhere"
