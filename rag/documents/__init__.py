"""A file → Document. The only place that decodes or cleans text."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from rag.documents import markdown, pdf, table, text, webpage, word
from rag.documents.child import CHILD
from rag.documents.content import Content, File, clean_line
from rag.documents.files import file_digest, find_documents, open_file, read_bytes
from rag.errors import DocumentError
from rag.types import Document

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["KINDS", "NO_READER", "file_digest", "find_documents", "parse", "read_document"]

_READERS: dict[str, Callable[[File], Content]] = {
    ".txt": text.read,
    ".md": markdown.read,
    ".markdown": markdown.read,
    ".html": webpage.read,
    ".htm": webpage.read,
    ".pdf": pdf.read,
    ".docx": word.read,
    ".csv": table.read,
}
_SIMPLE = {".txt", ".md", ".markdown", ".csv"}  # decoded here, in time that grows with their size
KINDS = tuple(_READERS)  # the endings of the files that can be read
NO_READER = "no reader for"  # how the reason begins where a file is of none of them


def read_document(corpus: Path, name: str, max_bytes: int) -> Document:
    """The document in the file ``name`` of the corpus.

    Raises DocumentError whose message is the reason and the cure, without the file's name.
    """
    with open_file(corpus, name) as opened:
        suffix = _known_suffix(name)
        data = read_bytes(opened, max_bytes)
    content = _read(suffix, File(data, max_bytes)) if data else Content("")
    if not content.text[content.body :].strip():
        raise DocumentError("is empty")
    return Document(
        name=name,
        text=content.text,
        title=clean_line(content.title) or PurePosixPath(name).stem,
        digest=hashlib.sha256(data).hexdigest(),
        layout=content.layout,
        body=content.body,
        date=content.date,
        source=clean_line(content.source),
        pages=content.pages,
    )


def _known_suffix(name: str) -> str:
    suffix = PurePosixPath(name).suffix.lower()
    if suffix not in _READERS:
        kind = f"{suffix} files" if suffix else "files without an ending"
        raise DocumentError(f"{NO_READER} {kind}: save it as .txt, .md, .html, .pdf or .docx")
    return suffix


def _read(suffix: str, file: File) -> Content:
    return parse(suffix, file) if suffix in _SIMPLE else CHILD.parse(suffix, file)


def parse(suffix: str, file: File) -> Content:
    """What the reader of ``suffix`` finds, in this process, where a library may hang or crash.

    Every failure of a library ends here, as a DocumentError.
    """
    try:
        return _READERS[suffix](file)
    except DocumentError:
        raise
    except Exception as error:
        reason = f"is damaged or no true {suffix} file ({type(error).__name__}): save it anew"
        raise DocumentError(reason) from error
