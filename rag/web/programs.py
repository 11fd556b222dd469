"""The same answers for programs: what Gradio's API serves and gradio_client calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, TypedDict, TypeVar

import gradio as gr
from gradio.events import api

from rag.errors import RagError
from rag.generation import Generation
from rag.render import answer_object
from rag.types import Hit
from rag.web.library import Library
from rag.web.scope import Scope

T = TypeVar("T")


class Found(TypedDict):
    """A passage as ``search`` lists it."""

    document: str
    start: int
    end: int
    score: float
    text: str


def _read_found(hit: Hit, generation: Generation) -> Found:
    name, start, end = hit.passage.document, hit.passage.start, hit.passage.end
    text = generation.document(name).text[start:end]
    return Found(document=name, start=start, end=end, score=hit.score, text=text)


class Endpoints:
    """The endpoints over a library; what a user can mend comes back as the error's message."""

    def __init__(self, library: Library) -> None:
        self._library = library

    def ask(self, question: str, documents: list[str] | None = None) -> dict[str, Any]:
        """Answer a question as ``rag ask --json`` does, from all documents or from those named."""
        found, _ = _tell(lambda: self._library.answer(question, Scope(tuple(documents or ()))))
        return answer_object(found)

    def search(self, question: str, k: int = 5) -> list[Found]:
        """The ``k`` passages nearest to a question, best first, each with its text."""
        found, generation = _tell(lambda: self._library.answer(question))
        return [_read_found(hit, generation) for hit in found.hits[:k]]

    def document(self, name: str) -> dict[str, Any]:
        """A document with its text, in which all offsets count characters."""
        try:
            return asdict(_tell(self._library.current).document(name))
        except KeyError:
            raise gr.Error(f"no document called {name} is in the index") from None

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
