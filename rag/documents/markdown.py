"""Markdown: the decoded file, its YAML front matter read as metadata."""

from __future__ import annotations

import re

from rag.documents.content import Content, File
from rag.documents.dates import iso_date
from rag.documents.decoding import decode

_LONGEST_FRONT_MATTER = 65_536  # characters
_LONGEST_HEADING = 1_000
_FRONT_MATTER = re.compile(
    r"---[ \t]*(?:\r\n?|\n)(?P<yaml>.*?)(?<![^\r\n])(?:---|\.\.\.)[ \t]*(?:\r\n?|\n|\Z)", re.DOTALL
)
_ENTRY = re.compile(r"^([\w-]+):[ \t]+(\S.*)", re.MULTILINE)
_FENCE = re.compile(r" {0,3}(```|~~~)")
_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+(.+)")
_UNDERLINE = re.compile(r" {0,3}(?:=+|-+)\s*")
_LINK = re.compile(r"!?\[([^\[\]]*)\](?:\([^()]*\)|\[[^\[\]]*\])")


def read(file: File) -> Content:
    text = decode(file.data)
    metadata, body = _front_matter(text)
    return Content(
        text,
        layout="markdown",
        body=body,
        title=metadata.get("title") or _first_heading(text[body:]),
        date=iso_date(metadata.get("date")),
        source=metadata.get("source"),
    )


def _front_matter(text: str) -> tuple[dict[str, str], int]:
    """The metadata, and where the text goes on after it: ({}, 0) without front matter.

    Prose between two rules is no front matter.
    """
    found = _FRONT_MATTER.match(text, 0, _LONGEST_FRONT_MATTER)
    metadata = _scalars(found["yaml"]) if found else None
    return ({}, 0) if found is None or metadata is None else (metadata, found.end())


def _scalars(block: str) -> dict[str, str] | None:
    """The top level's plain values as written; None where ``block`` is not a YAML mapping.

    The document is composed and never constructed: aliases are not expanded, no object is made.
    Where it is broken, as by a colon in a title, it is read line by line.
    """
    import yaml

    try:
        root = yaml.compose(block, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError):
        entries = {key.lower(): value.strip() for key, value in _ENTRY.findall(block)}
        return entries if _ENTRY.match(block) else None
    if root is None:
        return {}
    if not isinstance(root, yaml.MappingNode):
        return None
    return {
        key.value.lower(): value.value
        for key, value in root.value
        if isinstance(key, yaml.ScalarNode) and isinstance(value, yaml.ScalarNode)
        if value.tag != "tag:yaml.org,2002:null"
    }


def _first_heading(text: str) -> str | None:
    """The text of the first heading outside fenced code, without its marks."""
    fence = ""
    previous = ""
    for line in text.splitlines():
        mark = _FENCE.match(line)
        if mark and fence in ("", mark[1]):
            fence = "" if fence else mark[1]
        elif not fence and (title := _heading(line[:_LONGEST_HEADING], previous)):
            return title
        previous = "" if fence else line[:_LONGEST_HEADING]
    return None


def _heading(line: str, previous: str) -> str | None:
    """The heading that ends with ``line``: "# Text", or "Text" underlined."""
    if found := _HEADING.match(line):
        return _plain(found[1].rstrip("# \t"))
    if previous.strip() and _UNDERLINE.fullmatch(line):
        return _plain(previous)
    return None


def _plain(line: str) -> str:
    """``line`` without the marks of links, emphasis and code."""
    return re.sub(r"[*`]+", "", _LINK.sub(r"\1", line)).strip()
