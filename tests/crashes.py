"""Rebuilds killed at random moments while questions are asked; used by a test and a benchmark."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rag.answer import answer
from rag.build import build_index
from rag.generation import check_generation, open_generation
from rag.settings import Settings
from tests.encoders import WordEncoder

_DOCUMENTS = 60
_CHANGING = 20  # documents that are other ones in every round
_LINES, _FEW = 50, 4  # of a document, and of one that changes: so few that most is taken over
_SETTINGS = Settings(passage_tokens=20, threshold=0.0)


@dataclass
class Kills:
    """What happened."""

    rounds: int = 0
    finished: int = 0  # builds that were done before they were to be killed
    questions: int = 0
    errors: list[str] = field(default_factory=list)


def kill_rebuilds(folder: Path, rounds: int, seed: int) -> Kills:
    """Kill ``rounds`` rebuilds by SIGKILL, each at a random moment, and look at what is left."""
    corpus, index = folder / "corpus", folder / "index"
    corpus.mkdir()
    _change(corpus, 0)
    seconds = _time_of_build(corpus, index)
    kills, chance = Kills(), random.Random(seed)  # noqa: S311
    with _asking(index, kills):
        for number in range(1, rounds + 1):
            _change(corpus, number)
            kills.finished += _build_and_kill(corpus, index, chance.uniform(0, 1.1 * seconds))
            kills.rounds += 1
            kills.errors += _losses(index)
    build_index(corpus, index, WordEncoder(), _SETTINGS)
    _change_is_in(open_generation(index).document("019.txt").text, rounds, kills)
    check_generation(index)
    return kills


def _change(corpus: Path, number: int) -> None:
    for document in range(_DOCUMENTS):
        text, count = (number, _FEW) if document < _CHANGING else (0, _LINES)
        lines = [f"Line {line} of document {document} in state {text}." for line in range(count)]
        (corpus / f"{document:03}.txt").write_text("\n\n".join(lines))


def _change_is_in(text: str, number: int, kills: Kills) -> None:
    if f"state {number}." not in text:
        kills.errors.append("the last rebuild did not bring the index up to date")


def _time_of_build(corpus: Path, index: Path) -> float:
    """Build the first index, and then measure a rebuild as it will be killed."""
    build_index(corpus, index, WordEncoder(), _SETTINGS)
    _change(corpus, -1)
    started = time.perf_counter()
    build_index(corpus, index, WordEncoder(), _SETTINGS)
    return time.perf_counter() - started


def _build_and_kill(corpus: Path, index: Path, delay: float) -> bool:
    """Start a rebuild in a process of its own and kill it; return whether it was done before."""
    command = [sys.executable, "-m", "tests.crashes", str(corpus), str(index)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        time.sleep(delay)
        process.kill()
        return process.wait() == 0


def _losses(index: Path) -> list[str]:
    """What is wrong with the index in use."""
    generation = open_generation(index)
    texts = [generation.document(name).text for name in generation.names]
    states = {text.rpartition("state ")[2] for text in texts[:_CHANGING]}
    whole = len(texts) == _DOCUMENTS and len(states) == 1
    return [] if whole else [f"{len(texts)} documents in the states {states}"]


@contextmanager
def _asking(index: Path, kills: Kills) -> Iterator[None]:
    """Ask one question after the other, each of the generation in use."""
    done = threading.Event()

    def ask() -> None:
        words = WordEncoder()
        while not done.is_set():
            try:
                found = answer("Line 7 of document 33", open_generation(index), words, _SETTINGS)
                if not found.answered:
                    kills.errors.append("a question was not answered")
            except Exception as error:
                kills.errors.append(f"{type(error).__name__}: {error}")
            kills.questions += 1

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _build(corpus: Path, index: Path) -> None:
    import faiss  # noqa: F401 - loaded before the clock starts
    import rensa  # noqa: F401
    import tantivy  # noqa: F401

    sys.stdout.write("ready\n")
    sys.stdout.flush()
    build_index(corpus, index, WordEncoder(), _SETTINGS)


if __name__ == "__main__":
    _build(Path(sys.argv[1]), Path(sys.argv[2]))
