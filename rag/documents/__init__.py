"""A file → Document. The only place that decodes or cleans text."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from rag.documents import markdown, pdf, table, text, webpage, word
from rag.documents.content import Content, File, clean_line
from rag.documents.files import file_digest, find_documents, open_file, read_bytes
from rag.errors import DocumentError
from rag.types import Document

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["file_digest", "find_documents", "read_document"]

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


def read_document(corpus: Path, name: str, max_bytes: int) -> Document:
    """The document in the file ``name`` of the corpus.

    Raises DocumentError whose message is the reason and the cure, without the file's name.
    """
    with open_file(corpus, name) as opened:
        suffix = _known_suffix(name)
        data = read_bytes(opened, max_bytes)
    content = _parse(suffix, File(data, max_bytes)) if data else Content("")
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
        raise DocumentError(f"no reader for {kind}: save it as .txt, .md, .html, .pdf or .docx")
    return suffix


def _parse(suffix: str, file: File) -> Content:
    """Every parse goes through here, and every failure of a library ends here."""
    try:
        return _READERS[suffix](file)
    except DocumentError:
        raise
    except Exception as error:
        reason = f"is damaged or no true {suffix} file ({type(error).__name__}): save it anew"
        raise DocumentError(reason) from error
