"""The same answers for programs: what Gradio's API serves and gradio_client calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import gradio as gr
from gradio.events import api

from rag.errors import RagError
from rag.render import AnswerObject, DocumentObject, FoundObject, answer_object
from rag.thread import Said, read_thread
from rag.types import Scope
from rag.web.library import Library

T = TypeVar("T")


class Endpoints:
    """The endpoints over a library; what a user can mend comes back as the error's message."""

    def __init__(self, library: Library) -> None:
        self._library = library

    def ask(
        self,
        question: str,
        documents: list[str] | None = None,
        thread: list[Said] | None = None,
        as_written: bool = False,
    ) -> AnswerObject:
        """Answer a question in quotations from the documents, or refuse where they do not say.

        documents: answer only from these. thread: what was said before, in whose light a question
        that leans on it is understood. as_written: leave that out, and correct no typing error.
        """
        scope = Scope(tuple(documents or ()))
        found, _ = _tell(
            lambda: self._library.answer(
                question, scope, read_thread(thread or []), as_written=as_written
            )
        )
        return answer_object(found)

    def search(self, question: str, k: int = 5) -> list[FoundObject]:
        """The ``k`` passages nearest to a question, best first, each with its text."""
        return _tell(lambda: self._library.find_passages(question, k))

    def document(self, name: str) -> DocumentObject:
        """A document with its text, in which all offsets count characters."""
        return _tell(lambda: self._library.find_document(name))

    def add_to_page(self) -> None:
        """Serve them; to be called inside the page's Blocks."""
        for endpoint in (self.ask, self.search, self.document):
            api(endpoint, api_name=endpoint.__name__)


def _tell(act: Callable[[], T]) -> T:
    """What ``act`` returns; a user's error as one that Gradio passes on to the caller."""
    try:
        return act()
    except RagError as error:
        raise gr.Error(str(error)) from None
