"""PDF: the text of its pages, and where each page starts. The only importer of pdfium."""

from __future__ import annotations

import re
import threading
from array import array
from collections import Counter
from ctypes import c_double
from dataclasses import dataclass
from itertools import accumulate, pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, TypeVar
from unicodedata import normalize

from rag.documents.content import Content, File, drop_controls, given_title
from rag.documents.dates import iso_date
from rag.errors import DocumentError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pypdfium2 import PdfDocument, PdfPage, PdfTextPage

_LOCK = threading.Lock()  # pdfium is not safe to use from two threads
_MOST_PAGES = 20_000
_ENCRYPTED = {4, 5}  # pdfium's FPDF_ERR_PASSWORD and FPDF_ERR_SECURITY
_HYPHEN = "\x02"  # in pdfium's text: a hyphen at a line's end, the word going on after it
_PAGE_NUMBER = re.compile(
    r"(?:page )?[-–—]? ?# ?[-–—]?(?: ?(?:of|/) ?[\d#]{1,5})?|(?-i:[ivxl]{1,7})", re.IGNORECASE
)
_LONE_NUMBER = re.compile(r"^\W*(?:page )?(\d{1,5})\b\W*(?:of \d+)?$", re.IGNORECASE)
_NUMBER = re.compile(r"\b\d{1,5}\b")
_FEWEST = 3  # pages with the same line at their edge, for it to be a header or footer
_NEAR = 4  # pages, at most, between two of one chapter's headers, which may be on every second only
_LIGATURES = {"\x1b": "ff", "\x1c": "fi", "\x1d": "fl", "\x1e": "ffi", "\x1f": "ffl"}  # TeX's
_EXPERT = {0xF730 + n: str(n) for n in range(10)} | {0xF761 + n: chr(65 + n) for n in range(26)}
_ACCENTS = dict(
    zip("´¨ˇ˚¸˘˝˜ˆ", "\u0301\u0308\u030c\u030a\u0327\u0306\u030b\u0303\u0302", strict=True)
)
_DOTLESS = {"ı": "i", "ȷ": "j"}
_LOWER = 8  # points, at least, from one line to the next
_WORD_GAP = 0.15  # of a line's height, at least, between two words
_WIDER = 1.3  # times the gaps around it: a gap that parts two paragraphs
Span = tuple[int, int]  # characters of the text, end exclusive
_T = TypeVar("_T")
_Edges = dict[str, dict[int, list[float]]]  # text → page, from 1 → heights of its lines there
_Traced = tuple[str, int]  # a character, and its place among pdfium's of the page, from 0
_BLANK = (" ", -1)
Place = tuple[int, int]  # a page, from 1, and a character among pdfium's of that page, from 0
_DATE = re.compile(r"D:(\d{4})(\d\d)?(\d\d)?")


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of a page; heights are in points, upwards."""

    text: str
    places: array[int]  # of each character of the text among pdfium's of the page, from 0
    first: float  # where its first character stands
    last: float  # where its last one does: lower where pdfium joined two lines at a hyphen


def read(file: File) -> Content:
    from pypdfium2 import PdfDocument, PdfiumError

    with _LOCK:
        try:
            pdf = PdfDocument(file.data)
        except PdfiumError as error:
            if error.err_code in _ENCRYPTED:
                raise DocumentError("is encrypted: save it without a password") from None
            raise
        try:
            return _content(pdf, file.limit)
        finally:
            pdf.close()


def trace(pdf: PdfDocument, limit: int, spans: Sequence[Span]) -> tuple[str, list[Place]]:
    """The text that ``read`` gives, and where on the pages the characters of the spans stand.

    The text is made anew, in the same way: each character is followed from the page into the text.
    """
    pages = _shown_lines(list(_pages(pdf, limit)))
    text, starts = _join([_set_apart(lines) for lines in pages])
    places: list[Place] = []
    for number, (lines, start) in enumerate(zip(pages, starts, strict=True), start=1):
        offset = start
        for line in lines:
            while text[offset] == "\n":  # a line has none, and begins with none
                offset += 1
            end = offset + len(line.text)
            for first, last in spans:
                shown = range(max(first, offset) - offset, min(last, end) - offset)
                places += [(number, line.places[i]) for i in shown]
            offset = end
    return text, places


def _content(pdf: PdfDocument, limit: int) -> Content:
    text, starts = _join([_set_apart(lines) for lines in _shown_lines(list(_pages(pdf, limit)))])
    if not text:
        raise DocumentError("has no text: run OCR on it first")
    metadata = pdf.get_metadata_dict()
    return Content(
        text,
        title=given_title(metadata["Title"]),
        date=_date(metadata["CreationDate"]),
        pages=starts,
    )


def _date(stamp: str) -> str | None:
    """A PDF's "D:20240927120000Z" or whatever else a program wrote there, as ISO 8601."""
    found = _DATE.match(stamp)
    return iso_date("-".join(filter(None, found.groups())) if found else stamp)


def _pages(pdf: PdfDocument, limit: int) -> Iterator[list[_Line]]:
    """The lines of each page. Raises DocumentError where there are too many, or too long ones."""
    if len(pdf) > _MOST_PAGES:
        raise DocumentError(f"has {len(pdf):,} pages, over the limit of {_MOST_PAGES:,}: split it")
    for number in range(len(pdf)):
        page = _drawn(pdf, number)
        textpage = page.get_textpage()
        limit -= textpage.count_chars()
        if limit < 0:
            raise DocumentError("holds more text than a file may have bytes: split it")
        lines = list(_lines(textpage))
        yield lines if page.get_rotation() else _downwards(lines)
        textpage.close()
        page.close()


def _drawn(pdf: PdfDocument, number: int) -> PdfPage:
    """A page, from 0, with what is laid over it, as filled-in fields and stamps, drawn into it."""
    from pypdfium2 import raw

    page = pdf[number]
    if not raw.FPDFPage_GetAnnotCount(page):
        return page
    raw.FPDFPage_Flatten(page, raw.FLAT_NORMALDISPLAY)
    page.close()
    return pdf[number]


def _downwards(lines: list[_Line]) -> list[_Line]:
    """Put what stands below all that follows it after that: a footer or notes that come first."""
    highest = list(accumulate((line.first for line in lines), max))
    lowest = list(accumulate((line.last for line in reversed(lines)), min))[::-1]
    cuts = [i for i in range(1, len(lines)) if highest[i - 1] + _LOWER < lowest[i]]
    parts = [lines[start:end] for start, end in pairwise([0, *cuts, len(lines)])]
    return [line for part in reversed(parts) for line in part]


def _shown_lines(pages: list[list[_Line]]) -> list[list[_Line]]:
    """The lines of each page, page numbers left out and the headers and footers of later pages."""
    offset = _numbering(pages)
    numbered = [
        [(_unnumbered(line.text, page + offset), line) for line in lines]
        for page, lines in enumerate(pages, start=1)
    ]
    edges = _edges(numbered)
    shown = []
    for page, lines in enumerate(numbered, start=1):
        kept = [
            i
            for i, (bare, line) in enumerate(lines)
            if not _PAGE_NUMBER.fullmatch(bare)
            and not (page > 1 and _is_running(bare, page, line.first, edges, len(pages)))
        ]
        shown.append(pages[page - 1][kept[0] : kept[-1] + 1] if kept else [])
    return shown


def _numbering(pages: list[list[_Line]]) -> int:
    """The number printed on a page less its place in the file, from 1; 0 where none is printed.

    Numbers that stand alone on their line are page numbers before others are.
    """
    for number in (_LONE_NUMBER, _NUMBER):
        pages_with = Counter(
            offset
            for page, lines in enumerate(pages, start=1)
            for offset in {
                int(n) - page for line in _edge(lines) for n in number.findall(line.text)
            }
        )
        offset, count = max(pages_with.items(), key=itemgetter(1), default=(0, 0))
        if count >= max(_FEWEST, len(pages) / 2):
            return offset
    return 0


def _unnumbered(line: str, number: int) -> str:
    return re.sub(rf"\b{number}\b", "#", line)


def _edge(lines: list[_T]) -> list[_T]:
    return lines[:2] + lines[2:][-2:]


def _edges(pages: list[list[tuple[str, _Line]]]) -> _Edges:
    """Where the lines at the edges of pages stand, by their text without the page's number."""
    edges: _Edges = {}
    for page, lines in enumerate(pages, start=1):
        for bare, line in _edge(lines):
            edges.setdefault(bare, {}).setdefault(page, []).append(line.first)
    return edges


def _is_running(bare: str, page: int, height: float, edges: _Edges, pages: int) -> bool:
    """Whether a line is at the edge of many pages, or of some near ones at the same height."""
    found = edges.get(bare, {})
    near = range(page - _NEAR, page + _NEAR + 1)
    alike = sum(any(abs(y - height) <= 1 for y in found.get(n, ())) for n in near)
    many = len(found) >= max(_FEWEST, pages / 3)
    return many or alike >= (2 if "#" in bare else _FEWEST)


def _set_apart(lines: list[_Line]) -> str:
    """Lines under one another, with a blank line where the gap is wider than those around it."""
    if not lines:
        return ""
    gaps = [above.last - below.first for above, below in pairwise(lines)]
    downwards = sorted(gap for gap in gaps if gap > 0) or [0]
    usual = downwards[len(downwards) // 4]
    parts = [lines[0].text]
    for i, (above, below) in enumerate(pairwise(lines)):
        near = min((*gaps[max(i - 1, 0) : i], *gaps[i + 1 : i + 2]), default=usual)
        apart = gaps[i] > _WIDER * max(usual, near) and not _runs_on(above.text, below.text)
        parts += ["\n\n" if apart else "\n", below.text]
    return "".join(parts)


def _lines(textpage: PdfTextPage) -> Iterator[_Line]:
    """The lines of a page that have text, in pdfium's order."""
    codes = _codes(textpage)
    start = 0
    for end in [*(i for i, code in enumerate(codes) if _ends(textpage, i, code)), len(codes)]:
        inked = [i for i in range(start, end) if not chr(codes[i]).isspace()]
        traced = _trace(textpage, list(zip(codes[start:end], range(start, end), strict=True)))
        if traced and inked:
            text = "".join(character for character, _ in traced)
            places = array("i", (index for _, index in traced))
            _, first = _origin(textpage, inked[0])
            _, last = _origin(textpage, inked[-1])
            yield _Line(text, places, first, last)
        start = end + 1


def _ends(textpage: PdfTextPage, index: int, code: int) -> bool:
    """Whether a line ends at a character, if only in a space that pdfium put between two fields."""
    if code != 32:
        return code in (10, 13)
    from pypdfium2 import raw

    if raw.FPDFText_IsGenerated(textpage, index) != 1:
        return False
    (left, above), (right, below) = (_origin(textpage, i) for i in (index - 1, index + 1))
    return right < left and abs(above - below) > _LOWER


def _codes(textpage: PdfTextPage) -> list[int]:
    """A page's characters as UTF-16 code units or code points; 0 where one has none."""
    from pypdfium2 import raw

    def code(index: int) -> int:
        found: int = raw.FPDFText_GetUnicode(textpage, index)
        if found == ord(_HYPHEN) and raw.FPDFText_IsHyphen(textpage, index) != 1:
            return 0
        return found if found <= 0x10FFFF else 0

    return [code(index) for index in range(textpage.count_chars())]


def _trace(textpage: PdfTextPage, codes: list[tuple[int, int]]) -> list[_Traced]:
    """A line's characters, each with the place of the code it comes from.

    Surrogates are paired, words joined again that were broken at a hyphen, ligatures spelled and
    accents set on their letters, white space around the line and control characters left out.
    """
    joined = list(_join_words(_pair_surrogates(codes)))
    if any(character in _LIGATURES or ord(character) in _EXPERT for character, _ in joined):
        joined = list(_spell(joined))
    clean = [(drop_controls(character), place) for character, place in joined]
    if any(character in _ACCENTS for character, _ in clean):
        clean = list(_set_accents(textpage, clean))
    shown = [number for number, (character, _) in enumerate(clean) if character.strip()]
    if not shown:
        return []
    return [pair for pair in clean[shown[0] : shown[-1] + 1] if pair[0]]


def _pair_surrogates(codes: list[tuple[int, int]]) -> Iterator[_Traced]:
    """The characters of UTF-16 code units and of code points; lone surrogates are left out."""
    high = 0
    for code, place in codes:
        if 0xDC00 <= code < 0xE000 and high:
            yield chr(0x10000 + ((high - 0xD800) << 10) + code - 0xDC00), place - 1
        elif not 0xD800 <= code < 0xE000:
            yield chr(code), place
        high = code if 0xD800 <= code < 0xDC00 else 0


def _spell(characters: list[_Traced]) -> Iterator[_Traced]:
    """Ligatures beside a letter as letters, and the digits and small capitals of expert fonts."""
    for (before, _), (character, place), (after, _) in zip(
        [_BLANK, *characters], characters, [*characters[1:], _BLANK], strict=False
    ):
        beside = character in _LIGATURES and (before.isalpha() or after.isalpha())
        spelled = _LIGATURES[character] if beside else character.translate(_EXPERT)
        yield from ((letter, place) for letter in spelled)


def _set_accents(textpage: PdfTextPage, characters: list[_Traced]) -> list[_Traced]:
    """Compose each accent with the letter of its line that it is drawn over, as old TeX files do.

    pdfium may have put it elsewhere on the line, between two spaces of its own.
    """
    composed = list(characters)
    for number, (accent, place) in enumerate(characters):
        if accent not in _ACCENTS:
            continue
        left, _, right, _ = textpage.get_charbox(place)
        for other, (letter, under) in enumerate(composed):
            both = normalize("NFC", _DOTLESS.get(letter, letter) + _ACCENTS[accent])
            if letter.isalpha() and len(both) == 1 and _is_at(textpage, under, (left + right) / 2):
                composed[other], composed[number] = (both, under), ("", place)
                _close(textpage, composed, number)
                break
    return composed


def _close(textpage: PdfTextPage, characters: list[_Traced], number: int) -> None:
    """Leave out the spaces around a character that was taken away, but one between two words."""
    around = characters[max(number - 2, 0) : number + 3]
    if "".join(character for character, _ in around)[1:-1] == "  ":
        _, bottom, end, top = textpage.get_charbox(around[0][1], loose=True)
        start, _, _, _ = textpage.get_charbox(around[-1][1], loose=True)
        characters[number + 1] = ("", -1)
        if start - end < _WORD_GAP * (top - bottom):
            characters[number - 1] = ("", -1)


def _is_at(textpage: PdfTextPage, letter: int, x: float) -> bool:
    """Whether a point is within the width of a character."""
    start, _, end, _ = textpage.get_charbox(letter)
    return bool(start < x < end)


def _join_words(characters: Iterator[_Traced]) -> Iterator[_Traced]:
    """Leave out a hyphen at a line's end before a small letter; keep it as "-" before others."""
    for character, place in characters:
        if character != _HYPHEN:
            yield character, place
            continue
        following = next(characters, None)
        if not (following and following[0].islower()):
            yield "-", place
        if following:
            yield following


def _origin(textpage: PdfTextPage, index: int) -> tuple[float, float]:
    """Where a character stands: from the left, and the height of its line."""
    from pypdfium2 import raw

    x, y = c_double(), c_double()
    raw.FPDFText_GetCharOrigin(textpage, index, x, y)
    return x.value, y.value


def _join(pages: list[str]) -> tuple[str, tuple[int, ...]]:
    """The whole text, and where in it each page starts."""
    parts: list[str] = []
    starts: list[int] = []
    length = 0
    last = ""  # the last page so far that has text
    for page in pages:
        gap = "" if not last or not page else "\n" if _runs_on(last, page) else "\n\n"
        starts.append(length + len(gap))
        parts += [gap, page]
        length += len(gap) + len(page)
        last = page or last
    return "".join(parts), tuple(starts)


def _runs_on(before: str, after: str) -> bool:
    """Whether a sentence that is not at its end goes on with a small letter."""
    return after[0].islower() and (before[-1].isalnum() or before[-1] in ",;-–—")
