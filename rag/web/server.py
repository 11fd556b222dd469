"""The server: FastAPI, with the chat page mounted in it."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import gradio as gr
import uvicorn
from fastapi import FastAPI

from rag.accounts import Accounts
from rag.encoder import SentenceEncoder
from rag.errors import RagError
from rag.settings import Settings
from rag.web import Folders
from rag.web.documents import make_documents_router
from rag.web.evals import make_evals_router
from rag.web.library import Library
from rag.web.page import make_page
from rag.web.routes import make_router
from rag.web.security import Guard
from rag.web.signin import SignIn
from rag.web.watch import Watch, Watched, WatchedLibrary
from rag.web.watch import make_router as make_watch_router

Names = Sequence[str]  # of hosts

_SHUTDOWN = 2  # seconds that questions in flight are given
_HEAD = """<link rel="stylesheet" href="/style.css">
<script type="module" src="/chat.js"></script>
<script type="module" src="/scope.js"></script>
<script type="module" src="/feedback.js"></script>"""
_FAVICON = Path(__file__).parent / "favicon.svg"


def run(
    folders: Folders,
    settings: Settings,
    host: str,
    port: int,
    accounts: Accounts | None,
    names: Names,
    watch: Watch,
) -> None:
    """As ``rag.web.serve``."""
    encoder = SentenceEncoder(settings.model, settings.engine)
    library = WatchedLibrary(folders, settings, encoder, watch)
    with _listen(host, port) as listener:
        app = make_app(library, accounts, (host, *names), settings.max_file_mb << 20, watch)
        config = uvicorn.Config(
            app,
            log_level="error",  # what callers do wrong is no warning
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_SHUTDOWN,
        )
        print(f"Chapter & Verse is on {_url(listener)}", flush=True)  # noqa: T201  its one line
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])


def make_app(
    library: Library,
    accounts: Accounts | None = None,
    names: Names = (),
    most_upload: int = 50 << 20,
    watch: Watch | None = None,
) -> FastAPI:
    """The whole server over a library; it loads the model in the background once it is up.

    It answers to ``names`` beside those of the loopback; with ``accounts`` to those signed in.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        library.load()
        yield

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    sign_in = SignIn(accounts) if accounts else None
    signed = sign_in is not None
    app.include_router(make_router(library, accounts=signed))
    app.include_router(make_documents_router(library, library.shelf, accounts=signed))
    app.include_router(make_evals_router(library.runs, accounts=signed))
    watch = watch or Watch()
    app.include_router(make_watch_router(library, watch))
    if sign_in:
        app.include_router(sign_in.make_router())
    app.add_middleware(Guard, names, sign_in, most_upload)
    app.add_middleware(Watched, watch)  # the last one added is the outermost
    gr.mount_gradio_app(
        app,
        make_page(library, accounts=signed),
        path="/",
        theme=_theme(),
        head=_HEAD,
        favicon_path=str(_FAVICON),
        footer_links=[],
        run_history=False,
        show_error=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
    )
    return app


def _theme() -> gr.themes.Base:
    """Fonts of the system, none from elsewhere, and the paper of style.css from the start."""
    return gr.themes.Base(font=("system-ui", "sans-serif"), font_mono=("monospace",)).set(
        body_background_fill="#fbf8f3", body_background_fill_dark="#171512"
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise RagError(
            f"cannot listen on {host}, port {port} ({error.strerror}): choose another with --port"
        ) from None


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
