"""Word (.docx): paragraphs, lists and tables in the order of the document, as Markdown.

A footnote or endnote follows the paragraph that refers to it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from io import BytesIO
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

from rag.documents.content import (
    LINE_BREAK,
    Content,
    File,
    block,
    drop_controls,
    given_title,
    join_blocks,
    row,
)
from rag.errors import DocumentError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from datetime import datetime

    from docx.parts.document import DocumentPart

_Element = Any  # of lxml, which has no types
_OLE = bytes.fromhex("d0cf11e0a1b11ae1")  # encrypted files and those of an old Word begin so
_STRICT = b"http://purl.oclc.org/ooxml/"  # begins the names of relations in Strict Open XML
_UNPACKED = 4  # times the limit of a file's size: all parts of the archive together
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_TEMPLATE_DATE = "2013-12-23T23:15:00"  # in what python-docx writes from its own template
_STYLE = re.compile(
    r"heading (?P<level>\d)|(?P<title>title)|list(?: bullet| number)?(?: \d)?", re.IGNORECASE
)
_MOST_BASES = 10  # styles that a style is based on, one on another
_CHARACTERS = {"tab": " ", "br": LINE_BREAK, "cr": LINE_BREAK, "noBreakHyphen": "-"}
_WRAPPERS = {"sdt", "sdtContent", "ins", "moveTo", "smartTag", "customXml"}
_NOT_TEXT = {"pPr", "rPr", "del", "moveFrom", "txbxContent", "Fallback"}
_NOTES = ("footnote", "endnote")


@dataclass(frozen=True, slots=True)
class _Parts:
    """What the body refers to."""

    marks: Mapping[str, str]  # the Markdown mark of each style that has one, by the style's id
    notes: Mapping[tuple[str, str], _Element]  # by kind, of _NOTES, and id


def read(file: File) -> Content:
    import docx

    _check_archive(file)
    document = docx.Document(BytesIO(file.data))
    parts = _Parts(_style_marks(document.styles.element), _notes(document.part))
    blocks = list(_blocks(document.element.body, parts))
    properties = document.core_properties
    return Content(
        drop_controls(join_blocks(blocks)),
        layout="markdown",
        title=given_title(properties.title) or _first_heading(blocks),
        date=_date(properties.created),
    )


def _check_archive(file: File) -> None:
    """Raise DocumentError for a file of another kind, and for one that grows when unpacked."""
    if file.data.startswith(_OLE):
        raise DocumentError("is encrypted or of an old Word: save it as .docx without a password")
    with ZipFile(BytesIO(file.data)) as archive:
        size = sum(part.file_size for part in archive.infolist())
        limit = _UNPACKED * file.limit
        if size > limit:
            raise DocumentError(
                f"unpacks to {size >> 20:,} MB, over the limit of {limit >> 20:,} MB"
            )
        if _STRICT in archive.read("_rels/.rels"):
            raise DocumentError('is Strict Open XML: save it as plain "Word Document (.docx)"')


def _first_heading(blocks: list[str]) -> str | None:
    return next((text.lstrip("# ") for text in blocks if text.startswith("#")), None)


def _date(created: datetime | None) -> str | None:
    stamp = created.isoformat() if created else ""
    return None if not stamp or stamp.startswith(_TEMPLATE_DATE) else stamp[:10]


def _style_marks(styles: _Element) -> dict[str, str]:
    """The Markdown mark of each style that has one, by the style's id."""
    names: dict[str, str] = {}
    bases: dict[str, str] = {}
    for style in styles.iter(f"{_W}style"):
        names[_value(style, "styleId")] = _child_value(style, "name")
        bases[_value(style, "styleId")] = _child_value(style, "basedOn")
    marks: dict[str, str] = {}
    for style_id in names:
        base = style_id
        for _ in range(_MOST_BASES):
            if found := _STYLE.fullmatch(names.get(base, "")):
                marks[style_id] = "#" * int(found["level"] or bool(found["title"])) or "-"
                break
            base = bases.get(base, "")
    return marks


def _notes(document: DocumentPart) -> dict[tuple[str, str], _Element]:
    from docx.oxml import parse_xml

    kinds = {f"{kind}s": kind for kind in _NOTES}
    related = [(rel.reltype.rpartition("/")[2], rel) for rel in document.rels.values()]
    return {
        (kinds[name], _value(note, "id")): note
        for name, rel in related
        if name in kinds and not rel.is_external
        for note in _find(parse_xml(rel.target_part.blob), kinds[name])
    }


def _blocks(parent: _Element, parts: _Parts) -> Iterator[str]:
    """The paragraphs, list items and table rows in ``parent``, as blocks of Markdown."""
    for child in parent:
        name = _name(child)
        if name == "p":
            if text := block(_mark(child, parts.marks), _text(child)):
                yield text
            for box in _find(child, "txbxContent"):
                yield from _blocks(box, parts)
            for note in _referred_notes(child, parts):
                yield from _blocks(note, replace(parts, notes={}))
        elif name == "tbl":
            yield from _rows(child, parts)
        elif name in _WRAPPERS:
            yield from _blocks(child, parts)


def _referred_notes(paragraph: _Element, parts: _Parts) -> Iterator[_Element]:
    for kind in _NOTES if parts.notes else ():
        for reference in _find(paragraph, f"{kind}Reference"):
            note = parts.notes.get((kind, _value(reference, "id")))
            if note is not None:
                yield note


def _rows(table: _Element, parts: _Parts) -> Iterator[str]:
    """A row a block; what stands in a table of one column only is no table."""
    rows = [list(_find(line, "tc", _WRAPPERS)) for line in _find(table, "tr", _WRAPPERS)]
    if all(len(cells) < 2 for cells in rows):
        for cell in (cell for cells in rows for cell in cells):
            yield from _blocks(cell, parts)
        return
    for cells in rows:
        texts = [" ".join(_blocks(cell, parts)) for cell in cells]
        if any(texts):
            yield row(texts)


def _mark(paragraph: _Element, marks: Mapping[str, str]) -> str:
    """The Markdown mark of a paragraph: by its style, or "-" where it is numbered."""
    properties = paragraph.find(f"{_W}pPr")
    if properties is None:
        return ""
    numbered = properties.find(f"{_W}numPr") is not None
    return marks.get(_child_value(properties, "pStyle"), "-" if numbered else "")


def _text(element: _Element) -> str:
    """What is shown of a paragraph, insertions in, deletions and text boxes out."""
    name = _name(element)
    if name == "t":
        return element.text or ""
    inner = (_text(child) for child in element if _name(child) not in _NOT_TEXT)
    return _CHARACTERS.get(name) or "".join(inner)


def _find(parent: _Element, name: str, through: Collection[str] = ()) -> Iterator[_Element]:
    """The nearest descendants of a name, seeking in ``through``, else in all but fallbacks."""
    for child in parent:
        found = _name(child)
        if found == name:
            yield child
        elif found in through or (not through and found != "Fallback"):
            yield from _find(child, name, through)


def _name(element: _Element) -> str:
    """The element's name without its namespace; no name that is looked for, for a comment."""
    return str(element.tag).rpartition("}")[2]


def _value(element: _Element, attribute: str) -> str:
    return str(element.get(f"{_W}{attribute}", ""))


def _child_value(element: _Element, name: str) -> str:
    child = element.find(f"{_W}{name}")
    return "" if child is None else _value(child, "val")
