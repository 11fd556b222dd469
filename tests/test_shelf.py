from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import example, given
from hypothesis import strategies as st

from rag.encoder import Encoding
from rag.errors import DocumentError, QuestionError
from rag.generation import Generation
from rag.settings import Settings
from rag.types import Scope
from rag.web.documents import make_documents_router
from rag.web.library import Library
from rag.web.scope import read_scope
from rag.web.shelf import Shelf, safe_name
from tests.encoders import WordEncoder


class Desk:
    """A library with its shelf, and a client of their routes."""

    def __init__(self, corpus: Path, index: Path, words: WordEncoder, *, open_: bool) -> None:
        settings = Settings(max_file_mb=1)
        self.corpus = corpus
        self.library = Library(corpus, index, Settings(), words)
        self.library.load()
        self.shelf = Shelf(corpus, index, words, settings, open_=open_)
        app = FastAPI()
        app.include_router(make_documents_router(self.library, self.shelf))
        self.client = TestClient(app)

    def wait(self) -> None:
        while self.shelf.state.running:
            time.sleep(0.01)

    def ask(self, question: str) -> list[str]:
        return [quote.text for quote in self.library.answer(question)[0].quotes]


@pytest.fixture
def desk(corpus: Path, index: Path, words: WordEncoder) -> Desk:
    return Desk(corpus, index, words, open_=True)


# Names


@example("c" + "&" * 200 + "o", ".txt")
@example("🐝" * 200, ".txt")
@example("e\u0301" * 200, ".txt")
@given(st.text(), st.sampled_from([".txt", ".pdf", ".MD", ".exe", ""]))
def test_a_name_from_a_browser_stays_in_the_corpus(name: str, suffix: str) -> None:
    try:
        safe = safe_name(name + suffix)
    except DocumentError:
        return
    assert Path(safe).name == safe
    assert not safe.startswith((".", "~$", "#"))
    assert safe.isprintable()
    assert not set('<>:"/\\|?*%#&') & set(safe)
    assert safe_name(safe) == safe
    assert len(safe.encode()) < 140


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd.txt", "passwd.txt"),
        ("C:\\Users\\me\\Report 1.PDF", "Report 1.pdf"),
        (".hidden.md", "hidden.md"),
        ("a\u202egnp.txt", "a gnp.txt"),
        ("con.txt", "_con.txt"),
        ("100% <b>.csv", "100- -b.csv"),
    ],
)
def test_a_name_is_made_safe(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@pytest.mark.parametrize("name", ["a.exe", "a", "", "/", "....txt", ".txt", "\u202e.txt", "a.txt/"])
def test_a_name_without_a_reader_or_without_a_name_is_refused(name: str) -> None:
    with pytest.raises(DocumentError):
        safe_name(name)


# Changes


def test_a_file_that_is_added_is_quoted_in_the_next_answer(desk: Desk) -> None:
    added = desk.client.put("/corpus/wasps.txt", content=b"Wasps build nests of paper.\n")
    assert added.json() == {"name": "wasps.txt"}
    desk.wait()
    assert desk.ask("What do wasps build?") == ["Wasps build nests of paper."]
    assert desk.client.get("/rebuild").json()["generation"] == "000002"
    assert {entry["name"] for entry in desk.client.get("/catalogue").json()} >= {"wasps.txt"}
    assert not [path for path in desk.corpus.iterdir() if path.name.startswith(".")]


def test_a_file_is_replaced_only_when_that_is_asked(desk: Desk) -> None:
    refused = desk.client.put("/corpus/bees.txt", content=b"Bees sleep.")
    assert refused.status_code == 409
    assert "in the corpus already" in refused.json()["detail"]
    assert desk.client.put(
        "/corpus/sub/honey.txt?replace=true", content=b"Honey is sold."
    ).is_success
    desk.wait()
    assert (desk.corpus / "sub" / "honey.txt").read_text() == "Honey is sold."
    assert desk.library.current().document("sub/honey.txt").text == "Honey is sold."


def test_a_file_is_removed_and_no_other_can_be(desk: Desk) -> None:
    outside = desk.corpus.parent / "outside.txt"
    outside.write_text("Private.")
    for name in ("..%2Foutside.txt", "none.txt", "%2Fetc%2Fpasswd"):
        assert desk.client.delete(f"/corpus/{name}").status_code == 409
    assert outside.exists()
    assert desk.client.delete("/corpus/sub/honey.txt").is_success
    desk.wait()
    assert "sub/honey.txt" not in desk.library.current().names


@pytest.mark.parametrize(
    ("name", "size", "said"),
    [("big.txt", 1_100_000, "over the limit of 1 MB"), ("a.exe", 3, ".pdf")],
)
def test_what_cannot_be_stored_leaves_nothing(desk: Desk, name: str, size: int, said: str) -> None:
    before = sorted(desk.corpus.rglob("*"))
    refused = desk.client.put(f"/corpus/{name}", content=b"x" * size)
    assert refused.status_code == 409
    assert said in refused.json()["detail"]
    assert sorted(desk.corpus.rglob("*")) == before


def test_nothing_can_be_changed_where_that_is_switched_off(
    corpus: Path, index: Path, words: WordEncoder
) -> None:
    desk = Desk(corpus, index, words, open_=False)
    assert desk.client.put("/corpus/a.txt", content=b"A.").status_code == 403
    assert desk.client.delete("/corpus/bees.txt").status_code == 403
    assert desk.client.put("/rebuild").status_code == 403
    assert (corpus / "bees.txt").exists()
    page = desk.client.get("/library").text
    assert "<button" not in page
    assert "add_documents" in page


def test_questions_are_answered_while_the_index_is_rebuilt(corpus: Path, index: Path) -> None:
    gate = threading.Event()

    class Slow(WordEncoder):
        def encode(self, texts: Sequence[str], contexts: Sequence[str] = ()) -> list[Encoding]:
            assert not any("Wasps" in text for text in texts) or gate.wait(60)
            return super().encode(texts, contexts)

    desk = Desk(corpus, index, Slow(), open_=True)
    desk.client.put("/corpus/wasps.txt", content=b"Wasps build nests of paper.\n")
    desk.client.put("/corpus/ants.txt", content=b"Ants keep lice.\n")  # while the first is indexed
    assert desk.client.get("/rebuild").json()["running"]
    assert desk.ask("How long is the Danube?")
    gate.set()
    desk.wait()
    assert {"ants.txt", "wasps.txt"} <= set(desk.library.current().names)


def test_a_rebuild_that_fails_says_why_and_leaves_the_index_in_use(desk: Desk) -> None:
    for path in sorted(desk.corpus.rglob("*.*")):
        path.unlink()
    assert desk.client.put("/rebuild?full=true").is_success
    desk.wait()
    assert "there is nothing to read" in desk.client.get("/rebuild").json()["problem"]
    assert desk.ask("How long is the Danube?")


# The page


def test_the_page_lists_documents_and_what_was_not_read(desk: Desk) -> None:
    (desk.corpus / "<img src=x>.exe").write_text("?")
    desk.client.put("/rebuild")
    desk.wait()
    page = desk.client.get("/library")
    assert "&lt;img src=x&gt;.exe" in page.text
    assert "<img" not in page.text
    assert "no reader for .exe files" in page.text
    assert '<time datetime="2020-05-01">' in page.text
    assert "3 documents can be asked" in page.text
    assert "script-src 'self'" in page.headers["content-security-policy"]


def test_the_page_without_an_index_says_so(tmp_path: Path, words: WordEncoder) -> None:
    desk = Desk(tmp_path / "corpus", tmp_path / "none", words, open_=True)
    assert "run rag index" in desk.client.get("/library").text
    assert desk.client.get("/catalogue").json() == []
    assert desk.client.put("/corpus/first.txt", content=b"Bees dance.").is_success
    desk.wait()
    assert desk.ask("Do bees dance?") == ["Bees dance."]


# The choice of documents


def test_a_conversation_can_be_kept_to_some_documents(desk: Desk) -> None:
    answer, _ = desk.library.answer("Honey never spoils", Scope(("bees.txt",)))
    assert {hit.passage.document for hit in answer.hits} == {"bees.txt"}
    with pytest.raises(QuestionError, match="choose others"):
        desk.library.answer("Honey never spoils", Scope(("none.txt",)))


@pytest.mark.parametrize(
    ("first", "last", "found"),
    [
        ("2020-05-01", "2020-05-01", True),
        ("2020-01-01", "", True),
        ("", "2020-04-30", False),
        ("2020-05-02", "", False),
    ],
)
def test_a_range_of_dates_chooses_documents(
    generation: Generation, first: str, last: str, found: bool
) -> None:
    scope = Scope((), first, last)
    if found:
        assert generation.select(scope) == (["rivers.md"], generation.passage_ids(["rivers.md"]))
    else:
        with pytest.raises(QuestionError):
            generation.select(scope)


@pytest.mark.parametrize("text", ["[1]", "{", '{"documents": 5}'])
def test_a_choice_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(QuestionError, match="choose them anew"):
        read_scope(text)
    assert read_scope("") == Scope()
    assert read_scope('{"documents": ["a"], "from": "2020", "to": ""}') == Scope(("a",), "2020")
