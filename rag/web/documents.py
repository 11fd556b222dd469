"""The page of documents: what is in the index, what cannot be read, and changes to the corpus."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse

from rag.errors import RagError
from rag.web.library import Library
from rag.web.markup import show_documents
from rag.web.routes import DESK_HEADERS
from rag.web.shelf import Shelf


def make_documents_router(library: Library, shelf: Shelf, *, accounts: bool = False) -> APIRouter:
    """The routes over a library and its shelf; ``accounts`` tells whether there is a sign-in.

    Changes are made by PUT and DELETE, which no page of another site can send.
    """
    router = APIRouter()

    @router.get("/library", response_class=HTMLResponse)
    def page() -> HTMLResponse:
        return HTMLResponse(_page(library, shelf, accounts=accounts), headers=DESK_HEADERS)

    @router.get("/catalogue")
    def catalogue() -> list[dict[str, Any]]:
        """The documents that can be asked, for the choice of some."""
        try:
            listed = library.current().catalogue()
        except RagError:
            return []
        return [{"name": d.name, "title": d.title, "date": d.date} for d in listed]

    @router.get("/rebuild")
    def state() -> dict[str, Any]:
        return asdict(shelf.state)

    @router.put("/rebuild")
    def rebuild(full: bool = False) -> None:
        _check_open(shelf)
        shelf.rebuild(full=full)

    @router.put("/corpus/{name:path}")
    async def add(name: str, request: Request, replace: bool = False) -> dict[str, str]:
        """Store the body as a file of the corpus and index it."""
        _check_open(shelf)
        try:
            safe = await shelf.add(name, request.stream(), replace=replace)
        except RagError as error:
            raise HTTPException(409, str(error)) from None
        shelf.rebuild()
        return {"name": safe}

    @router.delete("/corpus/{name:path}")
    def remove(name: str) -> None:
        _check_open(shelf)
        try:
            shelf.remove(name)
        except RagError as error:
            raise HTTPException(409, str(error)) from None
        shelf.rebuild()

    return router


def _check_open(shelf: Shelf) -> None:
    if not shelf.is_open:
        raise HTTPException(403, "the corpus cannot be changed from this page (add_documents)")


def _page(library: Library, shelf: Shelf, *, accounts: bool) -> str:
    try:
        generation = library.current()
    except RagError as error:
        return show_documents(
            [], [], {}, {}, is_open=shelf.is_open, accounts=accounts, problem=str(error)
        )
    return show_documents(
        generation.catalogue(),
        generation.manifest.skipped,
        {entry.name: _added(shelf, entry.name) for entry in generation.catalogue()},
        generation.alike(),
        is_open=shelf.is_open,
        accounts=accounts,
    )


def _added(shelf: Shelf, name: str) -> str:
    """The day on which a file was last written; "" where it is no longer there."""
    try:
        seconds = (shelf.corpus / name).stat().st_mtime
    except (OSError, ValueError):
        return ""
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()
