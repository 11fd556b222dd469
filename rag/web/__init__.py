"""The web chat: the page, its styles, the document view."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from rag.errors import AccountError
from rag.settings import Settings


def serve(
    index: Path,
    settings: Settings,
    host: str,
    port: int,
    auth_file: Path | None = None,
    names: Sequence[str] = (),
) -> None:
    """Serve the chat until interrupted, to the accounts in ``auth_file`` where one is given.

    ``names`` are more names under which it is reached. Raises RagError when it cannot listen at
    ``host`` and ``port`` (port 0 takes any free one), or has no accounts where others reach it.
    """
    _stay_offline()
    from rag.accounts import Accounts
    from rag.web.security import is_loopback
    from rag.web.server import run

    if auth_file is None and not all(map(is_loopback, (host, *names))):
        raise AccountError(
            f"others can reach {', '.join((host, *names))}: name a file of accounts with "
            "--auth-file, and make one with rag user add NAME"
        )
    run(index, settings, host, port, Accounts(auth_file) if auth_file else None, names)


def _stay_offline() -> None:
    """Switch off what the libraries send or fetch; they read this when they are imported."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    for variable in ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "TRANSFORMERS_OFFLINE"):
        os.environ[variable] = "1"
