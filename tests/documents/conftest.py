from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rag.documents import read_document
from rag.types import Document

Read = Callable[[str, bytes], Document]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Write bytes to a file of that name in a corpus of its own, and read the document in it."""

    def write_and_read(name: str, data: bytes) -> Document:
        (tmp_path / name).write_bytes(data)
        return read_document(tmp_path, name, max_bytes=1 << 20)

    return write_and_read
