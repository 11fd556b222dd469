from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from rag.answer import answer
from rag.build import build_index
from rag.generation import open_generation
from rag.settings import Settings
from tests.crashes import kill_rebuilds
from tests.encoders import WordEncoder


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_killed_rebuilds_lose_nothing(tmp_path: Path) -> None:
    kills = kill_rebuilds(tmp_path, rounds=4, seed=0)
    assert kills.errors == []
    assert kills.finished < kills.rounds == 4
    assert kills.questions > 0


def test_fifty_readers_across_ten_swaps_meet_no_error(corpus: Path, index: Path) -> None:
    errors: list[Exception] = []
    seen: set[str] = set()
    done = threading.Event()

    def read() -> None:
        words = WordEncoder()
        while not done.is_set():
            try:
                generation = open_generation(index)
                assert answer("honey", generation, words, Settings(threshold=0.0)).answered
                seen.add(generation.folder.name)
            except Exception as error:
                errors.append(error)

    readers = [threading.Thread(target=read) for _ in range(50)]
    for reader in readers:
        reader.start()
    for number in range(10):
        (corpus / "new.txt").write_text(f"Text number {number} is here.")
        build_index(corpus, index, WordEncoder(), Settings())
    done.set()
    for reader in readers:
        reader.join()
    assert errors == []
    assert len(seen) > 1
