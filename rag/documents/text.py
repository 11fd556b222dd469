"""Plain text: the decoded file, with a title where its first line looks like one."""

from __future__ import annotations

from rag.documents.content import Content, File
from rag.documents.decoding import decode

_LONGEST_TITLE = 120  # characters
_SENTENCE_ENDS = tuple(".!?…:;,")
_CLOSING = "”’\"')]*_"


def read(file: File) -> Content:
    text = decode(file.data)
    return Content(text, title=_title(text))


def _title(text: str) -> str | None:
    """The first line, where a blank line follows it and it does not end as a sentence does."""
    start = text.lstrip()[: 4 * _LONGEST_TITLE]
    lines = start.splitlines()
    if len(lines) < 2 or lines[1].strip():
        return None
    line = lines[0].strip()
    fits = len(line) <= _LONGEST_TITLE and not line.rstrip(_CLOSING).endswith(_SENTENCE_ENDS)
    return line if fits and any(map(str.isalnum, line)) else None
