"""The index: what a rebuild costs, what an answer costs, and how both grow.

Run as: python -m tests.benchmarks.bench_index SOURCE [--documents N] [--passages N] [--rounds N]

SOURCE is a folder of documents, whose sentences are recombined with a seed. The first corpus is
read by the model; the passages of the large ones get their vectors from a table (see generate.py),
because only what they cost afterwards is measured. Rivals run in turn with ours.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from rag.answer import answer
from rag.build import build_index
from rag.encoder import SentenceEncoder
from rag.generation import Generation, open_generation
from rag.settings import Settings
from rag.vectors import write_graph
from tests.benchmarks.bench_encoding import QUESTION, _add_cold_answer, _seconds
from tests.benchmarks.generate import TableEncoder, read_sentences, write_corpus

_SENTENCES = 12  # of a document: about two passages
_LONG = 60  # of a document in the large corpora: about ten passages
_PER_PASSAGE = 5.0  # sentences, about
_SAMPLE = 256  # passages that the rival encodes
_QUESTIONS = 40


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("--documents", type=int, default=5_000)
    parser.add_argument("--passages", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--build", type=Path, help=argparse.SUPPRESS)  # in a process of its own
    options = parser.parse_args()
    if options.build:
        _build_large(options.source, options.build, options.passages[0])
        return
    table = Table("what", "ours", "rival", "ratio", "target")
    with tempfile.TemporaryDirectory() as folder:
        _measure(table, options, Path(folder))
    _add_cold_answer_row(table, options.rounds)
    Console().print(table)


def _measure(table: Table, options: Any, folder: Path) -> None:
    from sentence_transformers import SentenceTransformer

    ours = SentenceEncoder()
    ours.warm_up()
    rival = SentenceTransformer(str(ours._folder), device="cpu")
    if options.documents:
        _add_rebuilds(table, options, folder, ours, rival)
    for count in options.passages:
        home = folder / str(count)
        seconds, peak = _run_build(options.source, home, count)
        generation = open_generation(home / "index")
        _add_growth(table, generation, seconds, peak)
        _add_warm(table, generation, ours, rival, options.source)
    if options.passages:
        _add_recall(table, generation)


def _add_rebuilds(
    table: Table, options: Any, folder: Path, ours: SentenceEncoder, rival: Any
) -> None:
    corpus = folder / "corpus"
    write_corpus(read_sentences(options.source), corpus, options.documents, _SENTENCES)
    build = partial(build_index, corpus, folder / "index", ours, Settings())
    full = _seconds(build)
    generation = open_generation(folder / "index")
    texts = _texts(generation, _SAMPLE)
    speed = generation.manifest.tokens / full
    encode = partial(rival.encode, texts, batch_size=32)
    encode()
    rate = sum(ours.count_tokens(texts)) / median(_seconds(encode) for _ in range(options.rounds))
    size = f"{len(generation.names):,} documents, {len(generation):,} passages"
    row = (f"{speed:,.0f} tokens/s", f"{rate:,.0f} tokens/s", f"{speed / rate:.2f}", "≥ 2.0")
    table.add_row(f"full build of {size}", *row)
    nothing = median(_seconds(build) for _ in range(options.rounds))
    _add_share(table, "nothing changed", nothing, full, "≤ 0.010")
    (corpus / "000" / "000007.txt").write_text("Something else stands here now.\n")
    _add_share(table, "one document changed", _seconds(build), full, "≤ 0.020")


def _add_share(table: Table, what: str, seconds: float, full: float, target: str) -> None:
    table.add_row(what, f"{seconds:.2f} s", f"{full:.1f} s", f"{seconds / full:.4f}", target)


def _run_build(source: Path, home: Path, count: int) -> tuple[float, float]:
    """Build in a process of its own; return its seconds and the peak of its memory in GiB."""
    command = [sys.executable, "-m", "tests.benchmarks.bench_index", str(source)]
    arguments = ["--build", str(home), "--passages", str(count)]
    done = subprocess.run([*command, *arguments], check=True, capture_output=True, text=True)
    seconds, peak = json.loads(done.stdout.splitlines()[-1])
    return seconds, peak


def _build_large(source: Path, home: Path, count: int) -> None:
    sentences = read_sentences(source)
    documents = round(count * _PER_PASSAGE / _LONG)
    write_corpus(sentences, home / "corpus", documents, _LONG, seed=1)
    model = SentenceEncoder()
    encoder = TableEncoder(model, [" ".join(sentences[i : i + 5]) for i in range(0, 2_000, 5)])
    build = partial(build_index, home / "corpus", home / "index", encoder, Settings())
    seconds = _seconds(build)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # Linux counts KiB
    print(json.dumps([seconds, peak]))  # noqa: T201


def _add_growth(table: Table, generation: Generation, seconds: float, peak: float) -> None:
    size = f"{len(generation):,} passages"
    text = sum(len(generation.document(name).text.encode()) for name in generation.names)
    disk = sum(size for size, _ in generation.manifest.files.values())
    figures = (f"{disk / 1e6:,.0f} MB", f"{text / 1e6:,.1f} MB of text", f"{disk / text:.1f}")
    table.add_row(f"on disk, {size}", *figures, "≤ 20")
    table.add_row(f"peak memory, {size}", f"{peak:.2f} GiB", "", "", "≤ 2 GiB")
    table.add_row(f"build without the model, {size}", f"{seconds:.1f} s", "", "", "")


def _add_warm(
    table: Table, generation: Generation, ours: SentenceEncoder, rival: Any, source: Path
) -> None:
    questions = _questions(source)
    for question in questions[:5]:
        answer(question, generation, ours, Settings())
        rival.encode(question)
    pairs = [
        (
            _seconds(partial(answer, question, generation, ours, Settings())),
            _seconds(partial(rival.encode, question)),
        )
        for question in questions
    ]
    fast, slow = (median(column) * 1e3 for column in zip(*pairs, strict=True))
    target = "≤ 4" if len(generation) > 20_000 else "≤ 2"
    what = f"warm answer, p50, {len(generation):,} passages"
    table.add_row(what, f"{fast:.1f} ms", f"{slow:.1f} ms", f"{fast / slow:.2f}", target)


def _questions(source: Path) -> Sequence[str]:
    """Of the set beside the documents where it has some, else the start of sentences."""
    path = source.parent / "questions.jsonl"
    if path.exists():
        lines = path.read_text("utf-8").splitlines()
        step = max(len(lines) // _QUESTIONS, 1)
        return [str(json.loads(line)["question"]) for line in lines[::step]]
    return [" ".join(text.split()[:10]) for text in read_sentences(source)[:_QUESTIONS]] or [
        QUESTION
    ]


def _texts(generation: Generation, count: int) -> list[str]:
    step = max(len(generation) // count, 1)
    passages = generation.passages(list(range(0, len(generation), step))[:count])
    return [generation.document(p.document).text[p.start : p.end] for p in passages]


def _add_recall(table: Table, generation: Generation) -> None:
    rows = generation.vectors.rows(range(len(generation))).astype(np.float16)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        recall = write_graph(Path(folder), rows)
        seconds = time.perf_counter() - started
    what = f"recall of the graph, {len(rows):,} passages"
    table.add_row(what, f"{recall:.4f}", "", f"in {seconds:.0f} s", "≥ 0.99")


def _add_cold_answer_row(table: Table, rounds: int) -> None:
    wide = Table("what", "ours", "rival", "ratio", "spread", "target")
    _add_cold_answer(wide, rounds)
    cells = [next(iter(column.cells)) for column in wide.columns]
    table.add_row(*cells[:4], cells[5])


if __name__ == "__main__":
    main()
