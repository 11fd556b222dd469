"""The process that parses: what happens to it, and to the files after."""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

import pytest

from rag.build import build_index
from rag.documents import child, find_documents
from rag.documents.child import CHILD, Child
from rag.documents.content import File
from rag.errors import DocumentError
from rag.generation import open_generation
from rag.settings import Settings
from tests.documents.conftest import Read
from tests.documents.test_documents import SAMPLES
from tests.encoders import WordEncoder
from tests.hostile_files import write_hostile_files

LIMIT = 1 << 20
# lxml compares each attribute with all others.
ENDLESS = b"<p " + b" ".join(b"a%d=1" % number for number in range(60_000)) + b">Text"


def test_a_file_that_takes_too_long_is_reported_and_the_next_is_read(
    read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "SECONDS", 1)
    with pytest.raises(DocumentError, match=r"^takes its reader more than 1 seconds: save it"):
        read("a.html", ENDLESS)
    monkeypatch.undo()
    assert "2025" in read("b.html", SAMPLES[".html"]).text


def test_a_reader_that_dies_is_reported_and_the_next_file_is_read(read: Read) -> None:
    assert read("a.pdf", SAMPLES[".pdf"])
    assert CHILD._process
    CHILD._process.kill()
    CHILD._process.wait()
    assert read("b.pdf", SAMPLES[".pdf"])  # a new one is started


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
def test_memory_is_bounded() -> None:
    crowded = Child()
    file = File(SAMPLES[".html"], LIMIT)
    assert crowded.parse(".html", file)
    assert crowded._process
    resource.prlimit(crowded._process.pid, resource.RLIMIT_AS, (1 << 20, 1 << 20))
    page = File(b"<p>" + b"<b>a</b> " * 100_000, LIMIT)
    with pytest.raises(DocumentError, match=r"crash|damaged"):
        crowded.parse(".html", page)
    assert crowded.parse(".html", file)
    crowded.close()


@pytest.mark.parametrize(
    "reply",
    [
        *(None, [], {}, {"error": 1}, {"content": None}, {"content": {"text": "a"}}),
        {"content": {"text": 1, "pages": []}},
        {"content": {"text": "a", "pages": ["x"]}},
        {"content": {"text": "a", "pages": [], "layout": "code"}},
        {"content": {"text": "a", "pages": [], "title": ["x"]}},
        {"content": {"text": "a", "pages": [], "more": 1}},
    ],
)
def test_a_reply_that_no_reader_makes_is_an_error(reply: object) -> None:
    with pytest.raises(DocumentError, match="crash"):
        child._content(json.loads(json.dumps(reply)))


def test_it_ends_with_its_parent() -> None:
    mine = Child()
    mine.parse(".html", File(SAMPLES[".html"], LIMIT))
    assert mine._process
    assert mine._process.stdin
    mine._process.stdin.close()  # as the system does when the parent dies
    assert mine._process.wait(10) == 0
    mine.close()


def test_hostile_files_are_each_read_or_reported(
    tmp_path: Path, words: WordEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "SECONDS", 2)
    corpus = tmp_path / "a" / "b" / "corpus"
    assert write_hostile_files(corpus, seed=1, size=60, mutants=12) > 300
    report = build_index(corpus, tmp_path / "index", words, Settings())
    names = find_documents(corpus)
    generation = open_generation(tmp_path / "index")
    reasons = {skipped.name: skipped.reason for skipped in report.skipped}
    assert sorted([*generation.names, *reasons]) == names
    assert all(reason and "\n" not in reason for reason in reasons.values())
    assert {"word/lying-big.docx", "word/overlap.docx", "links/out.txt"} <= set(reasons)
    for name in generation.names:
        text = generation.document(name).text
        assert "root:" not in text  # of /etc/passwd, by an entity or a link
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "index"]
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10
    assert most < child.MEMORY
