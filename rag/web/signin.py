"""Sign-in: a plain page, sessions in memory, and limits to how often one may try."""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from rag.accounts import Accounts
from rag.web.limit import Limit
from rag.web.markup import show_sign_in

if TYPE_CHECKING:
    from collections.abc import Callable

_COOKIE = "chapter-and-verse"
_LIFE = 12 * 3600  # seconds
_MOST_SESSIONS = 10_000
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
}
_WRONG = "That name and password do not go together."


@dataclass(frozen=True, slots=True)
class _Session:
    name: str
    digest: str  # of the account's password when it was opened: another password ends it
    ends: float


class SignIn:
    """Who is signed in, and the page for it."""

    def __init__(self, accounts: Accounts, now: Callable[[], float] = time.monotonic) -> None:
        self._accounts = accounts
        self._now = now
        self._sessions: dict[bytes, _Session] = {}  # by the SHA-256 of what the cookie holds
        self._tries = {"name": Limit(30, 3600), "address": Limit(10, 300)}

    def name_of(self, request: Request) -> str | None:
        """The account that a request's session belongs to."""
        session = self._sessions.get(_key(request))
        if session is None or session.ends < self._now():
            return None
        known = self._accounts.current().get(session.name)
        return session.name if known == session.digest else None

    def ask(self, request: Request) -> Response:
        """Send a browser to the page, to come back afterwards."""
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"/sign-in?{urlencode({'to': request.url.path + query})}", 303)

    def make_router(self) -> APIRouter:
        router = APIRouter()
        router.get("/sign-in")(self._show)
        router.post("/sign-in")(self._sign_in)
        router.post("/sign-out")(self._sign_out)
        return router

    def _show(self, request: Request, to: str = "/") -> Response:
        return _page(200, self.name_of(request) or "", to)

    async def _sign_in(self, request: Request) -> Response:
        fields = parse_qs((await request.body()).decode("utf-8", "replace"))
        name, password, to = (fields.get(key, [""])[0] for key in ("name", "password", "to"))
        if wait := self._wait(request, name):
            return _page(429, "", to, f"Too many tries: wait {wait} seconds.")
        if not await run_in_threadpool(self._accounts.check, name, password):
            return _page(403, "", to, _WRONG)
        reply = RedirectResponse(_within(to), 303)
        self._open(name, request, reply)
        return reply

    def _wait(self, request: Request, name: str) -> int:
        address = request.client.host if request.client else ""
        callers = {"name": name, "address": address}
        wait = max(limit.take(callers[key]) for key, limit in self._tries.items())
        return int(wait) + 1 if wait else 0

    def _open(self, name: str, request: Request, reply: Response) -> None:
        now = self._now()
        self._sessions.pop(_key(request), None)
        alive = {key: session for key, session in self._sessions.items() if session.ends > now}
        while len(alive) >= _MOST_SESSIONS:
            del alive[next(iter(alive))]
        token = secrets.token_urlsafe(32)
        session = _Session(name, self._accounts.current()[name], now + _LIFE)
        self._sessions = alive | {_hash(token): session}
        is_encrypted = request.url.scheme == "https"
        reply.set_cookie(
            _COOKIE, token, max_age=_LIFE, secure=is_encrypted, httponly=True, samesite="lax"
        )

    def _sign_out(self, request: Request) -> Response:
        self._sessions.pop(_key(request), None)
        reply = RedirectResponse("/sign-in", 303)
        reply.delete_cookie(_COOKIE, httponly=True, samesite="lax")
        reply.headers["Clear-Site-Data"] = '"cache", "storage"'
        return reply


def _key(request: Request) -> bytes:
    return _hash(request.cookies.get(_COOKIE, ""))


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _within(to: str) -> str:
    """A place on this server: no address of another, however a browser may read it."""
    is_path = to.startswith("/") and not to.startswith("//")
    return to if is_path and to.isprintable() and "\\" not in to else "/"


def _page(status: int, name: str, to: str, problem: str = "") -> Response:
    return HTMLResponse(show_sign_in(name, _within(to), problem), status, _HEADERS)
