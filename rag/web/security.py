"""Who may call: trusted hosts, same origin, sign-in, limits, and the headers of every reply.

One layer around the whole server, Gradio's routes included, so that a route cannot be forgotten.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import re
from collections.abc import Collection
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import PlainTextResponse, Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag.web.limit import Limit
from rag.web.signin import SignIn

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_API = "/gradio_api/"
# What our page and Gradio's clients need of Gradio; nothing of the rest is for anyone. Uploads are
# not needed: files of the corpus are put by a route of ours, and Gradio keeps its own for ever.
_OPEN_API = re.compile(
    r"/gradio_api/(?:queue/(?:join|data)|run/predict|call/.+|info|startup-events|heartbeat/\w+"
    r"|cancel|reset|app_id)/?"
)
_CLOSED = re.compile(
    r"/(?:login|logout|monitoring|token|dev|deep_link|proxy=|openapi\.json)(?:/.*)?"
)
_UNGUARDED = frozenset({"/health", "/ready", "/sign-in", "/style.css", "/favicon.ico"})
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE"})
_MOST_BODY = 1 << 20  # bytes of a request that uploads nothing
_MOST_SIGN_IN = 8 << 10  # bytes; it is read before anyone is known
_STATIC = re.compile(r"/(?:assets|static|svelte)/.*|/[^/]+\.(?:css|ico|js)")  # alike for everyone
_SCRIPT = re.compile(rb"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL)
# Gradio makes functions of our listeners' code (unsafe-eval) and styles elements in place; its own
# scripts in the page are named by their hashes, so that no other script there runs.
_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-eval' {hashes}; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self'; manifest-src 'self'; frame-src 'self'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'self'"
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "SAMEORIGIN",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_YEAR = 31_536_000  # seconds


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens on ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Guard:
    """The layer; with ``sign_in`` every caller needs an account, and has limits."""

    def __init__(
        self,
        app: ASGIApp,
        hosts: Collection[str] = (),
        sign_in: SignIn | None = None,
        most_upload: int = _MOST_BODY,  # bytes
        calls: int = 600,  # of one caller in a minute
    ) -> None:
        self._app = app
        self._hosts = _LOOPBACK | {host.lower() for host in hosts}
        self._sign_in = sign_in
        self._most_upload = most_upload
        self._calls = Limit(calls, 60)
        self._questions = Limit(60, 60)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            secured = _Secured(scope, send, is_private=self._sign_in is not None)
            refusal = await self._refuse(Request(scope, receive))
            await (refusal or self._app)(scope, receive, secured.send)
        else:
            await send({"type": "websocket.close"})  # we have none

    async def _refuse(self, request: Request) -> Response | None:
        """Why a request goes no further; None where it may."""
        return (
            self._refuse_host(request)
            or _refuse_origin(request)
            or _refuse_route(request)
            or self._refuse_size(request)
            or (await self._refuse_stranger(request) if self._sign_in else None)
        )

    def _refuse_host(self, request: Request) -> Response | None:
        """A web site whose name is made to point here (DNS rebinding) sends its own name."""
        host = _host_name(request.headers.get("host", ""))
        if host in self._hosts or (self._sign_in and _is_address(host)):
            return None
        return _say(421, "This server does not answer to that name: start it with --name.")

    def _refuse_size(self, request: Request) -> Response | None:
        length = request.headers.get("content-length", "0")  # without one there is no body
        if "transfer-encoding" in request.headers or not length.isdecimal():
            return _say(411, "Say how long the request is: Content-Length is missing.")
        most = self._most_bytes(request.url.path)
        if int(length) > most:
            return _say(413, f"This is over the limit of {most / 2**20:.4g} MB.")
        return None

    def _most_bytes(self, path: str) -> int:
        if path.startswith("/corpus/"):
            return self._most_upload
        return _MOST_SIGN_IN if path == "/sign-in" else _MOST_BODY

    async def _refuse_stranger(self, request: Request) -> Response | None:
        assert self._sign_in
        name = self._sign_in.name_of(request)
        if wait := self._wait(request, name):
            reply = _say(429, f"That was too often. Please try again in {wait} seconds.")
            reply.headers["Retry-After"] = str(wait)
            return reply
        if name or request.url.path in _UNGUARDED or _is_scrape(request):
            return None
        if request.method == "GET" and not request.url.path.startswith(_API):
            return self._sign_in.ask(request)
        return _say(401, "Sign in first, at /sign-in.")

    def _wait(self, request: Request, name: str | None) -> int:
        address = request.client.host if request.client else ""
        limits = [self._calls]
        if request.url.path.startswith((f"{_API}queue/join", f"{_API}call/", f"{_API}run/")):
            limits.append(self._questions)
        wait = max(limit.take(name or f"at {address}") for limit in limits)
        return int(wait) + 1 if wait else 0


def _refuse_origin(request: Request) -> Response | None:
    """A browser says which page a request comes from: one of another origin may only link here."""
    site = request.headers.get("sec-fetch-site", "none")
    origin = request.headers.get("origin")
    fine = site in {"same-origin", "none"} or _is_followed_link(request)
    if fine and (origin is None or origin.partition("://")[2] == request.headers.get("host")):
        return None
    return _say(403, "Pages of other sites may not use this server.")


def _is_followed_link(request: Request) -> bool:
    return (
        request.method == "GET"
        and request.headers.get("sec-fetch-mode") == "navigate"
        and request.headers.get("sec-fetch-dest") == "document"
        and not request.url.path.startswith(_API)
    )


def _refuse_route(request: Request) -> Response | None:
    path = request.url.path
    if request.method not in _METHODS:
        return _say(405, "No such method.")
    closed = _CLOSED.fullmatch(path) or (path + "/").startswith(_API)
    return _say(404, "Not found.") if closed and not _OPEN_API.fullmatch(path) else None


def _is_scrape(request: Request) -> bool:
    """Whether a program on this machine asks for the metrics."""
    from_here = request.client is not None and is_loopback(request.client.host)
    return request.url.path == "/metrics" and from_here


def _host_name(host: str) -> str:
    """The name in a Host header, without the port; "" where it is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_address(host: str) -> bool:
    """Whether it is an IP address: no name of another site's can be behind it."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _say(status: int, message: str) -> Response:
    return PlainTextResponse(message, status)


class _Secured:
    """Passes a reply on with the headers of security.

    A page is held until it is whole, for the hashes of its scripts.
    """

    def __init__(self, scope: Scope, send: Send, *, is_private: bool) -> None:
        self._send = send
        self._is_kept = not is_private or _STATIC.fullmatch(scope["path"]) is not None
        self._is_encrypted = scope["scheme"] == "https"
        self._is_asset = scope["type"] == "http" and scope["path"].startswith("/assets/")
        self._start: Message | None = None
        self._body = b""
        if scope["type"] == "http" and scope["path"] == "/":
            headers = Headers(scope=scope).mutablecopy()
            del headers["accept-encoding"]  # a compressed page has no scripts to be hashed
            scope["headers"] = headers.raw

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = self._secure(message)
            if _is_page(headers) and "content-security-policy" not in headers:
                self._start = message
                return
        if self._start is None:
            await self._send(message)
            return
        self._body += message.get("body", b"")
        if not message.get("more_body"):
            MutableHeaders(scope=self._start)["Content-Security-Policy"] = _policy(self._body)
            await self._send(self._start)
            await self._send({"type": "http.response.body", "body": self._body})

    def _secure(self, start: Message) -> MutableHeaders:
        headers = MutableHeaders(scope=start)
        for name, value in _HEADERS.items():
            headers.setdefault(name, value)
        if self._is_asset and start["status"] == 200:
            headers["Cache-Control"] = f"private, max-age={_YEAR}, immutable"  # named by its hash
        if self._is_encrypted:
            headers["Strict-Transport-Security"] = f"max-age={_YEAR}"
        if not self._is_kept:
            headers["Cache-Control"] = "no-store"
        for name in [name for name in headers if name.startswith("access-control-")]:
            del headers[name]
        return headers


def _is_page(headers: MutableHeaders) -> bool:
    return headers.get("content-type", "").startswith("text/html")


def _policy(page: bytes) -> str:
    digests = [hashlib.sha256(script).digest() for script in _SCRIPT.findall(page)]
    hashes = (f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return _POLICY.format(hashes=" ".join(hashes)).replace(" ;", ";")
