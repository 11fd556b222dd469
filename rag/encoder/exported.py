"""The fast engine: a model exported once, with 8-bit products, run by ONNX Runtime without torch.

One text at a time on each core: no padding, and all that a text needs stays in the core's cache.
Nothing is encoded beside a text, so its vectors are the same in a rebuild of any size.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.cache import cache_folder

_RECORD = "export.json"
_FILES = ("model.onnx", "tokenizer.json", "shape.json")


def open_exported(folder: Path, name: str, digest: str) -> Exported:
    """Open the export of the model in ``folder``; make it where the cache has no whole one.

    Raises ModelError when the model cannot be exported.
    """
    home = cache_folder("models") / digest
    files = _read(home)
    if files is None:
        sys.stderr.write(f"Preparing the model {name} for this machine, once: some seconds\n")
        from rag.encoder.export import export

        files = export(folder, name)
        with suppress(OSError):  # a cache that cannot be written costs time at the next start only
            _store(home, files)
    return Exported(files)


class Exported:
    """Implements ``rag.encoder.Engine``; safe to share among threads."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # for versions 1.29 and newer: they send it
        import onnxruntime  # type: ignore[import-untyped]

        onnxruntime.disable_telemetry_events()  # for Windows
        shape = json.loads(files["shape.json"])
        self.tokenizer = files["tokenizer.json"].decode()
        self.reads = int(shape["reads"])
        self.dimensions = int(shape["dimensions"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            files["model.onnx"], options, providers=["CPUExecutionProvider"]
        )

    def run(
        self, rows: Sequence[Sequence[int]]
    ) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Run each row by itself, as many at once as there are cores, the longest first."""
        if len(rows) == 1:
            return [self._run(rows[0])]
        longest = sorted(range(len(rows)), key=lambda i: -len(rows[i]))
        with ThreadPoolExecutor(min(len(rows), _cores())) as pool:
            done = pool.map(self._run, [rows[i] for i in longest])
            found = dict(zip(longest, done, strict=True))
        return [found[i] for i in range(len(rows))]

    def _run(self, row: Sequence[int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        tokens, vectors = self._session.run(None, {"ids": np.array([row], np.int64)})
        return tokens[0], vectors[0]


def _cores() -> int:
    """The cores that this process may use, or OMP_NUM_THREADS, as Ray sets it for its workers."""
    if (wanted := os.environ.get("OMP_NUM_THREADS", "")).isdecimal():
        return max(int(wanted), 1)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _read(home: Path) -> dict[str, bytes] | None:
    """The files of an export, or None where one is missing or is not what was written."""
    try:
        record = json.loads((home / _RECORD).read_bytes())
        files = {name: (home / name).read_bytes() for name in _FILES}
    except (OSError, ValueError):
        return None
    return files if record == _digests(files) else None


def _store(home: Path, files: Mapping[str, bytes]) -> None:
    """Write the files aside and rename their folder into place."""
    home.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=home.parent))
    try:
        for name, content in files.items():
            (aside / name).write_bytes(content)
        (aside / _RECORD).write_text(json.dumps(_digests(files)), "utf-8")
        shutil.rmtree(home, ignore_errors=True)
        aside.rename(home)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _digests(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
