from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from rag import generation as generations
from rag.build import build_index
from rag.codes import COSINE, code
from rag.encoder import SentenceEncoder, unit_rows
from rag.errors import BadIndex, IndexDamaged, IndexMismatch, IndexMissing
from rag.generation import (
    Generation,
    check_generation,
    current_folder,
    open_generation,
    write_generation,
)
from rag.lexical import read_words
from rag.settings import Settings
from rag.types import Document, Passage, Sentence
from rag.web.library import Library
from tests.encoders import WordEncoder

TEXT = "Bees dance.\r\n\r\nHoney 🍯 never spoils. Ça va?"
DOCUMENT = Document(
    "sub/bees.txt", TEXT, "Bees", "ab" * 32, date="2020-01-02", source="a hive", pages=(0, 15)
)
PASSAGE = Passage(
    "sub/bees.txt", (Sentence(0, 11, heading=True), Sentence(15, 36), Sentence(37, 43)), "Part › 1"
)


@pytest.fixture
def written(tmp_path: Path, words: WordEncoder) -> Generation:
    with write_generation(tmp_path / "index", words, Settings(threshold=0.25)) as new:
        row = new.add_document(DOCUMENT)
        [encoding] = words.encode([TEXT])
        new.add_passage(row, PASSAGE, code(encoding))
    return open_generation(tmp_path / "index")


def test_what_was_written_is_read(written: Generation) -> None:
    assert written.document("sub/bees.txt") == DOCUMENT
    assert written.passage(0) == PASSAGE
    assert written.passage_ids(["sub/bees.txt"]) == [0]
    assert written.names == ["sub/bees.txt"]
    assert written.settings == Settings(threshold=0.25)
    assert len(written) == len(written.vectors) == len(written.lexical) == 1


def test_token_vectors_survive_rounding(written: Generation, words: WordEncoder) -> None:
    [encoding] = words.encode([TEXT])
    tokens, bounds = written.tokens([0])
    cosines = (unit_rows(tokens.astype(np.float32)) * encoding.tokens).sum(axis=1)
    assert cosines == pytest.approx(COSINE, abs=0.03)
    assert bounds.tolist() == [0, 2, 5, 7]  # Bees dance | Honey never spoils | Ça va


def test_an_unknown_document_is_a_key_error(written: Generation) -> None:
    with pytest.raises(KeyError):
        written.document("../../etc/passwd")


def fail_half_way(index: Path, words: WordEncoder) -> None:
    with write_generation(index, words, Settings()) as new:
        new.add_document(DOCUMENT)
        raise RuntimeError


def test_a_failed_write_leaves_the_last_generation_in_use(index: Path, words: WordEncoder) -> None:
    before = current_folder(index)
    with pytest.raises(RuntimeError):
        fail_half_way(index, words)
    assert current_folder(index) == before
    assert [path.name for path in index.iterdir() if path.is_dir()] == [before.name]


def test_a_reader_keeps_its_generation_while_others_are_written(
    generation: Generation, index: Path, corpus: Path, words: WordEncoder
) -> None:
    for number in range(4):
        (corpus / "new.txt").write_text(f"Text number {number} is here.")
        build_index(corpus, index, words, Settings())
    assert generation.document("bees.txt").text.startswith("Bees dance")
    assert generation.lexical.search(read_words("honey"), 5)
    assert generation.tokens([0]).vectors.any()
    assert "new.txt" in open_generation(index).names
    assert len([path for path in index.iterdir() if path.is_dir()]) == 2


@pytest.mark.parametrize("by_chat", [False, True])
def test_a_reader_that_two_rebuilds_overtake_opens_the_last(
    corpus: Path, index: Path, monkeypatch: pytest.MonkeyPatch, by_chat: bool
) -> None:
    """Between reading CURRENT and opening what it named, which is gone by then."""
    read = generations.current_folder
    named = read(index)

    def read_slowly(_: Path) -> Path:
        monkeypatch.setattr(generations, "current_folder", read)
        for number in range(2):
            (corpus / "new.txt").write_text(f"Text number {number} is here.")
            build_index(corpus, index, WordEncoder(), Settings())
        assert not named.exists()
        return named

    library = Library(corpus, index, Settings(), WordEncoder())
    monkeypatch.setattr(generations, "current_folder", read_slowly)
    opened = library.current() if by_chat else open_generation(index)
    assert opened.document("new.txt").text == "Text number 1 is here."


def test_no_index(tmp_path: Path) -> None:
    with pytest.raises(IndexMissing, match="run rag index"):
        open_generation(tmp_path)


@pytest.mark.parametrize("name", ["../corpus", "", "/etc", "\x00", "００1x"])
def test_current_is_not_trusted_as_a_path(index: Path, name: str) -> None:
    (index / "CURRENT").write_text(name)
    with pytest.raises(IndexDamaged, match="names no generation"):
        open_generation(index)


FILES = ["passages.db", "vectors.f16", "tokens.2bit", "lexical/meta.json"]


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_a_missing_file_is_damage(index: Path, name: str) -> None:
    (current_folder(index) / name).unlink()
    with pytest.raises(IndexDamaged, match="run rag index --full"):
        open_generation(index)


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_a_truncated_file_is_damage(index: Path, name: str) -> None:
    path = current_folder(index) / name
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(IndexDamaged, match="run rag index --full"):
        open_generation(index)


def read_everything(index: Path) -> None:
    opened = open_generation(index)
    opened.passage(0)


@pytest.mark.parametrize("name", ["passages.db", "lexical/meta.json"])
def test_a_file_of_rubbish_is_damage(index: Path, name: str) -> None:
    path = current_folder(index) / name
    path.write_bytes(b"\x07" * path.stat().st_size)
    with pytest.raises(IndexDamaged, match="run rag index --full"):
        read_everything(index)


def test_another_format_names_both_versions(index: Path) -> None:
    path = current_folder(index) / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    with pytest.raises(IndexMismatch, match="format 99, this version reads 7: run rag index"):
        open_generation(index)


def test_another_model_names_both(generation: Generation, encoder: SentenceEncoder) -> None:
    with pytest.raises(IndexMismatch, match=r"built by the model words .* all-MiniLM-L6-v2"):
        generation.check_model(encoder)


def test_a_generation_is_whole_without_the_others(index: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy" / "000001"
    shutil.copytree(current_folder(index), copy)
    shutil.rmtree(index)
    assert np.isfinite(Generation(copy).vectors.rows([0])).all()


def test_every_damage_is_a_bad_index() -> None:
    assert issubclass(IndexDamaged, BadIndex)
    assert issubclass(IndexMismatch, BadIndex)
    assert issubclass(IndexMissing, BadIndex)


@pytest.mark.parametrize("ids", [[], [0], [2, 0, 1], [1, 1]])
def test_many_passages_at_once_are_the_same_as_one_by_one(
    generation: Generation, ids: list[int]
) -> None:
    assert generation.passages(ids) == [generation.passage(number) for number in ids]
    together, alone = generation.tokens(ids), [generation.tokens([number]) for number in ids]
    assert together.vectors.tolist() == [row for one in alone for row in one.vectors.tolist()]
    lengths = [length for one in alone for length in np.diff(one.bounds).tolist()]
    assert np.diff(together.bounds).tolist() == lengths
    assert len(lengths) == sum(len(generation.passage(number).sentences) for number in ids)


def test_checking_finds_a_changed_byte(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_generation(index).generation == current_folder(index).name
    path = current_folder(index) / "tokens.2bit"
    content = bytearray(path.read_bytes())
    content[7] ^= 1
    path.write_bytes(content)
    monkeypatch.setattr("rag.generation._CHECKED", 0)
    open_generation(index)  # only a check reads large files
    with pytest.raises(IndexDamaged, match=r"tokens\.2bit is damaged"):
        check_generation(index)


def test_documents_that_say_nearly_the_same_know_of_each_other(
    corpus: Path, tmp_path: Path, words: WordEncoder
) -> None:
    report = [f"Line {n} of the report says that {n} bees came home." for n in range(60)]
    (corpus / "report.txt").write_text("\n\n".join(report))
    (corpus / "sub" / "copy.txt").write_text("\n\n".join(["As seen elsewhere.", *report]))
    build_index(corpus, tmp_path / "index", words, Settings())
    again = open_generation(tmp_path / "index")
    assert again.also_in("report.txt") == ["sub/copy.txt"]
    assert again.also_in("sub/copy.txt") == ["report.txt"]
    assert again.also_in("bees.txt") == []
    assert again.alike() == {"report.txt": ["sub/copy.txt"], "sub/copy.txt": ["report.txt"]}
    assert len(again.names) == 5
