"""A question as the chat page sends it to Gradio's queue."""

from __future__ import annotations

from typing import Any


def queue_body(config: Any, question: str, session: str) -> dict[str, Any]:
    """The body for /gradio_api/queue/join; ``config`` is what /config answers."""
    box = next(d for d in config["dependencies"] if d["targets"] and d["targets"][0][1] == "submit")
    return {
        "data": [question, *[""] * (len(box["inputs"]) - 1)],
        "fn_index": box["id"],
        "session_hash": session,
        "trigger_id": box["targets"][0][0],
    }
