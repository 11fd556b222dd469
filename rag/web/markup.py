"""Answers and documents → HTML. Whatever comes from a document is escaped here, and only here."""

from __future__ import annotations

import json
import re
import secrets
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from itertools import dropwhile, takewhile
from pathlib import Path
from urllib.parse import quote as percent_encode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from rag.documents import KINDS
from rag.index import Index
from rag.render import NEAREST, place, say_accord
from rag.sentences import read_heading
from rag.store import Listed
from rag.transcript import turn_markdown, turn_object
from rag.types import Answer, Document, Hit, Passage, Quote, Skipped
from rag.web.runs import Run

Span = tuple[int, int]  # characters of a document, end exclusive

_STEERING = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_LINE_END = re.compile(r"\r(\n?)")
_BLANK_LINE = re.compile(r"\n(?:&#13;|[ \t])*\n")


def exact(text: str) -> Markup:
    """Escape text so that the element's textContent is ``text``, character for character.

    Parsers turn a bare carriage return into a line feed, so it is written as a reference.
    Characters that steer the direction of writing or a terminal are shown by their code point,
    and isolated, so that they steer nothing.
    """
    shown = _STEERING.sub(_show_steering, str(escape(text)))
    return Markup(_LINE_END.sub(_show_line_end, shown))  # noqa: S704  escaped above


def _show_steering(match: re.Match[str]) -> str:
    return f'<span class="steering" data-code="U+{ord(match[0]):04X}">{match[0]}</span>'


def _show_line_end(match: re.Match[str]) -> str:
    return "&#13;\n" if match[1] else "&#13;<br>"


def quoted(text: str) -> Markup:
    """As ``exact``, with blank lines kept where white space is collapsed."""
    return Markup(_BLANK_LINE.sub(r"\g<0><br><br>", str(exact(text))))  # noqa: S704  escaped above


def plain(text: str) -> str:
    """Text for a place that holds no markup, such as a window's title."""
    return _STEERING.sub("\N{REPLACEMENT CHARACTER}", text)


def readable_date(iso: str) -> str:
    """Write 2024-09-27 as 27 September 2024; anything else stays as it is."""
    try:
        day = date.fromisoformat(iso)
    except ValueError:
        return iso
    return f"{day.day} {day:%B %Y}"


def readable_time(iso: str) -> str:
    """Write 2024-09-27T08:05:00+00:00 as 27 September 2024, 08:05 UTC."""
    time = datetime.fromisoformat(iso).astimezone(UTC)
    return f"{readable_date(time.date().isoformat())}, {time:%H:%M} UTC"


def document_url(document: Document, spans: Sequence[Span]) -> str:
    """The address of a document with these spans marked, scrolled to the first of them."""
    return f"/documents/{percent_encode(document.name)}?{_query(document, spans)}#quote"


def _query(document: Document, spans: Sequence[Span]) -> str:
    marks = "&".join(f"quote={start}-{end}" for start, end in spans)
    return f"{marks}&digest={document.digest[:_DIGEST]}"


_DIGEST = 16  # hex digits, enough to tell two versions of a document apart


def is_version(document: Document, digest: str) -> bool:
    """Whether a link with this digest was made from the document as it is now."""
    return document.digest[:_DIGEST] == digest


def quote_url(quote: Quote, quotes: Sequence[Quote] = ()) -> str:
    """The address of a quote's place, where an answer's other quotes are marked as well."""
    here = (quote.start, quote.end)
    others = [
        (q.start, q.end)
        for q in quotes
        if q.document.name == quote.document.name and (q.start, q.end) != here
    ]
    return document_url(quote.document, [here, *others])


@dataclass(frozen=True, slots=True)
class Preview:
    """A quote in its passage: what stands before it and after it, under which heading."""

    before: str
    after: str
    heading: str


def show_beginning(answer: Answer, count: int) -> str:
    """A turn of which only the first quotes are there yet."""
    begun = replace(answer, quotes=answer.quotes[:count])
    return _render("turn.html", question=answer.question, **_show_quotes(begun), partial=True)


def show_answer(answer: Answer, generation: Index) -> str:
    """One turn of the chat: the question, its quotes and their sources, or a refusal."""
    return _render(
        "turn.html",
        question=answer.question,
        **_show_quotes(answer),
        partial=False,
        alike=[_alike(quote, generation) for quote in answer.quotes],
        nearest=[_excerpt(hit, generation) for hit in answer.hits[:NEAREST]],
        sureness=say_how_sure(answer),
        exported=json.dumps(turn_object(answer, generation), ensure_ascii=False),
        markdown=turn_markdown(answer),
    )


def _show_quotes(answer: Answer) -> dict[str, object]:
    return {
        "answer": answer,
        "turn": secrets.token_hex(4),  # tells the turns of a page apart
        "previews": [_preview(quote, answer.hits) for quote in answer.quotes],
    }


def say_how_sure(answer: Answer) -> str:
    """One line: why to believe the answer, how sure it is, and the time it took."""
    parts = [f"Confidence {answer.confidence * 100:.0f} %", f"{answer.seconds:.2f} s"]
    why = [say_accord(answer) or "1 document says so"] if answer.answered else []
    return " · ".join([*why, *parts])


def _preview(quote: Quote, hits: Sequence[Hit]) -> Preview:
    """The hit in which a quote begins; its words alone where none of the hits is that."""
    text = quote.document.text
    for hit in hits:
        passage = hit.passage
        if passage.document == quote.document.name and passage.start <= quote.start < passage.end:
            before, after = text[passage.start : quote.start], text[quote.end : passage.end]
            heading = _heading_in(passage, quote.document, quote.start)
            return Preview(before.lstrip(), after.rstrip(), heading)
    return Preview("", "", "")


def _alike(quote: Quote, generation: Index) -> Sequence[str]:
    """The documents that say nearly the same as a quote's, beside those that are named anyway."""
    named = {other.document.name for other in quote.also_in}
    return [name for name in generation.also_in(quote.document.name) if name not in named]


def _excerpt(hit: Hit, generation: Index) -> Quote:
    """The first sentences of a passage under one heading, without the heading."""
    body = dropwhile(lambda sentence: sentence.heading, hit.passage.sentences)
    shown = list(takewhile(lambda sentence: not sentence.heading, body)) or hit.passage.sentences
    document = generation.document(hit.passage.document)
    return Quote(document, shown[0].start, shown[-1].end, hit.score)


def show_notice(question: str, notice: str, *, waiting: bool = False) -> str:
    """One turn of the chat that says why there is no answer, or not yet."""
    shown = question if len(question) <= _SHOWN else question[:_SHOWN] + " …"
    return _render("turn.html", question=shown, notice=notice, waiting=waiting)


_SHOWN = 200  # characters of a question that was not answered


def show_welcome(count: int, questions: Sequence[str]) -> str:
    """What stands above the conversation: how much can be asked, and some questions."""
    return _render("welcome.html", count=count, questions=questions, problem="")


def show_problem_welcome(problem: str) -> str:
    """What stands above the conversation while nothing can be asked."""
    return _render("welcome.html", problem=problem)


def show_document(
    document: Document, spans: Sequence[Span], *, changed: bool, headings: Sequence[str] = ()
) -> str:
    """A document's whole text with the spans marked; they must not overlap.

    ``headings`` are those in force at each span. With ``changed`` the reader is told that the
    document is not the one that was quoted.
    """
    places = [place(document, start) for start, _ in spans]
    for number, heading in enumerate(headings):
        places[number] += f" · {heading}" if heading else ""
    return _render(
        "document.html",
        document=document,
        text=_marked(document, spans, places),
        places=sorted((spans[number][0], number, where) for number, where in enumerate(places)),
        changed=changed,
        sheets=_sheets(document, spans),
    )


def show_sign_in(name: str, to: str, problem: str) -> str:
    """The page to sign in on, to go on to ``to``; for who is signed in as ``name``, to sign out."""
    return _render("signin.html", name=name, to=to, problem=problem)


def _sheets(document: Document, spans: Sequence[Span]) -> list[tuple[int, str]]:
    """The pages of a PDF on which the spans stand, each with the address of its image."""
    if not document.name.lower().endswith(".pdf"):
        return []
    pages: dict[int, list[Span]] = {}
    for start, end in sorted(spans):
        first, last = document.page(start), document.page(end - 1)
        for page in range(first or 0, (last or 0) + 1):
            pages.setdefault(page, []).append((start, end))
    return [(page, _sheet_url(document, page, marked)) for page, marked in sorted(pages.items())]


def _sheet_url(document: Document, page: int, spans: Sequence[Span]) -> str:
    return f"/sheets/{percent_encode(document.name)}?page={page}&{_query(document, spans)}"


def heading_at(generation: Index, document: Document, offset: int) -> str:
    """The heading under which a character stands; "" where there is none."""
    ids = generation.passage_ids([document.name])
    after = bisect_right(ids, offset, key=lambda number: generation.passage(number).start)
    return _heading_in(generation.passage(ids[after - 1]), document, offset) if after else ""


def _heading_in(passage: Passage, document: Document, offset: int) -> str:
    """The last heading of a passage before a character, else those in force where it starts."""
    for sentence in reversed(passage.sentences):
        if sentence.heading and sentence.start <= offset:
            heading = read_heading(document.text[sentence.start : sentence.end])
            if heading:
                return heading[1]
    return passage.heading


TABS = (
    ("/", "Chat"),
    ("/library", "Documents"),
    ("/evals", "Evals"),
    ("/programs", "For programs"),
)


def show_documents(
    documents: Sequence[Listed],
    skipped: Sequence[Skipped],
    added: Mapping[str, str],
    alike: Mapping[str, Sequence[str]],
    *,
    is_open: bool,
    accounts: bool,
    problem: str = "",
) -> str:
    """The page of documents; ``is_open`` tells whether they may be changed on it.

    On each of these pages one can sign out where there are ``accounts``.
    """
    return _render(
        "library.html",
        title="Documents",
        script="library.js",
        tabs=TABS,
        accounts=accounts,
        documents=documents,
        skipped=skipped,
        added=added,
        alike=alike,
        is_open=is_open,
        problem=problem,
        kinds=KINDS,
    )


def show_masthead(*, accounts: bool) -> str:
    """The head of the chat: its name, the ways to the other pages, what can be done with it."""
    return _render("masthead.html", title="Chat", tabs=TABS, accounts=accounts)


def show_evals(sets: Sequence[str], kept: Sequence[Run], shown: object, *, accounts: bool) -> str:
    """The page of evals: the sets to run, the runs that are kept, and one of them in full."""
    return _render(
        "evals.html",
        title="Evals",
        script="evals.js",
        tabs=TABS,
        accounts=accounts,
        sets=sets,
        kept=kept,
        shown=shown,
    )


def show_programs(address: str, *, accounts: bool) -> str:
    """The page that tells programs how to ask; ``address`` is the server's own."""
    return _render(
        "programs.html",
        title="For programs",
        script="",
        tabs=TABS,
        accounts=accounts,
        address=address,
    )


def document_path(name: str) -> str:
    """The address of a document with nothing marked."""
    return f"/documents/{percent_encode(name)}"


def show_problem(title: str, message: str) -> str:
    """A page that says why a document cannot be shown."""
    return _render("problem.html", title=title, message=message)


def _marked(document: Document, spans: Sequence[Span], places: Sequence[str]) -> Markup:
    done = document.body if all(start >= document.body for start, _ in spans) else 0
    parts = [Markup('<span class="front">{}</span>').format(exact(document.text[:done]))]
    for number, (start, end) in sorted(enumerate(spans), key=lambda item: item[1]):
        mark = Markup('<mark id="{}" data-place="{}">{}</mark>').format(
            mark_id(number), plain(places[number]), _with_pages(document, start, end)
        )
        parts += [_with_pages(document, done, start), mark]
        done = end
    # A last page without text starts where the text ends.
    return Markup().join([*parts, _with_pages(document, done, len(document.text) + 1)])


def mark_id(number: int) -> str:
    """The fragment of mark ``number``, from 0, in the order of the address."""
    return f"quote-{number + 1}" if number else "quote"


def _with_pages(document: Document, start: int, end: int) -> Markup:
    """A slice of the text with a sign, empty of text, where each page begins."""
    parts = []
    for number, page in enumerate(document.pages, 1):
        if start <= page < end:
            sign = Markup('<span class="page" id="page-{0}" data-page="{0}"></span>')
            parts += [exact(document.text[start:page]), sign.format(number)]
            start = page
    return Markup().join([*parts, exact(document.text[start:end])])


def _render(template: str, **values: object) -> str:
    return _TEMPLATES.get_template(template).render(**values)


_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters.update(
    document_path=document_path,
    exact=exact,
    quoted=quoted,
    plain=plain,
    readable_date=readable_date,
    readable_time=readable_time,
    mark_id=mark_id,
)
_TEMPLATES.globals.update(place=place, quote_url=quote_url)
