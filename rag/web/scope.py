"""What the page sends along with a question: the documents that are asked, and the thread."""

from __future__ import annotations

import json

from rag.errors import QuestionError
from rag.thread import read_thread
from rag.types import Scope


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
