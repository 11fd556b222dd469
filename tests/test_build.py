from __future__ import annotations

from pathlib import Path

import pytest
from filelock import FileLock

from rag.build import build_index
from rag.errors import BadIndex, CorpusError
from rag.generation import Generation, current_folder, open_generation
from rag.settings import Settings
from tests.encoders import WordEncoder


def contents(generation: Generation) -> dict[str, list[object]]:
    """All that an answer depends on, by document."""
    found: dict[str, list[object]] = {}
    for number in range(len(generation)):
        passage = generation.passage(number)
        tokens, bounds = generation.tokens([number])
        vector = generation.vectors.rows([number])
        row = (passage, tokens.tobytes(), bounds.tolist(), vector.tobytes())
        found.setdefault(passage.document, []).append(row)
    return {name: [generation.document(name), *rows] for name, rows in found.items()}


def test_every_document_is_in_the_index(corpus: Path, index: Path, words: WordEncoder) -> None:
    generation = open_generation(index)
    assert generation.names == ["bees.txt", "rivers.md", "sub/honey.txt"]
    for number in range(len(generation)):
        passage = generation.passage(number)
        text = (corpus / passage.document).read_text()
        assert text[passage.start : passage.end] in words.encoded


def test_a_rebuild_of_an_unchanged_corpus_changes_nothing(corpus: Path, index: Path) -> None:
    before = current_folder(index)
    again = WordEncoder()
    report = build_index(corpus, index, again, Settings(threshold=0.9))
    assert (report.changed, report.encoded, again.encoded) == (False, 0, [])
    assert current_folder(index) == before


def test_only_what_changed_is_encoded(corpus: Path, index: Path, tmp_path: Path) -> None:
    (corpus / "bees.txt").write_text("Bees sleep at night.")
    (corpus / "sub" / "honey.txt").rename(corpus / "moved.txt")
    (corpus / "new.txt").write_text("A new document.")
    again = WordEncoder()
    report = build_index(corpus, index, again, Settings())
    assert sorted(again.encoded) == ["A new document.", "Bees sleep at night."]
    assert (report.changed, report.documents, report.encoded) == (True, 4, 2)
    build_index(corpus, tmp_path / "anew", WordEncoder(), Settings())
    assert contents(open_generation(index)) == contents(open_generation(tmp_path / "anew"))


def test_full_and_other_settings_encode_everything(corpus: Path, index: Path) -> None:
    for settings, full in ((Settings(), True), (Settings(passage_tokens=20), False)):
        again = WordEncoder()
        report = build_index(corpus, index, again, settings, full=full)
        assert report.encoded == report.passages == len(again.encoded)


def test_a_broken_document_is_reported_and_the_others_are_read(
    corpus: Path, index: Path, words: WordEncoder
) -> None:
    (corpus / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    (corpus / "empty.txt").write_bytes(b"")
    (corpus / "photo.xyz").write_bytes(b"x")
    report = build_index(corpus, index, words, Settings())
    assert report.documents == 3
    assert {s.name for s in report.skipped} == {"broken.pdf", "empty.txt", "photo.xyz"}
    assert all(skipped.reason for skipped in report.skipped)
    assert not build_index(corpus, index, words, Settings()).changed


def test_a_file_that_may_not_be_read(corpus: Path, index: Path, words: WordEncoder) -> None:
    (corpus / "dangling.txt").symlink_to("nowhere")
    report = build_index(corpus, index, words, Settings())
    assert [s.name for s in report.skipped] == ["dangling.txt"]


def test_nothing_to_read_keeps_the_last_index(
    corpus: Path, index: Path, words: WordEncoder
) -> None:
    for name in ("bees.txt", "rivers.md", "sub/honey.txt"):
        (corpus / name).write_bytes(b"")
    with pytest.raises(CorpusError, match=r"nothing to read in (.|\n)*bees\.txt: is empty"):
        build_index(corpus, index, words, Settings())
    assert len(open_generation(index).names) == 3


def test_a_missing_or_empty_corpus(tmp_path: Path, words: WordEncoder) -> None:
    with pytest.raises(CorpusError, match="none"):
        build_index(tmp_path / "none", tmp_path / "index", words, Settings())
    (tmp_path / "bare").mkdir()
    with pytest.raises(CorpusError, match="nothing to read"):
        build_index(tmp_path / "bare", tmp_path / "index", words, Settings())


def test_a_second_builder_is_turned_away(corpus: Path, index: Path, words: WordEncoder) -> None:
    with FileLock(index / ".lock"), pytest.raises(BadIndex, match="another rebuild"):
        build_index(corpus, index, words, Settings())


def test_a_damaged_index_is_built_anew(corpus: Path, index: Path, words: WordEncoder) -> None:
    (current_folder(index) / "vectors.faiss").unlink()
    assert build_index(corpus, index, words, Settings()).encoded == len(open_generation(index))


def test_progress_only_grows_and_ends_at_one(corpus: Path, tmp_path: Path) -> None:
    (corpus / "long.txt").write_text("\n\n".join(f"Sentence {n} is here." * 20 for n in range(400)))
    seen: list[float] = []
    build_index(
        corpus, tmp_path / "new", WordEncoder(), Settings(), progress=lambda d, _: seen.append(d)
    )
    assert len(seen) > 1
    assert seen == sorted(seen)
    assert seen[-1] <= 1
