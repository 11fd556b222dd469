"""What questions need of an index, wherever it is kept: the same tests for all homes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rag.answer import answer
from rag.encoder import SentenceEncoder
from rag.errors import IndexMismatch, QuestionError
from rag.home import Home, find_home, rebuild
from rag.index import Index
from rag.lexical import read_words
from rag.settings import Settings
from rag.types import Scope
from tests.encoders import WordEncoder
from tests.milvus_server import MilvusServer

HOSTILE = 'it\'s "quoted" or 1 == 1\\.txt'
LOG = "".join(f"Line {n} of the river log names town {n % 37}.\n" for n in range(900))
TEXTS = {
    "bees.txt": "Bees dance to point at flowers. A hive holds forty thousand bees.\n",
    "old.md": "---\ndate: 2019\n---\n\n# Mead\n\nHoney never spoils. Mead is made from honey.\n",
    "new.md": "---\ndate: 2021-07-03\n---\n\n# Mead\n\nIn 2021 honey was dear.\n",
    "sub/long.txt": LOG,
    "sub/copy.txt": LOG,
    HOSTILE: "A wasp builds with paper. Ünïcødé 🐝 follows.\n",
}
QUESTIONS = (
    "How many bees live in a hive?",
    "What is mead made from?",
    "Which town does line 871 name?",
    "What does a wasp build with?",
    "the of and",
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    for name, text in TEXTS.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusServer]:
    with MilvusServer(tmp_path_factory.mktemp("server") / "data") as server:
        yield server


@pytest.fixture(scope="module")
def local(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Index:
    home = find_home(tmp_path_factory.mktemp("local") / "index")
    rebuild(home, corpus, WordEncoder(), Settings())
    return home.open()


@pytest.fixture(scope="module", params=["folder", "file", "server"])
def home(
    request: pytest.FixtureRequest,
    corpus: Path,
    server: MilvusServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Home:
    folder = tmp_path_factory.mktemp(request.param)
    addresses = {
        "folder": str(folder / "index"),
        "file": str(folder / "index.db"),
        "server": server.address("tests"),
    }
    home = find_home(addresses[request.param])
    rebuild(home, corpus, WordEncoder(), Settings())
    return home


@pytest.fixture(scope="module")
def index(home: Home) -> Index:
    return home.open()


def test_passages_are_the_same(index: Index, local: Index) -> None:
    ids = list(range(len(local)))
    assert len(index) == len(ids)
    assert index.passages(ids[::-1]) == local.passages(ids[::-1])
    assert index.texts(index.passages(ids)) == local.texts(local.passages(ids))
    assert index.passage(3) == local.passage(3)
    assert (index.rows(ids) == local.rows(ids)).all()
    found, wanted = index.tokens([5, 2]), local.tokens([5, 2])
    assert (found.vectors == wanted.vectors).all()
    assert found.bounds.tolist() == wanted.bounds.tolist()
    assert index.tokens([]).vectors.shape == (0, 256)


def test_documents_are_the_same(index: Index, local: Index) -> None:
    assert index.names == local.names == sorted(TEXTS)
    assert [index.document(name) for name in TEXTS] == [local.document(name) for name in TEXTS]
    assert index.catalogue() == local.catalogue()
    assert sorted(index.passage_ids(list(TEXTS))) == list(range(len(local)))
    assert (
        index.alike()
        == local.alike()
        == {
            "sub/copy.txt": ["sub/long.txt"],
            "sub/long.txt": ["sub/copy.txt"],
        }
    )
    assert index.also_in("sub/copy.txt") == ["sub/long.txt"]
    assert index.also_in("bees.txt") == []
    assert index.manifest.documents == local.manifest.documents
    assert index.settings == local.settings


@pytest.mark.parametrize("name", ["none.txt", "", "\ud800", "bees.txt' or id > 0 or name == '"])
def test_a_document_that_is_not_there(index: Index, name: str) -> None:
    with pytest.raises(KeyError):
        index.document(name)
    with pytest.raises(QuestionError, match="no document called"):
        index.select(Scope((name,)))


@pytest.mark.parametrize("question", QUESTIONS)
def test_candidates_are_the_same(index: Index, local: Index, question: str) -> None:
    words = read_words(question)
    [encoding] = WordEncoder().encode([question])
    carried = {"honey": 0.2, "town": 0.4}
    for field in ("text", "near"):
        found = index.matching(words, 100, field, None, carried)
        wanted = dict(local.matching(words, len(local), field, None, carried))
        assert dict(found) == pytest.approx({n: wanted[n] for n, _ in found}, rel=1e-4)
        assert min(score for _, score in found) >= sorted(wanted.values())[-len(found)] * 0.999
    found = index.nearest(encoding.vector, 20, None)
    assert dict(found) == pytest.approx(dict(local.nearest(encoding.vector, 20, None)), abs=1e-3)


def test_words_are_known_alike(index: Index, local: Index) -> None:
    words = read_words("Honey hives dance Kirkuk thousand’s line 871 Ünïcødé the")
    forms = ["honey", "hive", "hives", "kirkuk", "871"]
    assert index.lexical.rarity(words) == pytest.approx(local.lexical.rarity(words))
    assert index.lexical.holds(words) == local.lexical.holds(words)
    assert index.lexical.count(forms) == local.lexical.count(forms) == [2, 1, 0, 0, 2]
    assert index.lexical.rarity([]) == index.lexical.count([]) == []


@pytest.mark.parametrize(
    ("scope", "names"),
    [
        (Scope(("bees.txt", HOSTILE)), {"bees.txt", HOSTILE}),
        (Scope((), "2019-05-01", "2019-05-01"), {"old.md"}),
        (Scope((), "2020", ""), {"new.md"}),
        (Scope((), "", "2021-07-02"), {"old.md"}),
        (Scope(("new.md", "bees.txt"), "2020-01-01", ""), {"new.md"}),
    ],
)
def test_a_search_keeps_to_the_documents_in_scope(
    index: Index, scope: Scope, names: set[str]
) -> None:
    among = index.select(scope)
    [encoding] = WordEncoder().encode(["honey"])
    by_vector = index.nearest(encoding.vector, 100, among)
    by_words = index.matching(read_words("honey wasp bees 2021"), 100, "text", among, {})
    assert {index.passage(n).document for n, _ in by_vector} == names
    assert {index.passage(n).document for n, _ in by_words} == names


def test_dates_at_which_there_is_nothing(index: Index) -> None:
    with pytest.raises(QuestionError, match="dates"):
        index.select(Scope((), "2030-01-01", ""))
    with pytest.raises(QuestionError, match="dates"):
        index.select(Scope(("bees.txt",), "", "2030-01-01"))


@pytest.mark.parametrize("question", QUESTIONS)
def test_answers_are_the_same(index: Index, local: Index, question: str) -> None:
    words, settings = WordEncoder(), Settings(threshold=0)
    given, wanted = (answer(question, where, words, settings) for where in (index, local))
    assert [(q.document, q.start, q.end) for q in given.quotes] == [
        (q.document, q.start, q.end) for q in wanted.quotes
    ]
    assert given.confidence == pytest.approx(wanted.confidence, abs=1e-4)
    for quote in given.quotes:
        assert quote.text == TEXTS[quote.document.name][quote.start : quote.end]


def test_another_model_is_refused(index: Index) -> None:
    index.check_model(WordEncoder())
    with pytest.raises(IndexMismatch, match="run rag index"):
        index.check_model(SentenceEncoder())


def test_it_is_found_whole(home: Home) -> None:
    assert "each as it was written" in home.check()
    assert home.stamp() == home.stamp()


def test_vectors_are_units(index: Index) -> None:
    lengths = np.linalg.norm(index.rows(range(len(index))), axis=1)
    assert np.allclose(lengths, 1, atol=1e-3)
