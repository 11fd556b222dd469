"""The web chat: the page, its styles, the document view."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from rag.errors import AccountError, EvalError, RagError
from rag.settings import Settings


@dataclass(frozen=True, slots=True)
class Folders:
    """Where the documents lie, and their index; files of questions, for the page of evals."""

    corpus: Path
    index: Path | str
    sets: Path | None = None


@dataclass(frozen=True, slots=True)
class Callers:
    """Who may call: the accounts in a file, or without one this machine; and under which names."""

    auth_file: Path | None = None
    names: Sequence[str] = ()  # beside the host that it listens on and those of the loopback


def serve(
    folders: Folders,
    settings: Settings,
    host: str,
    port: int,
    callers: Callers | None = None,
    log: Path | None = None,
    *,
    log_questions: bool = False,
) -> None:
    """Serve the chat until interrupted.

    Requests and answers are logged to ``log``, questions only where asked for. Raises RagError when
    it cannot listen at ``host`` and ``port`` (port 0 takes any free one), has no accounts where
    others reach it, or there is no folder of sets where one is named.
    """
    _stay_offline()
    from rag.accounts import Accounts
    from rag.web.security import is_loopback
    from rag.web.server import run
    from rag.web.watch import Watch

    if folders.sets and not folders.sets.is_dir():
        raise EvalError(f"there is no folder {folders.sets}: --sets names one of .jsonl files")
    callers = callers or Callers()
    reached = (host, *callers.names)
    if callers.auth_file is None and not all(map(is_loopback, reached)):
        raise AccountError(
            f"others can reach {', '.join(reached)}: name a file of accounts with "
            "--auth-file, and make one with rag user add NAME"
        )
    accounts = Accounts(callers.auth_file) if callers.auth_file else None
    with _open_log(log) as opened:
        watch = Watch(opened, questions=log_questions)
        run(folders, settings, host, port, accounts, callers.names, watch)


def _open_log(path: Path | None) -> AbstractContextManager[TextIO | None]:
    try:
        return path.open("a", encoding="utf-8") if path else nullcontext()
    except OSError as error:
        raise RagError(f"the log {path} cannot be written: {error.strerror}") from None


def _stay_offline() -> None:
    """Switch off what the libraries send, fetch or count; they read this when they start."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    # Else it sums up its last 10,000 events after each, for a page that nobody sees here.
    os.environ["GRADIO_ANALYTICS_CACHE_FREQUENCY"] = str(2**62)
    os.environ["GRADIO_ANALYTICS_MAX_EVENTS"] = "1"
    for variable in ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "TRANSFORMERS_OFFLINE"):
        os.environ[variable] = "1"
