"""The identity of a run: what another run must share for its figures to be the same."""

from __future__ import annotations

import hashlib
import os
import platform
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rag.encoder import Encoder
from rag.evals.sets import digest_files
from rag.index import Index
from rag.settings import Settings

_PACKAGES = (
    "chapter-and-verse", "torch", "sentence-transformers", "onnxruntime", "faiss-cpu", "tantivy",
    "numpy",
)  # fmt: skip


def identify(path: Path, generation: Index, encoder: Encoder, settings: Settings) -> dict[str, Any]:
    """Return what another run must share for its figures to be the same, and when this one was."""
    manifest = generation.manifest
    corpus = hashlib.sha256()
    for entry in manifest.documents:
        corpus.update(f"{entry.name}\0{entry.digest}\n".encode())
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "questions_digest": digest_files(path),
        "corpus_digest": corpus.hexdigest(),
        "documents": len(manifest.documents),
        "passages": manifest.passages,
        "model": encoder.name,
        "model_digest": encoder.digest,
        "settings": settings.to_dict(),
        "versions": {"python": platform.python_version()} | _versions(),
        "machine": {
            "system": platform.platform(),
            "processor": _processor(),
            "cores": os.cpu_count(),
        },
    }


def _versions() -> dict[str, str]:
    versions = {}
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    return versions


def _processor() -> str:
    """The processor's name where Linux tells it, else its architecture."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
