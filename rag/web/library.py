"""What the chat answers from: the generation in use and the model."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Hashable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import cached_property, lru_cache
from pathlib import Path

from rag.answer import answer
from rag.documents.files import open_file, read_bytes
from rag.documents.pdf import Span
from rag.documents.sheet import draw_sheet
from rag.encoder import Encoder
from rag.errors import DocumentError, QuestionError
from rag.evals.feedback import Judgement, record
from rag.home import find_home
from rag.index import Index
from rag.render import DocumentObject, FoundObject, document_object, found_object
from rag.settings import Settings
from rag.types import EVERYTHING, Answer, Document, Scope
from rag.web.runs import Runs
from rag.web.shelf import Shelf

_MOST_DRAWINGS = 2  # pages drawn at the same time
_KEPT_SHEETS = 32

_log = logging.getLogger(__name__)


class Library:
    """The generation in use and the model, shared by all questions.

    The model is loaded in the background, so that the page need not wait for it. When
    another is put in use, the next question opens that; questions in flight keep the old one.
    """

    def __init__(
        self,
        corpus: Path,
        index: Path | str,
        settings: Settings,
        encoder: Encoder,
        sets: Path | None = None,
    ) -> None:
        self._corpus = corpus
        self._home = find_home(index)
        self._index = index
        self._settings = settings
        self._encoder = encoder
        self._sets = sets
        self._loaded: Future[None] = Future()
        self._lock = threading.Lock()
        self._generation: Index | None = None
        self._stamp: Hashable = None
        self._drawing = threading.Semaphore(_MOST_DRAWINGS)
        self.draw_sheet = lru_cache(_KEPT_SHEETS)(self._draw_sheet)

    def load(self) -> None:
        """Begin to load the model and the index, and return at once."""
        threading.Thread(target=self._load, name="load the model", daemon=True).start()

    def _load(self) -> None:
        try:
            self._encoder.encode(["warm up"])
        except Exception as error:
            _log.error("the model cannot be loaded: %s", error)
            self._loaded.set_exception(error)
            return
        with suppress(Exception):  # raised again, and told, when a question is asked
            answer("warm up", self.current(), self._encoder, self._settings)
        self._loaded.set_result(None)

    @property
    def is_loaded(self) -> bool:
        """Whether the wait for the model is over, well or not."""
        return self._loaded.done()

    @property
    def has_model(self) -> bool:
        return self._loaded.done() and self._loaded.exception() is None

    def current(self) -> Index:
        """The generation in use, opened when it is another. Raise BadIndex with the cure."""
        with self._lock:
            stamp = self._home.stamp()
            if self._generation is None or stamp != self._stamp:
                self._generation = self._home.open()
                self._stamp = stamp
            return self._generation

    def answer(
        self,
        question: str,
        scope: Scope = EVERYTHING,
        thread: Sequence[str] = (),
        *,
        as_written: bool = False,
    ) -> tuple[Answer, Index]:
        """Answer once the model is loaded; return also the generation that answered.

        ``thread`` and ``as_written`` are those of ``rag.answer``. Raises RagError with the cure
        when that cannot be done.
        """
        self._loaded.result()
        generation = self.current()
        generation.check_model(self._encoder)
        found = answer(
            question,
            generation,
            self._encoder,
            self._settings,
            scope,
            thread,
            as_written=as_written,
        )
        return found, generation

    def find_passages(self, question: str, k: int) -> list[FoundObject]:
        """The ``k`` passages nearest to a question, best first, each with its text."""
        found, generation = self.answer(question)
        return [
            found_object(hit, generation.document(hit.passage.document))
            for hit in found.hits[: max(k, 0)]
        ]

    def find_document(self, name: str) -> DocumentObject:
        """A document for programs. Raises QuestionError where the index has none of that name."""
        try:
            return document_object(self.current().document(name))
        except KeyError:
            raise QuestionError(f"no document called {name} is in the index") from None

    @cached_property
    def shelf(self) -> Shelf:
        """The corpus, to be changed where the settings allow it."""
        allowed = self._settings.add_documents
        return Shelf(self._corpus, self._index, self._encoder, self._settings, open_=allowed)

    @cached_property
    def runs(self) -> Runs:
        """Evals of the index in use."""
        return Runs(self._index, self._encoder, self._settings, self._sets)

    def record(self, judgement: Judgement) -> None:
        """Keep what a reader said of an answer. Raises EvalError for a place that is not there."""
        record(self._home.folder, judgement, self.current())

    def _draw_sheet(self, document: Document, page: int, spans: tuple[Span, ...]) -> bytes:
        """A page of a PDF as WebP, the spans marked; drawn from the very file that was indexed.

        Raises DocumentError where that file is no longer in the corpus, or cannot be drawn.
        """
        with open_file(self._corpus, document.name) as file:
            data = read_bytes(file, self._settings.max_file_mb << 20)
        if hashlib.sha256(data).hexdigest() != document.digest:
            raise DocumentError("has changed since it was indexed: rag index reads it anew")
        with self._drawing:
            return draw_sheet(data, page, spans, document.text)
