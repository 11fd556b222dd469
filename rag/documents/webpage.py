"""HTML: what a page is about, without menus and footers, as Markdown. Nothing is run or fetched.

Trafilatura tells where in the page that is; the text is the page's own, for trafilatura loses
headings, paragraphs, and spaces between words.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import islice
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
    from collections.abc import Collection, Iterable, Iterator

_Element = Any  # of lxml, which has no types
_HEADINGS = {f"h{level}": "#" * level for level in range(1, 7)}
_ITEMS = {"li", "item", "dt", "dd"}
_ROWS = ("tr", "row")
_CELLS = ("td", "th", "cell")
_BREAKS = {"br", "lb"}
_CODE = ("code", "kbd", "samp")
_CODE_CLASS = re.compile(r"code|console|highlight|listing|screen|shell|source", re.IGNORECASE)
# HTML's elements inside a line, and trafilatura's; every other one makes a block.
_INLINE = {
    *("a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn"),
    *("em", "font", "i", "ins", "kbd", "label", "mark", "nobr", "q", "s", "samp", "small"),
    *("span", "strike", "strong", "sub", "sup", "time", "tt", "u", "var", "wbr"),
    *("br", "lb", "hi", "ref"),
}
_SHORT = 250  # characters: where trafilatura finds so little, the whole page is read
_LONG = 2_000_000  # characters of a page: trafilatura can take minutes and gigabytes for more
_MOST = 0.9  # of what trafilatura finds is in the element that is read
_LEAST = 0.5  # of the page's text is in it, else the whole page is read
_NOT_TEXT = {
    *("script", "style", "noscript", "template", "iframe", "object", "svg", "math", "canvas"),
    *("audio", "video", "select", "button", "textarea", "nav", "footer", "title"),
}
_NOT_TEXT_ROLES = {"navigation", "contentinfo", "search"}

_SOURCES = ("og:site_name", "dc.publisher", "og:url")
_DATES = (
    *("article:published_time", "og:published_time", "datepublished", "citation_publication_date"),
    *("dcterms.issued", "dc.date.issued", "dcterms.created", "dcterms.date", "dc.date", "date"),
)
_PUBLISHED = re.compile(r'"datePublished"\s*:\s*"([^"]{4,40})"')  # JSON-LD


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """A block of Markdown, and where it stands in the page."""

    text: str
    place: _Element  # the innermost element around it that is not inside a line
    links: bool  # whether it is nothing but links to elsewhere
    aside: bool

    @property
    def letters(self) -> str:
        return "".join(filter(str.isalnum, self.text))


def read(file: File) -> Content:
    page = decode(file.data)
    tree = _parse(page)
    metadata = _metadata(tree)
    found = _find_content(tree) if len(page) <= _LONG else set()
    body = tree.find("body")
    return Content(
        "" if body is None else join_blocks(_choose(body, found)),
        layout="markdown",
        title=metadata.get("og:title") or _title(tree, metadata.get("og:site_name", "")),
        date=_date(tree, metadata),
        source=next((metadata[key] for key in _SOURCES if key in metadata), None),
    )


def _find_content(tree: _Element) -> set[str]:
    """The letters of the blocks that trafilatura takes for content."""
    from trafilatura import bare_extraction

    found: Any = bare_extraction(tree, include_comments=False, favor_recall=True)
    return {each.letters for each in _blocks(found.body)} - {""} if found else set()


def _choose(page: _Element, found: Collection[str]) -> list[str]:
    """All blocks of the innermost element around most of what was found, in the page's order.

    Links elsewhere and asides are only taken where they were found themselves. Where that element
    has little of the page, its main part is read, or all of it.
    """
    own = list(_blocks(page))
    sure = {each for each in own if each.letters in found}
    sizes = Counter[_Element]()
    for each in sure:
        sizes.update(dict.fromkeys((each.place, *each.place.iterancestors()), len(each.text)))
    if sizes[page] <= _SHORT:
        return [each.text for each in own if not each.aside]
    taken = [each for each in own if each in sure or not (each.links or each.aside)]
    around = sorted(
        (element for element, size in sizes.items() if size >= _MOST * sizes[page]),
        key=lambda element: sum(1 for _ in element.iterancestors()),
    )
    main = next(filter(_is_main, around), page)
    nearest, whole = (
        [each for each in taken if each.place in inside]
        for inside in ({*element.iter()} for element in (around[-1], main))
    )
    chosen = nearest if _size(nearest) >= _LEAST * _size(whole) else whole
    return [each.text for each in chosen]


def _size(blocks: Iterable[_Block]) -> int:
    return sum(len(each.text) for each in blocks)


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


def _blocks(root: _Element) -> Iterator[_Block]:
    """The blocks of Markdown in ``root``, of HTML or of what trafilatura makes of it.

    What only leads to other places in the page is none, unless it is a heading.
    """
    from lxml import etree

    mark = link = ""
    asides = 0
    line: list[str] = []
    said: set[str] = set()  # the kinds of link in which the line's words stand, "" for none
    walk = etree.iterwalk(root, events=("start", "end"))
    for event, element in walk:
        starts = event == "start"
        if element.tag not in _INLINE:
            text = block(mark, "".join(line))
            if text and (said != {"here"} or mark.startswith("#")):
                place = element.getparent() if starts else element
                yield _Block(text, place, "elsewhere" in said and "" not in said, asides > 0)
            mark = _mark(element) or ("" if text else mark) if starts else ""
            line, said = [], set()
        if element.tag == "a":
            link = _kind(element) if starts else ""
        asides += (element.tag == "aside") * (1 if starts else -1)
        words = ""
        if not starts:
            words = element.tail or ""
        elif _is_no_text(element):
            walk.skip_subtree()
        elif blocks := _code(element, asides > 0) or _row(element, asides > 0):
            yield from blocks
            walk.skip_subtree()
        else:
            words = (LINE_BREAK if element.tag in _BREAKS else "") + (element.text or "")
        line.append(words)
        if any(map(str.isalnum, words)):
            said.add(link)


def _is_no_text(element: _Element) -> bool:
    """Of a link within the page: whether it is a mere sign, as beside a heading."""
    if element.tag == "a" and _kind(element) == "here":
        return not any(map(str.isalnum, "".join(element.itertext())))
    return element.tag in _NOT_TEXT or element.get("role") in _NOT_TEXT_ROLES


def _kind(link: _Element) -> str:
    target = link.get("href")
    return "" if target is None else "here" if target.startswith("#") else "elsewhere"


def _is_main(element: _Element) -> bool:
    return "main" in (element.tag, element.get("role"))


def _mark(element: _Element) -> str:
    if element.tag == "head":
        return _HEADINGS.get(element.get("rend", ""), "##")
    return "-" if element.tag in _ITEMS else _HEADINGS.get(element.tag, "")


def _is_code(element: _Element) -> bool:
    """Of preformatted text, which may be a letter or a law: whether it is marked as code."""
    if element.tag != "pre":
        return False
    around = (element, *islice(element.iterancestors(), 2))
    marked = any(_CODE_CLASS.search(each.get("class", "")) for each in around)
    return marked or next(element.iterdescendants(*_CODE), None) is not None


def _code(element: _Element, aside: bool) -> list[_Block]:
    """Code between fences, its lines and spaces as they are."""
    if not _is_code(element):
        return []
    lines = "".join(element.itertext()).replace(LINE_BREAK, "\n").strip("\n").rstrip()
    fence = "~~~" if "```" in lines else "```"
    return [_Block(f"{fence}\n{lines}\n{fence}", element, links=False, aside=aside)] * bool(lines)


def _row(element: _Element, aside: bool) -> list[_Block]:
    """A table's row, unless it only holds other tables in place; with one cell filled, that."""
    if element.tag not in _ROWS or next(element.iterdescendants(*_ROWS), None) is not None:
        return []
    cells = [list(_blocks(cell)) for cell in element if cell.tag in _CELLS]
    texts = [" ".join(each.text for each in blocks) for blocks in cells]
    filled = [text for text in texts if text]
    links = all(each.links for blocks in cells for each in blocks)
    text = row(texts) if len(filled) > 1 else "".join(filled)
    return [_Block(text, element, links, aside)] * bool(filled)
