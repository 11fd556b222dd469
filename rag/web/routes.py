"""What the server answers beside Gradio: documents, the style sheet, its health."""

from __future__ import annotations

import re
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse, Response

from rag.errors import RagError
from rag.evals.feedback import read_judgement
from rag.types import Document
from rag.web.library import Library
from rag.web.markup import Span, heading_at, is_version, show_document, show_problem, show_programs

_SPAN = re.compile(r"([0-9]{1,12})-([0-9]{1,12})")
_SERVED = ("style.css", "chat.js", "scope.js", "feedback.js", "library.js", "evals.js")
_HEADERS = {
    # A document's page needs nothing but the style sheet: no script could run in it.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

DESK_HEADERS = _HEADERS | {  # of the pages beside the chat: scripts of ours, no frame
    "Referrer-Policy": "same-origin",  # else the form to sign out is sent without its origin
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
        "img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
}


def make_router(library: Library, *, accounts: bool = False) -> APIRouter:
    """The routes over a library; ``accounts`` tells whether there is a sign-in."""
    router = APIRouter()

    @router.get("/documents/{name:path}", response_class=HTMLResponse)
    def document(name: str, request: Request) -> HTMLResponse:
        """The text of a document; each ``quote=START-END`` is marked, the first is scrolled to."""
        return _document_page(library, name, request)

    @router.get("/sheets/{name:path}")
    def sheet(name: str, page: int, request: Request) -> Response:
        """A page of a PDF as an image; each ``quote=START-END`` is marked on it."""
        return _sheet(library, name, page, request)

    @router.get("/health")
    def health() -> dict[str, Any]:
        """Whether the model is loaded, and the generation in use."""
        return {"model": library.has_model, "index": _generation_name(library)}

    @router.get("/programs", response_class=HTMLResponse)
    def programs(request: Request) -> HTMLResponse:
        page = show_programs(str(request.base_url), accounts=accounts)
        return HTMLResponse(page, headers=DESK_HEADERS)

    @router.put("/feedback")
    def feedback(values: dict[str, Any]) -> None:
        """Keep what a reader said of an answer, for ``rag eval --from-feedback``."""
        try:
            library.record(read_judgement(values))
        except RagError as error:
            raise HTTPException(409, str(error)) from None

    for name in _SERVED:
        router.get(f"/{name}")(partial(_serve_file, name))
    return router


def _serve_file(name: str) -> FileResponse:
    return FileResponse(Path(__file__).parent / name, headers={"Cache-Control": "no-cache"})


def _document_page(library: Library, name: str, request: Request) -> HTMLResponse:
    try:
        generation = library.current()
        document = generation.document(name)  # a name in the index, never a path
    except KeyError:
        return _problem(404, "No such document", f"No document called {name} is in the index.")
    except RagError as error:
        return _problem(503, "The index cannot be read", str(error))
    if _is_outdated(document, request):
        return _page(200, show_document(document, (), changed=True))
    try:
        spans = _read_spans(request.query_params.getlist("quote"), document)
    except ValueError as error:
        return _problem(400, "No such place", f"{error} in {name}.")
    headings = [heading_at(generation, document, start) for start, _ in spans]
    return _page(200, show_document(document, spans, changed=False, headings=headings))


def _sheet(library: Library, name: str, page: int, request: Request) -> Response:
    try:
        document = library.current().document(name)
        spans = _read_spans(request.query_params.getlist("quote"), document)
        known = 1 <= page <= len(document.pages) and not _is_outdated(document, request)
        image = library.draw_sheet(document, page, tuple(spans)) if known else None
    except (KeyError, ValueError, RagError):
        image = None
    if image is None:
        return Response(status_code=404, headers=_HEADERS)
    kept = {"Cache-Control": "private, max-age=3600"}  # its address names the document's version
    return Response(image, media_type="image/webp", headers=_HEADERS | kept)


def _is_outdated(document: Document, request: Request) -> bool:
    digest = request.query_params.get("digest")
    return digest is not None and not is_version(document, digest)


def _read_spans(values: list[str], document: Document) -> list[Span]:
    """Raise ValueError for what is not a span of the document, and for spans that overlap."""
    spans = []
    for value in values:
        match = _SPAN.fullmatch(value)
        if not match or not int(match[1]) < int(match[2]) <= len(document.text):
            raise ValueError(f"There is no place {value!r}")
        spans.append((int(match[1]), int(match[2])))
    for (_, end), (start, _) in pairwise(sorted(spans)):
        if start < end:
            raise ValueError(f"There are overlapping places, at {start},")
    return spans


def _generation_name(library: Library) -> str | None:
    try:
        return library.current().name
    except RagError:
        return None


def _problem(status: int, title: str, message: str) -> HTMLResponse:
    return _page(status, show_problem(title, message))


def _page(status: int, html: str) -> HTMLResponse:
    return HTMLResponse(html, status, _HEADERS)
