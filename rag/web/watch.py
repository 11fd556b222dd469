"""What the server tells of itself: metrics for Prometheus, and a log of JSON lines."""

from __future__ import annotations

import json
import threading
import time
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, TextIO

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag.encoder import Encoder
from rag.errors import RagError
from rag.index import Index
from rag.settings import Settings
from rag.types import Answer
from rag.web import Folders
from rag.web.library import Library

_BOUNDS = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)  # seconds
# The routes that are told apart; a document's name is nobody's business here.
_PARTS = (
    "documents", "library", "corpus", "sheets", "evals", "programs", "feedback", "gradio_api",
    "assets", "static", "sign-in", "health", "ready", "metrics",
)  # fmt: skip


class Watch:
    """Counts and logs; what was asked is logged only with ``questions``."""

    def __init__(self, log: TextIO | None = None, *, questions: bool = False) -> None:
        self._log = log
        self._questions = questions
        self._lock = threading.Lock()
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "rag_requests", "Requests.", ["part", "status"], registry=self._registry
        )
        self._busy = Gauge("rag_requests_in_flight", "Requests now.", registry=self._registry)
        self._answers = Histogram(
            "rag_answer_seconds",
            "Seconds an answer took.",
            ["outcome"],
            buckets=_BOUNDS,
            registry=self._registry,
        )

    def metrics(self) -> str:
        """All metrics in Prometheus's text format."""
        return generate_latest(self._registry).decode()

    def note_answer(self, answer: Answer, seconds: float) -> None:
        """``seconds`` went by from the question to the answer, waiting included."""
        outcome = "answered" if answer.answered else "refused"
        self._answers.labels(outcome).observe(seconds)
        asked = {"question": answer.question} if self._questions else {}
        self._write(
            event=outcome,
            seconds=round(seconds, 4),
            confidence=round(answer.confidence, 4),
            quotes=len(answer.quotes),
            **asked,
        )

    def note_failure(self, error: Exception, seconds: float) -> None:
        self._answers.labels("failed").observe(seconds)
        self._write(event="failed", seconds=round(seconds, 4), error=type(error).__name__)

    def note_request(self, scope: Scope, status: int, seconds: float) -> None:
        part = scope["path"].split("/")[1] if "/" in scope["path"] else ""
        part = part if part in _PARTS else "other"
        self._requests.labels(part, status).inc()
        self._write(
            event="request",
            method=scope["method"],
            part=part,
            status=status,
            seconds=round(seconds, 4),
            client=(scope.get("client") or ("",))[0],
        )

    def in_flight(self) -> AbstractContextManager[object]:
        return self._busy.track_inprogress()

    def _write(self, **fields: Any) -> None:
        if self._log is None:
            return
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self._lock:
            self._log.write(json.dumps({"time": now, **fields}, ensure_ascii=True) + "\n")
            self._log.flush()


class Watched:
    """The outermost layer: every request is counted, refused ones too."""

    def __init__(self, app: ASGIApp, watch: Watch) -> None:
        self._app = app
        self._watch = watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        started = time.perf_counter()

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            with self._watch.in_flight():
                await self._app(scope, receive, note)
        finally:
            self._watch.note_request(scope, status, time.perf_counter() - started)


class WatchedLibrary(Library):
    """A library whose answers are counted."""

    def __init__(
        self, folders: Folders, settings: Settings, encoder: Encoder, watch: Watch
    ) -> None:
        super().__init__(folders.corpus, folders.index, settings, encoder, folders.sets)
        self._watch = watch

    def answer(self, *asked: Any, **options: Any) -> tuple[Answer, Index]:
        started = time.perf_counter()
        try:
            answer, generation = super().answer(*asked, **options)
        except Exception as error:
            self._watch.note_failure(error, time.perf_counter() - started)
            raise
        self._watch.note_answer(answer, time.perf_counter() - started)
        return answer, generation


def make_router(library: Library, watch: Watch) -> APIRouter:
    router = APIRouter()

    @router.get("/ready")
    def ready() -> Response:
        """200 once a question can be answered, else 503 and why."""
        if not library.has_model:
            return PlainTextResponse("the model is not loaded", 503)
        try:
            library.current()
        except RagError:
            return PlainTextResponse("the index cannot be opened", 503)
        return PlainTextResponse("ready")

    @router.get("/metrics")
    def metrics() -> Response:
        return PlainTextResponse(watch.metrics(), media_type="text/plain; version=0.0.4")

    return router
