from __future__ import annotations

import gc
import json
import re
import socket
import threading
import warnings
from collections.abc import Sequence
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from rag.build import build_index
from rag.encoder import Encoding, SentenceEncoder
from rag.errors import IndexMissing, ModelError, RagError
from rag.generation import Generation, open_generation
from rag.settings import Settings
from rag.types import Answer, Document, Quote
from rag.web import Folders, serve
from rag.web.library import Library
from rag.web.markup import (
    exact,
    quoted,
    readable_date,
    say_how_sure,
    show_answer,
    show_document,
    show_documents,
)
from rag.web.page import EXAMPLES, greet, reply
from rag.web.routes import make_router
from rag.web.server import make_app
from tests.conftest import ROOT
from tests.encoders import WordEncoder
from tests.pdfs import make_pdf

HOSTILE = (
    "<script>alert(1)</script> ![x](http://evil.example/x.png) [a](javascript:alert(1)) "
    "&lt;b&gt; &#60;i&#62; ${alert(1)} {{value}} `code` $$x$$ <img src=x onerror=alert(1)> "
    "\"'></bdi></mark> \u202egnp.exe\u202c \x1b[31m \u2066isolate\u2069"
)


class _Texts(HTMLParser):
    """Collects the text of every element by its id or class, and every tag."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.links: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[tuple[str, list[str]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        values = dict(attrs)
        if tag == "a":
            self.links.append(values["href"] or "")
        if tag in {"br", "meta", "link"}:
            return
        key = values.get("id") or values.get("class") or tag
        self.texts.setdefault(key, []).append("")
        self._open.append((tag, self.texts[key]))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        for _, texts in self._open:
            texts[-1] += data


def _text(html: str, key: str) -> str:
    (text,) = _Texts(html).texts[key]
    return text


# Text into markup


@given(st.text())
def test_text_is_shown_exactly(text: str) -> None:
    html = f"<p>{exact(text)}</p>"
    assert _Texts(html).texts["p"] == [text]
    assert "\r" not in html  # a browser would turn it into a line feed


@given(st.text(alphabet="a \t\r\n<&"))
def test_blank_lines_of_a_quote_are_kept_beside_its_exact_text(text: str) -> None:
    assert _Texts(f"<p>{quoted(text)}</p>").texts["p"] == [text]


def test_hostile_text_makes_no_element() -> None:
    assert set(_Texts(str(exact(HOSTILE))).tags) == {"span"}


def test_characters_that_steer_are_named() -> None:
    assert 'data-code="U+202E"' in exact("a\u202eb")
    assert 'data-code="U+001B"' in exact("\x1b[2J")


@pytest.mark.parametrize(
    ("iso", "shown"), [("2024-09-07", "7 September 2024"), ("2024-09", "2024-09"), ("x", "x")]
)
def test_dates_are_readable(iso: str, shown: str) -> None:
    assert readable_date(iso) == shown


# A document's page


@st.composite
def _marked(draw: st.DrawFn) -> tuple[Document, list[tuple[int, int]]]:
    text = draw(st.text(min_size=2, max_size=200))
    cuts = draw(st.sets(st.integers(0, len(text)), max_size=8))
    places = sorted(cuts)
    spans = draw(st.permutations(list(zip(places[::2], places[1::2], strict=False))))
    pages = draw(st.lists(st.integers(0, len(text)), max_size=4))
    return Document("a", text, "a", "0" * 64, pages=tuple(sorted(pages))), spans


@given(_marked())
def test_a_document_is_shown_whole_with_exactly_its_quotes_marked(
    case: tuple[Document, list[tuple[int, int]]],
) -> None:
    document, spans = case
    html = show_document(document, spans, changed=False)
    assert _text(html, "text") == document.text
    for number, (start, end) in enumerate(spans):
        key = f"quote-{number + 1}" if number else "quote"
        assert _text(html, key) == document.text[start:end]
    assert html.count('class="page"') == len(document.pages)


def test_everything_of_a_document_is_escaped() -> None:
    document = Document(
        f"{HOSTILE}.txt", HOSTILE, HOSTILE, "0" * 64, date=HOSTILE, source=HOSTILE, pages=(0,)
    )
    html = show_document(document, [(0, len(HOSTILE))], changed=False)
    assert not {"script", "img", "b", "i"} & set(_Texts(html).tags)
    assert _Texts(html).links == ["/"]


# An answer


def _answer(quotes: Sequence[Quote], question: str = "why?") -> Answer:
    return Answer(question, tuple(quotes), 0.93, {}, (), {"all": 0.05})


class _Nowhere(Generation):
    """A generation that is only named."""

    def __init__(self) -> None:
        self.name = "000001"

    def also_in(self, _name: str) -> list[str]:
        return []


_NOWHERE = _Nowhere()


@pytest.fixture
def library(index: Path, words: WordEncoder) -> Library:
    library = Library(index.parent / "corpus", index, Settings(), words)
    library.load()
    return library


@pytest.fixture
def client(library: Library) -> TestClient:
    return _client(library)


def _client(library: Library) -> TestClient:
    app = FastAPI()
    app.include_router(make_router(library))
    return TestClient(app)


def test_an_answer_shows_quotes_with_markers_and_sources(library: Library) -> None:
    answer, generation = library.answer("How long is the Danube?")
    html = show_answer(answer, generation)
    shown = _Texts(html)
    assert shown.texts["words"][0] == "The Danube is 2,850 kilometres long."
    assert shown.texts["marker opens"][0] == "[1]"
    assert "Rivers" in shown.texts["sources"][0]
    assert "rivers.md, line 8, 1 May 2020" in shown.texts["sources"][0]
    assert f"Confidence {answer.confidence * 100:.0f} %" in shown.texts["figures"][0]


def test_the_same_words_elsewhere_are_linked_too(library: Library) -> None:
    answer, generation = library.answer("Honey never spoils")
    shown = _Texts(show_answer(answer, generation))
    assert shown.texts["words"] == ["Honey never spoils."]
    assert shown.texts["also"][0].startswith("also in")
    opened = {link.partition("?")[0] for link in shown.links}
    assert opened == {"/documents/bees.txt", "/documents/sub/honey.txt"}


def test_a_document_that_says_nearly_the_same_is_named(
    library: Library, corpus: Path, index: Path, words: WordEncoder
) -> None:
    report = [f"Line {n} of the report says that {n} wasps came home." for n in range(60)]
    (corpus / "report.txt").write_text("\n\n".join(report))
    (corpus / "sub" / "copy.txt").write_text("\n\n".join(["Seen elsewhere.", *report]))
    (corpus / "sub" / "c&d.txt").write_text("\n\n".join([*report, "Seen again."]))
    build_index(corpus, index, words, Settings())
    *_, (turn, _) = reply(library, "What does line 7 of the report say of wasps?")
    assert "also in" in turn  # the same sentence; that document is not named twice
    assert "nearly the same" not in turn
    (corpus / "sub" / "c&d.txt").write_text("\n\n".join([*report[:7], *report[8:], "Again."]))
    build_index(corpus, index, words, Settings())
    *_, (turn, _) = reply(library, "What does line 7 of the report say of wasps?")
    assert "nearly the same as" in turn
    assert '<a class="opens" href="/documents/sub/c%26d.txt"' in turn
    page = show_documents(
        library.current().catalogue(), [], dict.fromkeys(library.current().names, ""),
        library.current().alike(), is_open=False, accounts=False,
    )  # fmt: skip
    assert page.count("nearly the same as") == 3


def test_a_refusal_shows_the_nearest_passages(library: Library) -> None:
    answer, generation = library.answer("Who won the championship in 1987?")
    assert not answer.answered
    shown = _Texts(show_answer(answer, generation))
    assert shown.texts["refusal"] == ["The documents do not answer this."]
    assert len(shown.links) == len(shown.texts["excerpt"]) == 3
    assert not any("# Lengths" in excerpt for excerpt in shown.texts["excerpt"])


def test_every_link_of_an_answer_opens_its_words(library: Library, client: TestClient) -> None:
    for question in ("How long is the Danube?", "Honey never spoils", "Who won in 1987?"):
        answer, generation = library.answer(question)
        shown = _Texts(show_answer(answer, generation))
        marked = [_text(client.get(link).text, "quote") for link in shown.links]
        wanted = shown.texts.get("words") or shown.texts["excerpt"]
        assert [text for text in marked if text in wanted]
        assert set(wanted) <= set(marked)


@pytest.mark.parametrize(
    "name", ["a b.txt", "50% #1?.txt", "naïve/日本.txt", "<script>x.txt", "a'\"&.txt", "../up.txt"]
)
def test_a_link_names_its_document_whatever_the_name(name: str, words: WordEncoder) -> None:
    class Shelf(Library):
        def current(self) -> Shelf:  # type: ignore[override]
            return self

        def document(self, wanted: str) -> Document:
            return {document.name: document}[wanted]

        def passage_ids(self, _names: Sequence[str]) -> list[int]:
            return []

    document = Document(name, "Bees dance.", "Bees", "f" * 64)
    html = show_answer(_answer([Quote(document, 0, 4, 1.0)]), _NOWHERE)
    links = _Texts(html).links
    assert len(links) == 2
    client = _client(Shelf(Path(), Path(), Settings(), words))
    if ".." in name:  # a client resolves it: such a name cannot be asked for, nor be in an index
        assert client.get(links[0]).status_code == 404
    else:
        assert _text(client.get(links[0]).text, "quote") == "Bees"


def test_all_quotes_of_a_document_are_marked_where_any_is_opened() -> None:
    document = Document("a.txt", "One. Two. Three.", "a", "0" * 64)
    other = Document("b.txt", "Four.", "b", "1" * 64)
    quotes = [Quote(document, 5, 9, 2.0), Quote(other, 0, 5, 1.5), Quote(document, 0, 4, 1.0)]
    links = _Texts(show_answer(_answer(quotes), _NOWHERE)).links
    assert links[:3] == [
        "/documents/a.txt?quote=5-9&quote=0-4&digest=0000000000000000#quote",
        "/documents/b.txt?quote=0-5&digest=1111111111111111#quote",
        "/documents/a.txt?quote=0-4&quote=5-9&digest=0000000000000000#quote",
    ]


def test_everything_of_an_answer_is_escaped() -> None:
    document = Document(HOSTILE, HOSTILE, HOSTILE, "0" * 64, date=HOSTILE)
    quote = Quote(document, 0, len(HOSTILE), 1.0, also_in=(Quote(document, 0, 8, 1.0),))
    html = show_answer(_answer([quote], HOSTILE), _NOWHERE)
    shown = _Texts(html)
    assert not {"script", "img", "b", "i"} & set(shown.tags)
    assert shown.texts["words"] == [HOSTILE]
    assert shown.texts["question"] == [HOSTILE]
    assert all(link.startswith("/documents/") for link in shown.links)


# The routes


def test_a_document_opens_with_its_metadata(client: TestClient) -> None:
    page = client.get("/documents/rivers.md")
    assert page.status_code == 200
    assert "<h1><bdi>Rivers</bdi></h1>" in page.text
    assert '<time datetime="2020-05-01">1 May 2020</time>' in page.text
    assert "script-src" not in page.headers["content-security-policy"]
    assert "default-src 'none'" in page.headers["content-security-policy"]


@pytest.mark.parametrize(
    "path",
    ["", "nothing.txt", "../rivers.md", "..%2F..%2Fetc%2Fpasswd", "%2Fetc%2Fpasswd", "<b>x"],
)
def test_only_what_is_in_the_index_can_be_opened(client: TestClient, path: str) -> None:
    page = client.get(f"/documents/{path}")
    assert page.status_code == 404
    assert "<b>x" not in page.text


@pytest.mark.parametrize(
    "query",
    [
        *("quote=", "quote=5", "quote=5-", "quote=-5-9", "quote=9-5", "quote=5-5", "quote=a-b"),
        *("quote=0-99999999", "quote=0-9999999999999999", "quote=٠-٥", "quote=0-5&quote=3-9"),
        *("quote=<script>", "quote=0-5&quote=0-5"),
    ],
)
def test_what_is_no_place_is_refused(client: TestClient, query: str) -> None:
    page = client.get(f"/documents/bees.txt?{query}")
    assert page.status_code == 400
    assert "bees.txt" in page.text
    assert "Traceback" not in page.text
    assert "<script>" not in page.text


def test_a_document_that_changed_is_shown_unmarked_and_says_so(
    client: TestClient, library: Library, corpus: Path, index: Path, words: WordEncoder
) -> None:
    answer, generation = library.answer("How long is the Danube?")
    link = _Texts(show_answer(answer, generation)).links[0]
    (corpus / "rivers.md").write_text("The Danube is long.\n")
    build_index(corpus, index, words, Settings())
    page = client.get(link)
    assert page.status_code == 200
    assert "<mark" not in page.text
    assert "changed since it was quoted" in page.text
    assert _text(page.text, "text") == "The Danube is long.\n"


def test_a_mark_names_its_place_and_heading(client: TestClient) -> None:
    text = client.get("/documents/rivers.md").text
    start = _text(text, "text").index("The Danube rises")
    page = client.get(f"/documents/rivers.md?quote={start}-{start + 10}")
    assert 'data-place="line 12 · Sources"' in page.text


@pytest.mark.parametrize(
    ("agreeing", "differ", "said"),
    [
        (("a",), False, "1 document says so · Confidence 93 % · 0.05 s"),
        (("a", "b", "c"), False, "3 documents say so · Confidence 93 % · 0.05 s"),
        (("a", "b"), True, "The sources differ · Confidence 93 % · 0.05 s"),
    ],
)
def test_an_answer_says_in_one_line_why_and_how_sure(
    agreeing: tuple[str, ...], differ: bool, said: str
) -> None:
    quote = Quote(Document("a", "Bees dance.", "a", "0" * 64), 0, 11, 1.0)
    answer = replace(_answer([quote]), agreeing=agreeing, differ=differ)
    assert say_how_sure(answer) == said
    assert say_how_sure(_answer([])) == "Confidence 93 % · 0.05 s"


def test_a_preview_shows_the_quote_in_its_passage(library: Library) -> None:
    html = show_answer(*library.answer("How long is the Danube?"))
    shown = _Texts(html)
    (preview,) = shown.texts["passage"]
    assert shown.texts["words"][0] in preview
    assert "It flows through ten countries." in preview


@pytest.fixture
def pdf(corpus: Path, index: Path, words: WordEncoder) -> Document:
    """A document of two pages, indexed."""
    (corpus / "stars.pdf").write_bytes(make_pdf([["Stars shine."], ["Comets pass by."]]))
    build_index(corpus, index, words, Settings())
    return open_generation(index).document("stars.pdf")


def test_a_quote_of_a_pdf_is_shown_on_its_page(client: TestClient, pdf: Document) -> None:
    start = pdf.text.index("Comets")
    page = client.get(f"/documents/stars.pdf?quote={start}-{len(pdf.text)}&quote=0-5")
    (second, first) = re.findall(r'<img src="([^"]+)"', page.text)[::-1]
    assert "page=1" in first
    assert "page=2" in second
    image = client.get(unescape(second))
    assert image.headers["content-type"] == "image/webp"
    assert image.content[8:12] == b"WEBP"


@pytest.mark.parametrize(
    "query", ["page=0", "page=3", "page=1&quote=0-999", "page=1&digest=0000000000000000"]
)
def test_no_page_is_drawn_that_is_not_there(
    client: TestClient,
    pdf: Document,  # noqa: ARG001  indexed
    query: str,
) -> None:
    assert client.get(f"/sheets/stars.pdf?{query}").status_code == 404


def test_no_page_is_drawn_from_a_file_that_changed(
    client: TestClient,
    pdf: Document,  # noqa: ARG001  indexed
    corpus: Path,
) -> None:
    (corpus / "stars.pdf").write_bytes(make_pdf([["Stars shine!"], ["Comets pass by."]]))
    assert client.get("/sheets/stars.pdf?page=1").status_code == 404
    assert client.get("/sheets/bees.txt?page=1").status_code == 404
    assert client.get("/sheets/..%2Fstars.pdf?page=1").status_code == 404


def test_health_tells_what_is_loaded(client: TestClient, library: Library, index: Path) -> None:
    library.answer("Do bees dance?")
    assert client.get("/health").json() == {"model": True, "index": "000001"}
    (index / "CURRENT").unlink()
    assert client.get("/health").json() == {"model": True, "index": None}
    assert client.get("/documents/bees.txt").status_code == 503


def test_no_page_names_another_host(library: Library) -> None:
    with warnings.catch_warnings():  # Gradio leaves event loops unclosed
        warnings.simplefilter("ignore", ResourceWarning)
        app = make_app(library)
        gc.collect()
    client = TestClient(app, "http://localhost")
    for path in (
        "/",
        "/library",
        "/style.css",
        "/chat.js",
        "/scope.js",
        "/library.js",
        "/documents/bees.txt",
        "/theme.css",
        "/favicon.ico",
    ):
        page = client.get(path)
        assert page.status_code == 200, path
        assert not re.search(r"""(src|href)=["'](https?:)?//(?!localhost)|@import""", page.text)
        assert not re.search(r"""url\(["']?(https?:)?//""", page.text)


# The conversation


def _last(library: Library, question: str) -> tuple[str, str]:
    *_, (turn, failed) = reply(library, question)
    return turn, failed


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("", "the question is empty"),
        (" \n", "the question is empty"),
        ("x " * 50_000, "100,000"),
        ("\ud800", "half of a character"),
    ],
)
def test_a_question_that_cannot_be_asked_is_explained(
    library: Library, question: str, said: str
) -> None:
    turn, failed = _last(library, question)
    assert said in _text(turn, "notice")
    assert failed == question  # nothing typed is lost
    assert len(turn) < 2_000


def test_a_follow_up_says_what_was_searched_for(library: Library) -> None:
    said = json.dumps(
        [
            {"role": "user", "text": "How long is the Danube?"},
            {"role": "assistant", "text": "The Danube is 2,850 kilometres long."},
        ]
    )
    *_, (turn, _) = reply(library, "And where does it rise?", said=said)
    assert "(after “How long is the Danube?”)" in _text(turn, "understood")
    *_, (turn, _) = reply(library, "And where does it rise?", said=said, as_written=True)
    assert "understood" not in turn


@pytest.mark.parametrize(
    "said", ["{", "[1]", "{}", '[{"text": 1}]', '[{"text": "\\ud800"}]', "[" * 100_000]
)
def test_a_thread_that_cannot_be_read_is_explained(library: Library, said: str) -> None:
    *_, (turn, failed) = reply(library, "Do bees dance?", said=said)
    assert "thread" in _text(turn, "notice")
    assert failed == "Do bees dance?"


def test_questions_in_any_script_get_a_turn(library: Library) -> None:
    for question in ("蜜蜂跳舞吗?", "هل يرقص النحل؟", "🐝", "AND OR NOT (\"'*:"):
        turn, _ = _last(library, question)
        assert _text(turn, "question") == question
        assert "figures" in turn


def test_without_an_index_the_cure_is_named(tmp_path: Path, words: WordEncoder) -> None:
    library = Library(tmp_path, tmp_path / "none", Settings(), words)
    library.load()
    turn, failed = _last(library, "Do bees dance?")
    assert "there is no index" in _text(turn, "notice")
    assert "rag index" in _text(turn, "notice")
    assert failed == "Do bees dance?"
    assert "rag index" in _text(greet(library), "notice")


def test_an_index_that_appears_is_used(tmp_path: Path, corpus: Path, words: WordEncoder) -> None:
    library = Library(tmp_path, tmp_path / "late", Settings(), words)
    library.load()
    assert "notice" in _last(library, "Do bees dance?")[0]
    build_index(corpus, tmp_path / "late", words, Settings())
    assert "Bees dance" in _last(library, "Do bees dance?")[0]


def test_a_damaged_index_is_explained(index: Path, words: WordEncoder) -> None:
    manifest = index / "000001" / "manifest.json"
    manifest.write_text(manifest.read_text()[:100])
    library = Library(index.parent / "corpus", index, Settings(), words)
    library.load()
    turn, _ = _last(library, "Do bees dance?")
    assert "rag index --full" in _text(turn, "notice")


def test_an_index_of_another_model_is_explained(index: Path) -> None:
    class Other(WordEncoder):
        name, digest = "other", "1" * 64

    library = Library(index.parent / "corpus", index, Settings(), Other())
    library.load()
    turn, _ = _last(library, "Do bees dance?")
    assert "other" in _text(turn, "notice")
    assert "run rag index" in _text(turn, "notice")


def test_a_model_that_cannot_be_loaded_is_explained(index: Path) -> None:
    class Missing(WordEncoder):
        def encode(self, *_: object) -> list[Encoding]:
            raise ModelError("the packaged model is missing: pip install it")

    library = Library(index.parent / "corpus", index, Settings(), Missing())
    library.load()
    turn, _ = _last(library, "Do bees dance?")
    assert "pip install it" in _text(turn, "notice")
    assert not library.has_model


def test_a_bug_gives_an_apology_and_a_log(index: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(WordEncoder):
        def encode(self, texts: Sequence[str], contexts: Sequence[str] = ()) -> list[Encoding]:
            if texts == ["warm up"]:
                return super().encode(texts, contexts)
            raise ZeroDivisionError("secret")

    library = Library(index.parent / "corpus", index, Settings(), Broken())
    library.load()
    turn, failed = _last(library, "Do bees dance?")
    assert "Sorry" in _text(turn, "notice")
    assert "secret" not in turn
    assert "ZeroDivisionError: secret" in caplog.text
    assert "bees" not in caplog.text  # what people ask is not logged
    assert failed == "Do bees dance?"


def test_a_question_asked_while_the_model_loads_is_answered_when_it_is_ready(index: Path) -> None:
    ready = threading.Event()

    class Slow(WordEncoder):
        def encode(self, texts: Sequence[str], contexts: Sequence[str] = ()) -> list[Encoding]:
            assert ready.wait(60)
            return super().encode(texts, contexts)

    library = Library(index.parent / "corpus", index, Settings(), Slow())
    library.load()
    turns = reply(library, "Do bees dance?")
    turn, failed = next(turns)
    assert "Loading the model" in _text(turn, "notice waiting")
    assert failed == ""
    assert not library.has_model
    ready.set()
    turn, _ = next(turns)
    assert "Bees dance" in turn


# The generation in use


def test_a_new_generation_is_picked_up_and_the_old_one_stays_good(
    library: Library, corpus: Path, index: Path, words: WordEncoder
) -> None:
    old = library.current()
    assert library.current() is old
    (corpus / "new.txt").write_text("Wasps build nests of paper.\n")
    build_index(corpus, index, words, Settings())
    new = library.current()
    assert new is not old
    assert "new.txt" in new.names
    assert old.document("bees.txt").text == new.document("bees.txt").text


def test_an_index_deleted_and_built_anew_is_noticed(
    library: Library, corpus: Path, index: Path, words: WordEncoder
) -> None:
    old = library.current()
    for path in sorted(index.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    with pytest.raises(IndexMissing, match="run rag index"):
        library.current()
    (corpus / "bees.txt").write_text("Bees sleep.\n")
    build_index(corpus, index, words, Settings())
    new = library.current()
    assert new.name == old.name
    assert new.document("bees.txt").text == "Bees sleep.\n"


# The examples and the server


@pytest.mark.slow
def test_an_answer_comes_quote_by_quote(shipped_index: Path, encoder: SentenceEncoder) -> None:
    library = Library(ROOT / "corpus", shipped_index, Settings(), encoder)
    library.load()
    _, first, whole = reply(library, "When does the coalition's mission in Iraq end?")
    shown = [_Texts(turn).texts for turn, _ in (first, whole)]
    assert len(shown[1]["words"]) == 2
    assert shown[0]["words"] == shown[1]["words"][:1]
    assert "sources" not in shown[0]
    assert "data-turn" not in first[0]  # nothing to save or to follow up yet


@pytest.mark.slow
def test_the_examples_are_answered_from_the_documents_that_say_so(
    shipped_index: Path, encoder: SentenceEncoder
) -> None:
    lines = (Path(__file__).parent / "questions.jsonl").read_text("utf-8").splitlines()
    known = {q["question"]: {s["document"] for s in q["quotes"]} for q in map(json.loads, lines)}
    library = Library(ROOT / "corpus", shipped_index, Settings(), encoder)
    library.load()
    for name, question in EXAMPLES.items():
        assert name in known[question]
        answer, _ = library.answer(question)
        assert known[question] & {quote.document.name for quote in answer.quotes}, question


def test_examples_are_shown_only_for_the_documents_that_ship(
    library: Library, shipped_index: Path, words: WordEncoder
) -> None:
    assert "example" not in _Texts(greet(library)).texts
    shipped = greet(Library(ROOT / "corpus", shipped_index, Settings(), words))
    assert _Texts(shipped).texts["example"] == list(EXAMPLES.values())
    assert f"{len(open_generation(shipped_index).names)} documents" in shipped


def test_a_taken_port_is_explained(index: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(RagError, match=rf"port {port} .*in use.*--port"):
            serve(Folders(index, index), Settings(), "127.0.0.1", port)


def test_a_folder_of_sets_that_is_not_there_is_named(index: Path, tmp_path: Path) -> None:
    folders = Folders(index, index, tmp_path / "none")
    with pytest.raises(RagError, match="--sets"):
        serve(folders, Settings(), "127.0.0.1", 0)
