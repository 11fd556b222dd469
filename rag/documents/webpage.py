"""HTML: what a page is about, without menus and footers, as Markdown. Nothing is run or fetched."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from rag.documents.content import (
    LINE_BREAK,
    Content,
    File,
    block,
    drop_controls,
    join_blocks,
    row,
)
from rag.documents.dates import iso_date
from rag.documents.decoding import decode
from rag.errors import DocumentError

if TYPE_CHECKING:
    from collections.abc import Iterator

_Element = Any  # of lxml, which has no types
_HEADINGS = {f"h{level}": "#" * level for level in range(1, 7)}
_ITEMS = {"li", "item", "dt", "dd"}
_ROWS = ("tr", "row")
_CELLS = ("td", "th", "cell")
_BREAKS = {"br", "lb"}
# HTML's elements inside a line, and trafilatura's; every other one makes a block.
_INLINE = {
    *("a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn"),
    *("em", "font", "i", "ins", "kbd", "label", "mark", "nobr", "q", "s", "samp", "small"),
    *("span", "strike", "strong", "sub", "sup", "time", "tt", "u", "var", "wbr"),
    *("br", "lb", "hi", "ref"),
}
_SHORT = 250  # characters: where trafilatura finds so little, the whole page is read
_LONG = 2_000_000  # characters of a page: trafilatura can take minutes and gigabytes for more
_NOT_TEXT = {
    *("script", "style", "noscript", "template", "iframe", "object", "svg", "math", "canvas"),
    *("audio", "video", "select", "button", "textarea", "nav", "footer", "aside", "title"),
}

_SOURCES = ("og:site_name", "dc.publisher", "og:url")
_DATES = (
    *("article:published_time", "og:published_time", "datepublished", "citation_publication_date"),
    *("dcterms.issued", "dc.date.issued", "dcterms.created", "dcterms.date", "dc.date", "date"),
)
_PUBLISHED = re.compile(r'"datePublished"\s*:\s*"([^"]{4,40})"')  # JSON-LD


def read(file: File) -> Content:
    page = decode(file.data)
    tree = _parse(page)
    metadata = _metadata(tree)
    text = _main_text(tree) if len(page) <= _LONG else ""
    return Content(
        text if len(text) > _SHORT else _text(tree.find("body")),
        layout="markdown",
        title=metadata.get("og:title") or _title(tree, metadata.get("og:site_name", "")),
        date=_date(tree, metadata),
        source=next((metadata[key] for key in _SOURCES if key in metadata), None),
    )


def _main_text(tree: _Element) -> str:
    from trafilatura import bare_extraction

    found: Any = bare_extraction(tree, include_comments=False, favor_recall=True)
    return _text(found.body) if found else ""


def _parse(text: str) -> _Element:
    """Raises DocumentError where lxml gives up, as on elements nested too deep."""
    from lxml import etree, html

    parser = html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True)
    try:
        tree = html.document_fromstring(drop_controls(text).encode(), parser=parser)
    except etree.ParserError:
        raise DocumentError("is empty") from None
    for error in parser.error_log.filter_from_fatals():
        why = error.message.partition(":")[0]
        raise DocumentError(f"cannot be read to its end ({why}): save it as .txt")
    for element in tree.iter(etree.Element):
        element.text = drop_controls(element.text or "")
        element.tail = drop_controls(element.tail or "")
    for element in tree.iter("pre"):
        _keep_lines(element)
    return tree


def _keep_lines(pre: _Element) -> None:
    """Mark the line breaks of preformatted text, which would be lost as those elsewhere are."""
    for element in pre.iter():
        element.text = element.text.replace("\n", LINE_BREAK)
        if element is not pre:
            element.tail = element.tail.replace("\n", LINE_BREAK)


def _metadata(tree: _Element) -> dict[str, str]:
    """What the page says of itself in its meta elements, by their names in small letters."""
    return {
        key.lower(): element.get("content").strip()
        for element in tree.iter("meta")
        for key in (element.get("property") or element.get("name") or element.get("itemprop"),)
        if key and element.get("content", "").strip()
    }


def _title(tree: _Element, site: str) -> str | None:
    """The text of the first title, else of the first h1, that says more than the site's name."""
    found = (" ".join(element.itertext()) for tag in ("title", "h1") for element in tree.iter(tag))
    titles = (title.strip().removesuffix(site).rstrip(" |:·–—-") for title in found)
    return next(filter(None, titles), None)


def _date(tree: _Element, metadata: dict[str, str]) -> str | None:
    """The day of publication where the page names it as such; no date of its text is one."""
    linked_data = (element.text for element in tree.iter("script"))
    stated = [metadata[key] for key in _DATES if key in metadata]
    stated += [match[1] for text in linked_data for match in _PUBLISHED.finditer(text)]
    return next(filter(None, map(iso_date, stated)), None)


def _text(root: _Element | None) -> str:
    return "" if root is None else join_blocks(_blocks(root))


def _blocks(root: _Element) -> Iterator[str]:
    """The blocks of Markdown in ``root``, of HTML or of what trafilatura makes of it."""
    from lxml import etree

    mark = ""
    line: list[str] = []
    walk = etree.iterwalk(root, events=("start", "end"))
    for event, element in walk:
        if element.tag not in _INLINE:
            if text := block(mark, "".join(line)):
                yield text
                mark = ""
            line = []
            mark = _mark(element) or mark if event == "start" else ""
        if event == "end":
            line.append(element.tail or "")
        elif element.tag in _NOT_TEXT:
            walk.skip_subtree()
        elif cells := _cells(element):
            yield from _row(cells)
            walk.skip_subtree()
        else:
            line += [LINE_BREAK if element.tag in _BREAKS else "", element.text or ""]


def _mark(element: _Element) -> str:
    if element.tag == "head":
        return _HEADINGS.get(element.get("rend", ""), "##")
    return "-" if element.tag in _ITEMS else _HEADINGS.get(element.tag, "")


def _cells(element: _Element) -> list[_Element]:
    """The cells of a table's row; none where the row only holds other tables in place."""
    if element.tag not in _ROWS or next(element.iterdescendants(*_ROWS), None) is not None:
        return []
    return [cell for cell in element if cell.tag in _CELLS]


def _row(cells: list[_Element]) -> Iterator[str]:
    """A row with one cell filled is no row but a paragraph."""
    texts = [" ".join(_blocks(cell)) for cell in cells]
    filled = [text for text in texts if text]
    if filled:
        yield row(texts) if len(filled) > 1 else filled[0]
