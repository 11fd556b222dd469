"""The web chat: the page, its styles, the document view."""

from __future__ import annotations

import os
from pathlib import Path

from rag.settings import Settings


def serve(index: Path, settings: Settings, host: str, port: int) -> None:
    """Serve the chat until interrupted.

    Raises RagError when it cannot listen at ``host`` and ``port``; port 0 takes any free one.
    """
    _stay_offline()
    from rag.web.server import run

    run(index, settings, host, port)


def _stay_offline() -> None:
    """Switch off what the libraries send or fetch; they read this when they are imported."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    for variable in ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "TRANSFORMERS_OFFLINE"):
        os.environ[variable] = "1"
