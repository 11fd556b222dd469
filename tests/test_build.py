from __future__ import annotations

import os
import re
import subprocess
from itertools import starmap
from pathlib import Path

import pytest

from rag.build import Plan, build_index, list_skipped, plan_index, return_to_last
from rag.errors import BadIndex, CorpusError
from rag.generation import Generation, check_generation, current_folder, open_generation
from rag.lexical import read_words
from rag.settings import Settings
from rag.types import Skipped
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


def test_files_of_a_kind_without_reader_take_one_line() -> None:
    reasons = {"a.png": "no reader for .png files", "b.pdf": "is damaged", "c.pdf": "is damaged"}
    skipped = [Skipped(f"{n}.svg", "no reader for .svg files") for n in range(1_500)]
    assert list(list_skipped([*starmap(Skipped, reasons.items()), *skipped])) == [
        "a.png: no reader for .png files",
        "0.svg and 1,499 more: no reader for .svg files",
        "b.pdf: is damaged",
        "c.pdf: is damaged",
    ]


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


def found_words(generation: Generation, question: str) -> dict[tuple[str, int], float]:
    """BM25 of every passage that is found, by document and place."""
    hits = generation.lexical.search(read_words(question), 1_000)
    passages = generation.passages([number for number, _ in hits])
    scores = [score for _, score in hits]
    return {(p.document, p.start): score for p, score in zip(passages, scores, strict=True)}


def test_words_are_found_after_changes_as_in_an_index_made_anew(
    corpus: Path, tmp_path: Path
) -> None:
    for number in range(80):
        (corpus / f"{number:03}.txt").write_text(f"Town {number % 9} has {number} bees.\n\nYes.")
    index = tmp_path / "i"
    build_index(corpus, index, WordEncoder(), Settings())
    first = current_folder(index) / "lexical"
    segments = {path.name: path.read_bytes() for path in first.glob("*.idx")}
    (corpus / "007.txt").write_text("Town 3 has no bees.")
    (corpus / "008.txt").rename(corpus / "moved.txt")
    (corpus / "009.txt").unlink()
    build_index(corpus, index, WordEncoder(), Settings())
    second = current_folder(index) / "lexical"
    assert segments.items() <= {p.name: p.read_bytes() for p in second.glob("*.idx")}.items()
    (corpus / "new.txt").write_text("Bees of no town.")
    build_index(corpus, index, WordEncoder(), Settings())
    build_index(corpus, tmp_path / "anew", WordEncoder(), Settings())
    changed, anew = open_generation(index), open_generation(tmp_path / "anew")
    for question in ("bees in town 3", "7", "8 bees", "moved"):
        assert found_words(changed, question) == pytest.approx(
            found_words(anew, question), rel=0.01
        )


def test_damaged_words_of_the_last_index_are_not_taken_over(
    corpus: Path, index: Path, words: WordEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.generation._CHECKED", -1)  # as where the file is large
    monkeypatch.setattr("rag.lexical._MOST_GONE", 0.9)
    [path] = (current_folder(index) / "lexical").glob("*.fieldnorm")
    whole = path.read_bytes()
    path.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    (corpus / "new.txt").write_text("A new document.")
    assert build_index(corpus, index, words, Settings()).encoded == 1
    check_generation(index)
    assert not (current_folder(index) / "lexical" / path.name).exists()


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


def test_a_second_builder_is_told_who_is_building(
    corpus: Path, tmp_path: Path, words: WordEncoder
) -> None:
    complaints: list[str] = []

    def build_too(_done: float, _name: str) -> None:
        with pytest.raises(BadIndex) as caught:
            build_index(corpus, tmp_path / "index", words, Settings())
        complaints.append(str(caught.value))

    build_index(corpus, tmp_path / "index", words, Settings(), progress=build_too)
    assert complaints
    assert re.search(rf"another rebuild .* \(process {os.getpid()} on .* since 2", complaints[0])
    assert build_index(corpus, tmp_path / "index", words, Settings()).changed is False


def test_a_damaged_index_is_built_anew(corpus: Path, index: Path, words: WordEncoder) -> None:
    (current_folder(index) / "vectors.f16").unlink()
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


def test_a_plan_names_what_a_build_would_do(corpus: Path, index: Path, words: WordEncoder) -> None:
    (corpus / "bees.txt").write_text("Bees sleep at night.")
    (corpus / "sub" / "honey.txt").rename(corpus / "moved.txt")
    (corpus / "rivers.md").unlink()
    (corpus / "new.txt").write_text("A new document.")
    plan = plan_index(corpus, index, words, Settings())
    moved = (("sub/honey.txt", "moved.txt"),)
    assert plan == Plan("", ("new.txt",), ("bees.txt",), moved, ("rivers.md",), same=0)
    build_index(corpus, index, words, Settings())
    assert plan_index(corpus, index, words, Settings()) == Plan("", (), (), (), (), same=3)


@pytest.mark.parametrize(
    ("settings", "full", "why"),
    [
        (Settings(passage_tokens=20), False, "passage_tokens was 200, is 20"),
        (Settings(), True, "--full was asked for"),
    ],
)
def test_a_plan_says_why_all_is_read_anew(
    corpus: Path, index: Path, words: WordEncoder, settings: Settings, full: bool, why: str
) -> None:
    assert plan_index(corpus, index, words, settings, full=full).anew == why


def test_a_plan_without_an_index_adds_everything(
    corpus: Path, tmp_path: Path, words: WordEncoder
) -> None:
    plan = plan_index(corpus, tmp_path / "none", words, Settings())
    assert plan.anew == "there is no index yet"
    assert plan.added == ("bees.txt", "rivers.md", "sub/honey.txt")
    assert not (tmp_path / "none").exists()


class Stop(BaseException):
    """As a KeyboardInterrupt: nothing is cleaned up after it."""


def test_a_stopped_build_goes_on_where_it_stopped(corpus: Path, tmp_path: Path) -> None:
    for number in range(300):
        (corpus / f"{number:03}.txt").write_text(f"Document number {number} is here.")

    def stop(done: float, _name: str) -> None:
        if done > 0.6:
            raise Stop

    with pytest.raises(Stop):
        build_index(corpus, tmp_path / "i", WordEncoder(), Settings(), progress=stop)
    again = WordEncoder()
    report = build_index(corpus, tmp_path / "i", again, Settings())
    assert report.passages > 300
    assert 0 < len(again.encoded) < 0.4 * report.passages
    build_index(corpus, tmp_path / "whole", WordEncoder(), Settings())
    assert contents(open_generation(tmp_path / "i")) == contents(
        open_generation(tmp_path / "whole")
    )
    assert [path.name for path in (tmp_path / "i").iterdir() if path.is_dir()] == [
        report.generation
    ]


def test_what_other_settings_left_unfinished_is_not_used(corpus: Path, tmp_path: Path) -> None:
    def stop(_done: float, _name: str) -> None:
        raise Stop

    with pytest.raises(Stop):
        build_index(
            corpus, tmp_path / "i", WordEncoder(), Settings(passage_tokens=20), progress=stop
        )
    again = WordEncoder()
    report = build_index(corpus, tmp_path / "i", again, Settings())
    assert report.encoded == report.passages == len(again.encoded)


def test_rolling_back_returns_to_the_index_before(
    corpus: Path, index: Path, words: WordEncoder
) -> None:
    first = open_generation(index).manifest.generation
    (corpus / "new.txt").write_text("A new document.")
    build_index(corpus, index, words, Settings())
    assert "new.txt" in open_generation(index).names
    assert return_to_last(index).generation == first
    assert "new.txt" not in open_generation(index).names
    with pytest.raises(BadIndex, match="no generation before"):
        return_to_last(index)
    assert build_index(corpus, index, words, Settings()).encoded == 1
    assert return_to_last(index).generation == first


def test_many_passages_are_searched_through_a_graph(
    corpus: Path, index: Path, words: WordEncoder
) -> None:
    report = build_index(corpus, index, words, Settings(exact_passages=2))
    assert (report.changed, report.encoded) == (True, 0)
    generation = open_generation(index)
    assert generation.manifest.recall == 1.0
    vector = generation.vectors.rows([1])[0]
    assert generation.vectors.search(vector, 1)[0][0] == 1
    build_index(corpus, index, words, Settings())
    assert open_generation(index).manifest.recall is None


@pytest.mark.skipif(os.name == "nt", reason="Windows mounts no tmpfs")
def test_a_full_disk_is_told_and_the_last_index_stays(
    corpus: Path, tmp_path: Path, words: WordEncoder
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        build_index(corpus, small / "index", words, Settings())
        for kilobytes in (80, 200, 600):  # the disk is full at another stage each time
            (corpus / "long.txt").write_text("A sentence of some length. " * 40 * kilobytes)
            with pytest.raises(BadIndex, match="is full: make room"):
                build_index(corpus, small / "index", words, Settings())
            assert open_generation(small / "index").names[0] == "bees.txt"
    finally:
        subprocess.run(["umount", "--lazy", str(small)], check=True)
