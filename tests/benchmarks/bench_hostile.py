"""Hostile files of every kind: how many are read and reported, in what time and memory.

Run as: python -m tests.benchmarks.bench_hostile [--seed N] [--size N]
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from rag.build import build_index
from rag.documents import find_documents, read_document
from rag.errors import DocumentError
from rag.passages import cut_passages
from rag.sentences import split_sentences
from rag.settings import Settings
from tests.encoders import WordEncoder
from tests.hostile_files import write_hostile_files

_SLOWEST = 10  # files named


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", type=int, default=100_000)
    options = parser.parse_args()
    console = Console(highlight=False)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        corpus = Path(name) / "corpus"
        count = write_hostile_files(corpus, options.seed, options.size)
        console.print(f"{count} files are written")
        _read_each(corpus, console)
        smaller = Path(name) / "smaller"  # the encoder of the tests is slow
        write_hostile_files(smaller, options.seed, options.size // 100)
        report = build_index(smaller, Path(name) / "index", WordEncoder(), Settings())
    console.print(
        f"the index: {report.documents} read, {len(report.skipped)} reported, "
        f"{report.passages:,} passages, {report.seconds:.0f} s"
    )
    console.print(f"{time.perf_counter() - started:.0f} s in all")
    for who, label in ((resource.RUSAGE_SELF, "builder"), (resource.RUSAGE_CHILDREN, "parser")):
        console.print(f"{label}: {resource.getrusage(who).ru_maxrss >> 10:,} MB at the most")


def _read_each(corpus: Path, console: Console) -> None:
    outcomes: Counter[str] = Counter()
    times = []
    for name in find_documents(corpus):
        started = time.perf_counter()
        outcome = _read(corpus, name)
        times.append((time.perf_counter() - started, name, outcome))
        ended = outcome.startswith(("makes", "takes", "unpacks", "has more"))
        outcomes[outcome if ended or outcome == "read" else "reported"] += 1
    for outcome, count in outcomes.most_common():
        console.print(f"{count:7}  {outcome}")
    for seconds, name, outcome in sorted(times, reverse=True)[:_SLOWEST]:
        console.print(f"{seconds:7.2f} s  {name}: {outcome}")


def _read(corpus: Path, name: str) -> str:
    """What comes of a file that is read and cut into passages."""
    try:
        document = read_document(corpus, name, Settings().max_file_mb << 20)
        cut_passages(document, split_sentences(document), _count_tokens, Settings().passage_tokens)
    except DocumentError as error:
        return str(error).partition(":")[0]
    return "read"


def _count_tokens(texts: Sequence[str]) -> list[int]:
    return [len(text) // 4 + 1 for text in texts]


if __name__ == "__main__":
    main()
