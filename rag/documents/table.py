"""CSV: the decoded file; a row is a sentence, and a quoted field may span lines."""

from __future__ import annotations

from rag.documents.content import Content, File
from rag.documents.decoding import decode


def read(file: File) -> Content:
    return Content(decode(file.data), layout="rows")
