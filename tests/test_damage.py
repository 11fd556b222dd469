"""Files of an index altered or swapped: an error that names the cure, never a wrong quote."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rag import generation as generations
from rag.answer import answer
from rag.build import build_index
from rag.encoder import unit_rows
from rag.errors import IndexDamaged, RagError
from rag.generation import Generation, current_folder, open_generation
from rag.settings import Settings
from rag.vectors import GRAPH_FILE, Vectors, write_graph
from tests.conftest import ROOT
from tests.encoders import WordEncoder

QUESTIONS = ("How long is the Danube?", "Honey never spoils", "Do bees dance?", "xyzzy")


@pytest.fixture
def unhashed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with files too large to be read at every opening."""
    monkeypatch.setattr(generations, "_CHECKED", -1)


def _files(index: Path) -> list[Path]:
    """Those that hold something, which its locks do not."""
    paths = sorted(current_folder(index).rglob("*"))
    return [path for path in paths if path.is_file() and path.stat().st_size]


def _true_texts(corpus: Path) -> list[str]:
    return [path.read_text() for path in corpus.rglob("*") if path.is_file()]


def _ask_all(index: Path, words: WordEncoder, texts: list[str]) -> None:
    """Ask; every quote must stand in a document as it was written."""
    opened = open_generation(index)
    for question in QUESTIONS:
        for quote in answer(question, opened, words, Settings(threshold=0)).quotes:
            assert any(quote.text in text for text in texts)


@pytest.mark.parametrize("seed", range(40))
def test_any_change_of_any_small_file_is_noticed_at_once(
    index: Path, seed: int, words: WordEncoder, corpus: Path
) -> None:
    chance = random.Random(seed)  # noqa: S311  no secret
    path = chance.choice([path for path in _files(index) if path.name != "manifest.json"])
    data = bytearray(path.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    _replace(path, data)
    with pytest.raises(IndexDamaged, match="run rag index --full"):
        _ask_all(index, words, _true_texts(corpus))


_CRASH = """
import sys
from pathlib import Path
from rag import generation
from tests.encoders import WordEncoder
from tests.test_damage import RagError, _ask_all, _mutate, _true_texts
generation._CHECKED = -1
for seed in range(int(sys.argv[3]), int(sys.argv[4])):
    restore = _mutate(Path(sys.argv[1]), seed)
    try:
        _ask_all(Path(sys.argv[1]), WordEncoder(), _true_texts(Path(sys.argv[2])))
    except RagError as error:
        assert "rag index" in str(error), error
    restore()
print("done")
"""


def _mutate(index: Path, seed: int) -> Callable[[], object]:
    """Change bytes of a file that is too large to be hashed; return what undoes it."""
    chance = random.Random(seed)  # noqa: S311  no secret
    names = {"passages.db", "vectors.f16", "tokens.2bit"}
    path = chance.choice([path for path in _files(index) if path.name in names])
    whole = path.read_bytes()
    data = bytearray(whole)
    for _ in range(chance.choice([1, 3, 30, 300])):
        data[chance.randrange(len(data))] = chance.randrange(256)
    _replace(path, data)
    return lambda: _replace(path, whole)


def _replace(path: Path, data: bytes | bytearray) -> None:
    """Write another file in its place: the old one may still be mapped."""
    path.unlink()
    path.write_bytes(data)


def test_a_changed_large_file_never_crashes_and_gives_no_wrong_quote(
    index: Path, corpus: Path
) -> None:
    command = [sys.executable, "-c", _CRASH, str(index), str(corpus), "0", "150"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "done\n", done.stderr[-2_000:]


def _alter(index: Path, statement: str, *values: object) -> None:
    with sqlite3.connect(current_folder(index) / "passages.db") as database:
        database.execute(statement, values)
    database.close()


@pytest.mark.usefixtures("unhashed")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE documents SET text = replace(text, 'bees', 'cats')",
        "UPDATE documents SET text = replace(text, '2,850', '9,999')",
        "UPDATE documents SET title = 'Other', source = 'Other'",
        "UPDATE documents SET date = '1999-09-09'",
        "UPDATE documents SET pages = '[5]'",
        "UPDATE documents SET pages = 'x'",
        "UPDATE documents SET text = x'ff00ff'",
        "UPDATE documents SET text = 5",
        "UPDATE documents SET name = name || 'x'",
        "UPDATE passages SET sentences = '[[5, 99999, 0, 0]]'",
        "UPDATE passages SET sentences = '[[9, 3, 0, 0]]'",
        "UPDATE passages SET sentences = '[[-9, 3, 0, 0]]'",
        "UPDATE passages SET sentences = '[]'",
        "UPDATE passages SET sentences = '{'",
        "UPDATE passages SET sentences = NULL || 5",
        "UPDATE passages SET sentences = '[[0, 5, 0, 7777]]'",
        "UPDATE passages SET tokens = 9999",
        "UPDATE passages SET first_token = -5",
        "UPDATE passages SET tokens = 'x'",
        "UPDATE passages SET document = 77",
        "DELETE FROM passages",
        "DELETE FROM documents",
        "DROP TABLE documents",
    ],
)
def test_an_altered_store_is_an_error(
    index: Path, words: WordEncoder, corpus: Path, statement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        _alter(index, statement)
    except sqlite3.IntegrityError:
        return  # SQLite itself would not have it
    monkeypatch.setattr("rag.manifest.Manifest.check_sizes", lambda *_: None)
    with pytest.raises(RagError, match="run rag index"):
        _ask_all(index, words, _true_texts(corpus))


@pytest.mark.usefixtures("unhashed")
def test_a_lexical_index_of_another_corpus_is_an_error(
    index: Path, tmp_path: Path, words: WordEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.txt").write_text("Another text is here.")
    build_index(tmp_path / "other", tmp_path / "second", words, Settings())
    monkeypatch.setattr("rag.manifest.Manifest.check_sizes", lambda *_: None)
    shutil.rmtree(current_folder(index) / "lexical")
    shutil.copytree(
        current_folder(tmp_path / "second") / "lexical", current_folder(index) / "lexical"
    )
    with pytest.raises(IndexDamaged, match="lexical is damaged: run rag index --full"):
        open_generation(index)


@pytest.fixture
def rows() -> np.ndarray:
    return unit_rows(np.random.default_rng(1).random((300, 8), np.float32)).astype(np.float16)


def _write(folder: Path, rows: np.ndarray) -> None:
    write_graph(folder, rows)
    rows.tofile(folder / "vectors.f16")


def test_a_graph_over_other_rows_is_an_error(tmp_path: Path, rows: np.ndarray) -> None:
    _write(tmp_path, rows)
    assert len(Vectors.read(tmp_path, 300, 8)) == 300
    write_graph(tmp_path, rows[:200])
    with pytest.raises(IndexDamaged, match="run rag index --full"):
        Vectors.read(tmp_path, 300, 8)


@pytest.mark.parametrize("kind", ["Flat", "IVF2,Flat", "PQ4"])
def test_an_index_of_another_kind_is_never_loaded(
    tmp_path: Path, rows: np.ndarray, kind: str
) -> None:
    import faiss

    _write(tmp_path, rows)
    other = faiss.index_factory(8, kind)
    other.train(rows.astype(np.float32))
    other.add(rows.astype(np.float32))
    faiss.write_index(other, str(tmp_path / GRAPH_FILE))
    with pytest.raises(IndexDamaged, match="run rag index --full"):
        Vectors.read(tmp_path, 300, 8)


def test_rows_that_are_no_numbers_are_not_found(rows: np.ndarray) -> None:
    rows[3:] = np.nan
    found = Vectors(rows).search(rows[0].astype(np.float32), 10)
    assert sorted(number for number, _ in found) == [0, 1, 2]


def test_nothing_of_an_index_is_unpickled(index: Path) -> None:
    for path in _files(index):
        assert not path.read_bytes().startswith((b"\x80\x04", b"\x80\x05")), path
    code = (ROOT / "rag").rglob("*.py")
    assert not [path for path in code if "pickle" in path.read_text().replace("unpickled", "")]
    assert Generation(current_folder(index)).names
