"""What goes into a reader and what comes out of it, and the cleaning that readers share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rag.types import Layout

LINE_BREAK = "\u2028"  # to ``block``: one that is shown, unlike those of the source
_LONGEST_LINE = 200  # characters of a title or source
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_NO_TITLE = re.compile(
    r"(?:untitled|title|document|word document|powerpoint presentation|slide|unspecified"
    r"|\(?anonymous\)?)[ \d]*|microsoft (?:word|powerpoint|excel) - .*"
    r"|.*\.(?:docx?|odt|rtf|pptx?|xlsx?|indd|pdf|tex|dvi|html?)",
    re.IGNORECASE,
)
_BIDI_CONTROLS = re.compile(r"[\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class File:
    """A file's bytes, as a reader gets them."""

    data: bytes
    limit: int  # the most characters of text that may come out of it


@dataclass(frozen=True, slots=True)
class Content:
    """What a reader found; the fields are those of Document."""

    text: str
    layout: Layout = "prose"
    body: int = 0
    title: str | None = None
    date: str | None = None
    source: str | None = None
    pages: tuple[int, ...] = ()


def drop_controls(text: str) -> str:
    """``text`` without lone surrogates and control characters: a space for those that are space.

    Tab and newline stay.
    """
    return _CONTROLS.sub(lambda found: " " if found[0].isspace() else "", text)


def clean_line(text: str | None) -> str | None:
    """``text`` as one short line fit for a title, or None where nothing is left of it."""
    if text is None:
        return None
    start = text.lstrip()[: 4 * _LONGEST_LINE]
    line = " ".join(_BIDI_CONTROLS.sub("", drop_controls(start)).split())
    if len(line) > _LONGEST_LINE:
        line = line[: _LONGEST_LINE - 1].rstrip() + "…"
    return line or None


def given_title(text: str | None) -> str | None:
    """A title from a file's properties; None for what programs put there by themselves."""
    title = clean_line(text)
    return None if title is None or _NO_TITLE.fullmatch(title) else title


def block(mark: str, text: str) -> str:
    """A block of Markdown: ``mark`` is "", "-" or that of a heading, "#" to "######".

    Line breaks stay in a paragraph, all other white space is one space.
    """
    lines = [" ".join(line.split()) for line in text.split(LINE_BREAK)]
    if mark and text.strip():
        return f"{mark} {' '.join(' '.join(lines).split())}"
    return "\n".join(lines).strip()


def row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(' '.join(cell.split()) for cell in cells)} |"


def join_blocks(blocks: Iterable[str]) -> str:
    """Blocks of Markdown as one text: a blank line between two, none inside a list or table."""
    parts: list[str] = []
    previous = ""
    for block in blocks:
        together = previous == block[:2] and previous in ("- ", "| ")
        parts += ["\n" if together else "\n\n", block]
        previous = block[:2]
    return "".join(parts[1:])
