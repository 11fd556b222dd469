"""Text → sentence spans.

A text is only ever cut, never copied or changed: whatever the rules below get wrong, nothing but
white space is lost. Lines make blocks (a paragraph, a list item, a heading, a table row), and
syntok cuts the blocks of prose. It reads a mask of the block: as many characters, but with the
full stops hidden that end no sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby, islice, pairwise
from typing import Literal, NamedTuple

from syntok import segmenter
from syntok.tokenizer import Tokenizer

from rag.errors import DocumentError
from rag.types import Document, Sentence

PLAIN_LEVEL = 7  # of a heading without marks, below the six levels of Markdown
MOST_SENTENCES = 1_000_000  # and lines, of a document: each takes half a kilobyte


def split_sentences(document: Document) -> list[Sentence]:
    """The sentences of ``document.text[document.body:]``, in order and disjoint.

    What lies before, between and after them is white space. Raises DocumentError where there are
    more than MOST_SENTENCES, or more lines.
    """
    text = document.text
    many = sum(map(text.count, _LINE_ENDS)) - text.count("\r\n") >= MOST_SENTENCES
    find_blocks = _find_rows if document.layout == "rows" else _find_blocks
    blocks = () if many else find_blocks(text, document.body)
    cut = (sentence for block in blocks for sentence in _cut_block(text, block))
    sentences = list(islice(cut, MOST_SENTENCES + 1))
    if many or len(sentences) > MOST_SENTENCES:
        raise DocumentError(f"has more than {MOST_SENTENCES:,} lines or sentences: split it")
    return sentences


_LINE_ENDS = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"  # those of str.splitlines


def read_heading(text: str) -> tuple[int, str] | None:
    """The level, from 1, and the words of a heading.

    None for what is marked as a heading only so that it is not quoted, and heads nothing: a rule, a
    table separator, a code fence, an image, a caption, a reading time, a line of contents.
    """
    if _heads_nothing(text) or _is_caption(text):
        return None
    if marked := _ATX_HEADING.match(text):
        return len(marked["level"]), marked["words"].rstrip("# \t")
    if marked := _WIKI_HEADING.match(text):
        return marked["level"].count("="), marked["words"]
    words, *underline = text.rsplit("\n", 1)
    if underline and _UNDERLINE.match(underline[0].strip()):
        return (1 if "=" in underline[0] else 2), words.strip()
    return PLAIN_LEVEL, text.lstrip("*_-+•> ").rstrip("*_: ")


def is_fence(text: str) -> bool:
    """Whether a text opens or closes code."""
    return text.startswith(_FENCES)


def is_item(text: str) -> bool:
    """Whether a text begins as an item of a list does."""
    return _ITEM.match(text) is not None


_Kind = Literal["code", "heading", "item", "row", "text"]


class _Block(NamedTuple):
    start: int
    end: int
    kind: _Kind


def _cut_block(text: str, block: _Block) -> Iterator[Sentence]:
    part = text[block.start : block.end]
    cuts = _find_cuts(part) if block.kind in ("item", "text") else ()
    worth = [cut for cut, after in pairwise([*cuts, len(part)]) if _WORD.search(part, cut, after)]
    for start, end in pairwise([0, *worth, len(part)]):
        piece = part[start:end]
        if words := piece.strip():
            first = block.start + end - len(piece.lstrip())
            heading = block.kind == "heading" or not _LETTER.search(words)
            yield Sentence(first, first + len(words), heading)


_LETTER = re.compile(r"[^\W\d_]")
_WORD = re.compile(r"[^\W_]")  # marks alone are no sentence

# Rows: a record of a CSV file is a sentence. A quotation mark opens a field only where one starts,
# and only if another closes it; the field may then span lines.

_FIELD_OR_END = re.compile(r'(?:\A|(?<=[,;\t|\r\n])) *"(?:[^"]|"")*+"|\r\n?|\n')


def _find_rows(text: str, body: int) -> Iterator[_Block]:
    found = _FIELD_OR_END.finditer(text[body:])
    ends = [body + m.end() for m in found if not m[0].endswith('"')]
    rows = [
        (start, end) for start, end in pairwise([body, *ends, len(text)]) if text[start:end].strip()
    ]
    for index, (start, end) in enumerate(rows):
        names = index == 0 and len(rows) > 1 and _names_columns(text[start:end])
        yield _Block(start, end, "heading" if names else "row")


def _names_columns(row: str) -> bool:
    """Whether a first row is a header: several short names, none of them empty or a number."""
    names = [name.strip(' "\r\n') for name in re.split(r"[,;\t|]", row)]
    short = all(_LETTER.match(name) and len(name) <= _LONGEST_NAME for name in names)
    return short and len(names) > 1


_LONGEST_NAME = 40  # characters

# Blocks: lines, paragraphs of lines, and units of lines that belong together.


class _Line(NamedTuple):
    start: int  # of its first character that is not white space
    text: str  # without white space around it
    code: bool = False  # inside a fence

    @property
    def end(self) -> int:
        return self.start + len(self.text)

    @property
    def words(self) -> str:
        """The text without the marks of a block quotation."""
        return self.text.lstrip("> ") or self.text


class _Unit(NamedTuple):
    kind: _Kind
    lines: list[_Line]
    alone: bool  # the one line between two blank lines


def _find_blocks(text: str, body: int) -> Iterator[_Block]:
    paragraphs = list(_find_paragraphs(text, body))
    width = _find_width(paragraphs)
    units = [unit for paragraph in paragraphs for unit in _join_lines(paragraph, width)]
    titles = [_looks_like_title(unit, first=index == 0) for index, unit in enumerate(units)]
    for index, unit in enumerate(units):
        kind = "heading" if titles[index] and _is_heading(units, titles, index) else unit.kind
        yield _Block(unit.lines[0].start, unit.lines[-1].end, kind)


def _find_paragraphs(text: str, body: int) -> Iterator[list[_Line]]:
    """Runs of lines between blank lines; code between fences has its own."""
    lines = list(_find_lines(text, body))
    _mark_code(lines)
    for (filled, _), run in groupby(lines, key=lambda line: (bool(line.text), line.code)):
        if filled:
            yield list(run)


def _find_lines(text: str, body: int) -> Iterator[_Line]:
    start = body
    for line in text[body:].splitlines(keepends=True):
        yield _Line(start + len(line) - len(line.lstrip()), line.strip())
        start += len(line)


def _mark_code(lines: list[_Line]) -> None:
    """Mark what stands between a fence and the next; a last one without a partner opens nothing."""
    fences = [i for i, line in enumerate(lines) if is_fence(line.text)]
    for first, last in zip(fences[::2], fences[1::2], strict=False):
        for i in range(first + 1, last):
            lines[i] = lines[i]._replace(code=True)


def _find_width(paragraphs: list[list[_Line]]) -> int:
    """The width at which the document's lines are wrapped; 0 where they are not."""
    pairs = [pair for lines in paragraphs if not lines[0].code for pair in pairwise(lines)]
    wrapped = sorted(len(line.text) for line, after in pairs if after.text[0].islower())
    if not wrapped or len(wrapped) < _WRAPPED_SHARE * len(pairs):
        return 0
    width = wrapped[len(wrapped) * 9 // 10]
    return width if _NARROWEST <= width <= _WIDEST else 0


_WRAPPED_SHARE = 0.4  # of the lines of wrapped prose, at least, begin with a small letter
_NARROWEST, _WIDEST = 40, 120  # characters of a wrapped line


def _join_lines(lines: list[_Line], width: int) -> Iterator[_Unit]:
    if lines[0].code:
        yield _Unit("code", lines, alone=False)
        return
    table = sum("|" in line.text for line in lines) > 1
    unit = _Unit(_kind_of_line(lines[0], table=table), lines[:1], alone=len(lines) == 1)
    for line in lines[1:]:
        kind = _kind_of_line(line, table=table)
        if _is_underlined(unit, line):
            unit = unit._replace(kind="heading")
        elif kind != "text" or not _goes_on(unit, line, width):
            yield unit
            unit = _Unit(kind, [], alone=False)
        unit.lines.append(line)
    yield unit


def _kind_of_line(line: _Line, *, table: bool) -> _Kind:
    if table and "|" in line.text and _LETTER.search(line.text):
        return "row"
    words = line.words
    if _is_caption(words) or _LEADER.search(words) or any(m.match(words) for m in _HEADING_LINES):
        return "heading"
    return "item" if is_item(words) else "text"


def _heads_nothing(line: str) -> bool:
    return bool(_FURNITURE.match(line) or _LEADER.search(line)) or not _LETTER.search(line)


def _is_caption(line: str) -> bool:
    """Whether a line says who took a picture."""
    return len(line) <= _LONGEST_CAPTION and bool(_CAPTION.search(line))


def _is_underlined(unit: _Unit, line: _Line) -> bool:
    """Whether ``line`` makes the unit before it a setext heading."""
    title = unit.lines[0].text
    if unit.kind != "text" or len(unit.lines) > 1 or len(title) > _LONGEST_TITLE:
        return False
    return bool(_UNDERLINE.match(line.text)) and not title.endswith(".")


def _goes_on(unit: _Unit, line: _Line, width: int) -> bool:
    """Whether ``line`` goes on with the sentence, or the short lines, of the unit before it."""
    if unit.kind in ("heading", "row"):
        return False
    before, after = unit.lines[-1].words, line.words
    if width and len(before) + 1 + len(after.split(maxsplit=1)[0]) > _FULL * width:
        return True
    if line.end - unit.lines[0].start > _LONGEST_JOINED:
        return False
    if _END.search(before):
        return after[0].islower() and bool(_DOTTED.search(before))
    short = max(len(before), len(after)) <= _SHORT_LINE and not _END.search(after)
    return short or after[0].islower() or bool(_UNFINISHED.search(before))


_FULL = 0.8  # of the width: a line so full, counting the word after it, was wrapped there
_SHORT_LINE = 40  # characters: the lines of an address or a menu are one sentence
_LONGEST_JOINED = 600  # characters of joined lines in a document that is not wrapped


def _looks_like_title(unit: _Unit, *, first: bool) -> bool:
    """Whether a unit is a short line without the marks of a sentence, or a question in a list."""
    line = unit.lines[0].text.strip("*_")
    longest = _LONGEST_TITLE if first or unit.alone else _LONGEST_INNER_TITLE
    if len(unit.lines) > 1 or len(line) > longest or unit.kind not in ("item", "text"):
        return False
    if unit.kind == "item":
        return line.endswith("?")
    return bool(_TITLE_START.match(line)) and not _SENTENCE_MARK.search(line)


def _is_heading(units: list[_Unit], titles: list[bool], index: int) -> bool:
    """Whether what looks like a title is one: it is too short for a sentence, or heads a text."""
    line = units[index].lines[0].text
    if len(line.split()) <= _FEW_WORDS and not any(map(str.isdigit, line)):
        return True
    if index + 1 == len(units):
        return False
    in_list = index > 0 and titles[index - 1] and not units[index].alone
    heads_text = not titles[index + 1] and units[index + 1].kind != "heading"
    return index == 0 or (heads_text and not in_list)


_FEW_WORDS = 3  # so few are no sentence
_LONGEST_TITLE = 100  # characters, in a paragraph of its own
_LONGEST_INNER_TITLE = 60
_LONGEST_CAPTION = 500

_FENCES = ("```", "~~~")
_ATX_HEADING = re.compile(r"(?P<level>#{1,6})[ \t]+(?P<words>\S.*)")
_WIKI_HEADING = re.compile(r"(?P<level>=(?: ?=)*) ?(?P<words>[^=\s](?:.*[^=\s])?)(?: ?=)*\Z")
_UNDERLINE = re.compile(r"(?:={3,}|-{3,})\Z")
_CHAPTER = re.compile(
    r"(?:annex|appendix|article|book|chapter|part|section|volume)\s+(?:\d+|[ivxlc]+)[.:]?\Z",
    re.IGNORECASE,
)
_FURNITURE = re.compile(
    r"```|~~~|<[^<>]*>\Z|!\[[^\]]*\]\([^)]*\)\Z"  # a fence, a tag, an image
    r"|(?:reading time|page \d|source)\b[^.!?]{0,20}\Z|\d+[ -]min(?:ute)?s? read\Z"
    r"|(?:advertisement|contents|published|read more|share|table of contents|updated)\W*\Z",
    re.IGNORECASE,
)
_LEADER = re.compile(r"(?:\. ?){4}(?:\d{1,4}|[ivxl]{1,7})\Z")  # dots that lead to a page
_RULE = re.compile(r"[\W_]+\Z")
_HEADING_LINES = (_ATX_HEADING, _WIKI_HEADING, _CHAPTER, _FURNITURE, _RULE)
_CAPTION = re.compile(
    r"\A(?:photo|image|picture|credit)(?: by)?\s*[:/]"
    r"|\((?:[A-Z][^()/]* / [A-Z][^()/]*"
    r"|[^()]*\b(?:AFP|AP|EPA|Getty|Images?|Photos?|Reuters)\b[^()]*)\)\Z",
)
_ITEM = re.compile(r"(?:[-*+•◦▪‣·●○■□✓]|\(?(?:\d{1,3}|[a-z]|[ivx]{2,5})\)|\d{1,3}\.)\s+\S")
_TITLE_START = re.compile(r"(?:(?:\d{1,2}(?:\.\d+)*\.?|\d{4})\s+)?[(\[]?[^\W\d_a-z]")
_SENTENCE_MARK = re.compile(  # at the end, or inside; "Steps:" and a question may be titles
    r"[.!…,;]\W*\Z|\s\S+\s.*\s.*:\Z|[^\W\d_]{2}[.!?;]\W*\s|:\s.*\d"
)
_END = re.compile(r"[.!?…。！？][\"'”’»)\]}]*\Z")
_DOTTED = re.compile(r"\b[A-Za-z]\.[A-Za-z]\.\Z")  # "5 p.m."
_UNFINISHED = re.compile(
    r"(?:[,(&—–]|\b(?:about|after|an?|and|are|as|at|be|been|before|between|but|by|can|during|for"
    r"|from|had|has|have|her|his|if|in|into|is|its|may|must|near|no|not|of|on|or|our|over|per"
    r"|should|than|that|the|their|this|through|to|under|was|were|when|where|which|while|who|will"
    r"|with|would|your))\Z"
)

# Sentences of a block of prose.


def _find_cuts(text: str) -> Iterator[int]:
    """Where ``text`` is cut, rising: at ends that syntok does not know, and between them at its."""
    ends = [end.end() for end in _OTHER_END.finditer(text)]
    for start, end in pairwise([0, *ends, len(text)]):
        for piece in _PIECE.finditer(text, start, end):
            yield from (piece.start() + cut for cut in _find_ends(piece[0]))
        yield end


def _find_ends(text: str) -> Iterator[int]:
    if not _STOP.search(text):
        return
    masked = _mask(text)
    for tokens in segmenter.segment(_TOKENIZER.tokenize(masked)):
        end = tokens[-1].offset + len(tokens[-1].value)
        if _END.search(masked, max(0, end - _LONGEST_END), end):  # not at a semicolon or a bracket
            yield end


_PIECE = re.compile(  # syntok takes a hundred bytes a character; cut in the midst of a sentence
    r".{1,100000}(?:\Z|(?<=[\w,])(?=\s))|.{1,100000}(?=\s)|.{1,100000}", re.DOTALL
)
_STOP = re.compile(r"[.!?…]")
_TOKENIZER = Tokenizer(replace_not_contraction=False)
_LONGEST_END = 8  # characters of a full stop and what closes after it
_OTHER_END = re.compile(
    r"[。！？｡]+[」』”’）]*|[।॥۔؟]+"
    r"|(?<!\\n)(?:\\n)++(?=\s*[A-Z\d*•“\"-])"  # a line end, escaped as in a dump of strings
    r"|\},(?=\s*\{)"
    r"|(?<=[a-z][.!?])”(?=[A-Z])"
)


# The mask: one character for each of the block, so that offsets hold.


def _mask(text: str) -> str:
    """``text`` with the full stops hidden that end no sentence, and those shown that do."""
    lower = _is_lower(text)
    text = _REFERENCE.sub(_move_end, text)
    for stop in (_TITLE[lower], _NUMBERED, _DATE, _INITIAL[lower], _ENUMERATION, _NAME):
        text = stop.sub(_hide, text)
    text = _ABBREVIATION[lower].sub(_hide_unless_last, text)
    text = _INNER_STOP.sub(_HIDDEN, text)
    text = _SYMBOL.sub(_hide_all, _LINK.sub(_hide_all, text))
    text = _ELLIPSIS.sub(".", text)
    text = _FIRST_ELLIPSIS.sub(_start_word, text)
    text = _QUOTE.sub(_close_quote, text)
    return _SMALL_START.sub(_raise_start, text) if lower else text


def _is_lower(text: str) -> bool:
    """Whether sentences begin with small letters, as in texts that were made all lower case."""
    first = _LETTER.search(text)
    return first is not None and first[0].islower() and 50 * len(_CAPITAL.findall(text)) < len(text)


_HIDDEN = "o"  # syntok takes a single vowel for a word, not for an initial


def _hide(stop: re.Match[str]) -> str:
    return stop[0].replace(".", _HIDDEN)


def _hide_all(symbols: re.Match[str]) -> str:
    return _HIDDEN * len(symbols[0])


def _hide_unless_last(abbreviation: re.Match[str]) -> str:
    """Keep the last full stop where the next word begins sentences: "in the U.S. The …"."""
    hidden = abbreviation[0][0] + _HIDDEN * (len(abbreviation[0]) - 1)
    return hidden[:-1] + "." if abbreviation["starter"] else hidden


def _move_end(end: re.Match[str]) -> str:
    return _HIDDEN * (len(end[0]) - 1) + "."


def _close_quote(quote: re.Match[str]) -> str:
    """Take a closing mark that stands by itself into its sentence: ``" Go . " He went .``."""
    stop = _SPACED_STOP.search(quote[0])
    if not stop:
        return quote[0]
    goes_on = quote.string[quote.end() : quote.end() + 2].strip().islower()
    end = _HIDDEN if goes_on else "."
    return quote[0][: stop.start()] + _HIDDEN + end.rjust(len(stop[0]) - 1)


def _start_word(ellipsis: re.Match[str]) -> str:
    return _hide_all(ellipsis).capitalize()


def _raise_start(start: re.Match[str]) -> str:
    return start[1] + start[2].upper()


_CAPITAL = re.compile(r"[A-Z]")
_REFERENCE = re.compile(  # "so.[2][3] The", "so.4 The"
    r"\.(?:\[[^\[\]]{1,30}\])+(?=\s|\Z)|(?<=[a-z)])\.\d{1,3}(?:[,–-]\d{1,3})*(?=\s+[\"“]?[A-Z])"
)
_TITLE_WORDS = (
    r"\b(?:Adm|[Aa]pprox|[Cc]a|Capt|[Cc]f|Cmdr|Col|Dr|e\.g|Fr|Gen|Gov|Hon|i\.e|Lt|Maj|Messrs|Mmes?"
    r"|Mr|Mrs|Ms|Pres|Prof|Reps?|Rev|Sens?|Sgt|Supt|[Vv]iz|[Vv]s) ?\."
)
_TITLE = (re.compile(_TITLE_WORDS), re.compile(_TITLE_WORDS, re.IGNORECASE))
_NUMBERED = re.compile(  # "No. 5", "Fig. S2", "Art. IV"
    r"\b(?i:no|nos|nr)\.(?=\s*\d)"
    r"|\b(?i:app|arts?|bk|ch|chap|cl|eqs?|exs?|figs?|op|paras?|pp?|pt|refs?|secs?|sect|tab|vols?)"
    r"\.(?=\s*(?:\d|[A-Z]+\d|[IVX]{2,}\b|[B-HJ-Z]\b))"
)
_DATE = re.compile(
    r"\b(?:jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|mon|tues?|wed|thurs?|fri|sat|sun)"
    r"\.(?=,?\s*\d)",
    re.IGNORECASE,
)
_INITIAL = (re.compile(r"\b[A-Z]\.(?=\s*[A-Z]\.)"), re.compile(r"(?<!\S)[a-z]\.(?=\s)"))
_ENUMERATION = re.compile(  # "1. First", "Step 2. Then", "a. One"
    r"(?:\A|(?<=[.!?]\s)|(?<=[.!?]\s\s)|(?<=[\"'“‘(]))"
    r"(?:(?:(?i:box|chapter|figure|note|section|step|table)\s)?\d{1,3}|[A-Za-z])\.(?=\s)"
)
_STARTERS = (
    "A(?= [a-z])|After|All|Although|Among|An|And|As|At|Because|Before|Between|Both|But|By"
    "|Despite|During|Each|Even|Every|For|From|He|Her|Here|His|How|However|I|If|In|It|Its|Many"
    "|Meanwhile|More|Most|My|No|Nor|Not|Now|On|One|Other|Others|Our|Over|She|Since|So|Some"
    "|Such|That|The|Their|Then|There|These|They|This|Those|Three|Through|To|Today|Two|Under"
    "|Until|We|What|When|Where|Which|While|Who|Why|With|Yet|You|Your"
)
_SMALL_STARTERS = "he|it|our|she|the|there|these|they|this|we"
_NAME = re.compile(rf"\b[A-Z]\w*+\.(?=[A-Z]\w)(?!(?:{_STARTERS})\b)")  # "Asp.Net", not "there.The"
_ABBREVIATIONS = (
    r"(?:\b(?:Ave|Blvd|Bros|Co|Corp|Dept|Esq|Ft|Inc|Jr|Ltd|Mt|Ph\.D|Rd|Sr|St|al|etc)"
    r"|\b(?:[A-Za-z]\.)+[A-Za-z])\."
    r"(?=[\"'”’)\]]*(?P<starter>\s+[\"'“‘(\[]*(?:%s)\b)?)"
)
_ABBREVIATION = (
    re.compile(_ABBREVIATIONS % _STARTERS),
    re.compile(_ABBREVIATIONS % _SMALL_STARTERS, re.IGNORECASE),
)
_INNER_STOP = re.compile(r"(?<=[a-z\d])\.(?=[a-z\d])")  # "example.com", "3.5"
_LINK = re.compile(r"(?<=\])\([^()\s]+\)")  # the address of a Markdown link
_SYMBOL = re.compile(r"(?<!\S)[^\w\s.!?,;:…\"'“”‘’()\[\]]++(?=[.!?])")  # "It works 😀."
_ELLIPSIS = re.compile(r"(?<=\S)…(?=\s+[\"“‘(]*[A-Z])")
_FIRST_ELLIPSIS = re.compile(r"(?<=[.!?]\s)(?:…|\.\.\.)(?=\s)")  # it opens the next sentence
_QUOTE = re.compile(r"\"[^\"]*\"|[.!?]\s''(?=\s)")
_SPACED_STOP = re.compile(r"[.!?]\s(?:\"|'')\Z")
_SMALL_START = re.compile(r"([.!?][\"'”’)\]]*\s+[\"'“‘(\[]*)([a-z])")
