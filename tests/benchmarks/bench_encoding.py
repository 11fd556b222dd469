"""Encoding: tokens a second, how close to the reference, and a cold answer from the shell.

Run as: python -m tests.benchmarks.bench_encoding [--passages N] [--rounds N]

Each row and its rival run in turn within a round, so that both meet the same machine; the ratio is
the median over the rounds.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from rag.documents import find_documents, read_document
from rag.encoder import Encoding, SentenceEncoder
from rag.passages import cut_passages
from rag.sentences import split_sentences

ROOT = Path(__file__).parents[2]
QUESTION = "How many American soldiers are in Iraq?"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    table = Table("what", "ours", "rival", "ratio", "least to most", "target")
    _add_throughput(table, options.passages, options.rounds)
    _add_cold_answer(table, options.rounds)
    Console().print(table)


def _add_throughput(table: Table, count: int, rounds: int) -> None:
    from sentence_transformers import SentenceTransformer

    fast = SentenceEncoder()
    texts = _passages(fast, count)
    tokens = sum(fast.count_tokens(texts))
    model = SentenceTransformer(str(fast._folder), device="cpu")
    fast.warm_up()
    ours, rival = _race(partial(fast.encode, texts), partial(model.encode, texts), rounds)
    rates = (f"{tokens / median(ours):,.0f} tokens/s", f"{tokens / median(rival):,.0f} tokens/s")
    _add_row(table, "encoding", rates, [b / a for a, b in zip(ours, rival, strict=True)], "≥ 2.0")
    mean, least = _likeness(fast.encode(texts), model.encode(texts))
    table.add_row("cosine to the reference", f"{mean:.4f}", "1", "", f"{least:.4f} to 1", "")


def _add_cold_answer(table: Table, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        _run("-m", "rag.cli", "index", "--index", folder)
        ask = partial(_run, "-m", "rag.cli", "ask", QUESTION, "--index", folder)
        ours, rival = _race(ask, partial(_run, "-c", "import sentence_transformers"), rounds)
    times = (f"{median(ours):.2f} s", f"{median(rival):.2f} s")
    ratios = [a / b for a, b in zip(ours, rival, strict=True)]
    _add_row(table, "rag ask, cold, against the import", times, ratios, "≤ 0.25")


def _run(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True, cwd=ROOT, capture_output=True)


def _passages(encoder: SentenceEncoder, count: int) -> list[str]:
    """Passages of the shipped corpus, over again where there are too few."""
    found = []
    for name in find_documents(ROOT / "corpus"):
        document = read_document(ROOT / "corpus", name, 50 << 20)
        sentences = split_sentences(document)
        passages = cut_passages(document, sentences, encoder.count_tokens, 200)
        found += [document.text[passage.start : passage.end] for passage in passages]
    return (found * (count // len(found) + 1))[:count]


def _race(
    ours: Callable[[], Any], rival: Callable[[], Any], rounds: int
) -> tuple[list[float], list[float]]:
    """Seconds of each in each round, after one that does not count."""
    times = [(_seconds(ours), _seconds(rival)) for _ in range(rounds + 1)][1:]
    return [a for a, _ in times], [b for _, b in times]


def _seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _likeness(found: list[Encoding], exact: Any) -> tuple[float, float]:
    cosines = [float(a.vector @ b) for a, b in zip(found, exact, strict=True)]
    return sum(cosines) / len(cosines), min(cosines)


def _add_row(
    table: Table, what: str, figures: tuple[str, str], ratios: list[float], target: str
) -> None:
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    table.add_row(what, *figures, f"{median(ratios):.2f}", spread, target)


if __name__ == "__main__":
    main()
