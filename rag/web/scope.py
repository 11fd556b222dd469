"""What the page sends along with a question: the documents that are asked, and the thread."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from rag.errors import QuestionError
from rag.generation import Generation
from rag.thread import read_thread


@dataclass(frozen=True, slots=True)
class Scope:
    """Documents by name, all where there is none, and a range of dates in ISO 8601."""

    documents: tuple[str, ...] = ()
    first: str = ""
    last: str = ""

    def names(self, generation: Generation) -> Sequence[str]:
        """The documents meant, () where all are.

        A date of a month or a year fits where any day of it does; a document without a date fits
        no range. Raises QuestionError where no document is left.
        """
        if self == EVERYTHING:
            return ()
        names = [
            listed.name
            for listed in generation.catalogue()
            if (not self.documents or listed.name in self.documents) and self._fits(listed.date)
        ]
        if not names:
            raise QuestionError("none of the documents chosen is in the index: choose others")
        return names

    def _fits(self, date: str | None) -> bool:
        if not (self.first or self.last):
            return True
        if date is None:
            return False
        return self.first[: len(date)] <= date and (not self.last or date <= self.last)


EVERYTHING = Scope()


def read_scope(text: str) -> Scope:
    """A scope as the page keeps it. Raises QuestionError for anything else."""
    try:
        values = json.loads(text or "{}")
        documents, first, last = (values.get(name) for name in ("documents", "from", "to"))
        names = tuple(map(str, documents or ()))
    except (ValueError, AttributeError, TypeError, RecursionError):
        raise QuestionError("the choice of documents cannot be read: choose them anew") from None
    return Scope(names, str(first or ""), str(last or ""))


def read_said(text: str) -> tuple[str, ...]:
    """A thread as the page keeps it. Raises QuestionError for anything else."""
    try:
        return read_thread(json.loads(text or "[]"))
    except (ValueError, RecursionError):
        raise QuestionError("the thread cannot be read: begin a new conversation") from None
