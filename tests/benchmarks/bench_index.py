"""The index: what a rebuild costs, what an answer costs, and how both grow.

Run as: python -m tests.benchmarks.bench_index SOURCE [--documents N] [--passages N …] [--rounds N]
            [--plot FILE]

SOURCE is a folder of documents, whose sentences are recombined with a seed. The first corpus is
read by the model; the passages of the large ones get their vectors from a table (see generate.py),
because only what they cost afterwards is measured. Rivals run in turn with ours.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
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
from tests.benchmarks.bench_encoding import QUESTION, _race, _run, _seconds
from tests.benchmarks.generate import TableEncoder, read_sentences, write_corpus
from tests.benchmarks.growth import Growth, draw_growth

_SENTENCES = 12  # of a document: about two passages
_LONG = 60  # of a document in the large corpora: about ten passages
_PER_PASSAGE = 5.4  # sentences, about
_SAMPLE = 256  # passages that the rival encodes
_QUESTIONS = 40


@dataclass(frozen=True, slots=True)
class Build:
    """Seconds of a build without the model, and of two rebuilds; the peak of memory in GiB."""

    full: float
    nothing: float  # has changed
    one: float  # document has changed
    peak: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("--documents", type=int, default=5_000)
    parser.add_argument("--passages", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--plot", type=Path, help="draw there how the figures grow")
    parser.add_argument("--build", type=Path, help=argparse.SUPPRESS)  # in a process of its own
    options = parser.parse_args()
    if options.build:
        print(json.dumps(asdict(_build_large(options.source, options.build, options.passages[0]))))  # noqa: T201
        return
    table = Table("what", "ours", "rival", "figure", "target", "reached")
    with tempfile.TemporaryDirectory() as folder:
        _measure(table, options, Path(folder))
    Console(width=120).print(table)


def _measure(table: Table, options: Any, folder: Path) -> None:
    from sentence_transformers import SentenceTransformer

    ours = SentenceEncoder()
    ours.warm_up()
    rival = SentenceTransformer(str(ours._folder), device="cpu")
    _add_cold_answer(table, folder, options.rounds)
    if options.documents:
        _add_rebuilds(table, options, folder, ours, rival)
    grown = []
    for count in options.passages:
        home = folder / str(count)
        build = _run_build(options.source, home, count)
        generation = open_generation(home / "index")
        warm = _time_answers(generation, ours, rival, options.source)
        grown.append(_add_growth(table, generation, build, warm))
    if grown:
        _add_recall(table, generation)
    if options.plot:
        options.plot.write_text(draw_growth(grown), "utf-8")


def _add(
    table: Table, what: str, ours: str, rival: str, figure: float, target: str, most: float
) -> None:
    """Add a row whose figure should be at most, or with a ≥ at least, ``most``."""
    reached = figure >= most if target == "≥" else figure <= most
    shown = f"{figure:.4f}" if most < 1 else f"{figure:.2f}"
    table.add_row(what, ours, rival, shown, f"{target} {most:g}", "yes" if reached else "no")


def _add_cold_answer(table: Table, folder: Path, rounds: int) -> None:
    index = str(folder / "shipped")
    _run("-m", "rag.cli", "index", "--index", index)
    ask = partial(_run, "-m", "rag.cli", "ask", QUESTION, "--index", index)
    ours, rival = map(
        median, _race(ask, partial(_run, "-c", "import sentence_transformers"), rounds)
    )
    figures = (f"{ours:.2f} s", f"{rival:.2f} s", ours / rival)
    _add(table, "rag ask, cold; importing sentence_transformers", *figures, "≤", 0.25)


def _add_rebuilds(
    table: Table, options: Any, folder: Path, ours: SentenceEncoder, rival: Any
) -> None:
    """The rival encodes a sample before and after our build, which takes a while."""
    corpus, index = folder / "corpus", folder / "index"
    write_corpus(read_sentences(options.source), corpus, options.documents, _SENTENCES)
    build = partial(build_index, corpus, index, ours, Settings())
    texts = [path.read_text("utf-8")[:800] for path in sorted(corpus.rglob("*.txt"))[:_SAMPLE]]
    encode = partial(rival.encode, texts, batch_size=32)
    encode()
    before = [_seconds(encode) for _ in range(options.rounds)]
    full = _seconds(build)
    sample = sum(before + [_seconds(encode) for _ in range(options.rounds)]) / (2 * options.rounds)
    rate = sum(ours.count_tokens(texts)) / sample
    generation = open_generation(index)
    speed = _count_tokens(generation, ours) / full
    what = f"full build, {len(generation.names):,} documents, tokens a second"
    _add(table, what, f"{speed:,.0f}", f"{rate:,.0f}", speed / rate, "≥", 2.0)
    nothing, one = _time_rebuilds(build, corpus)
    for what, seconds, most in (("nothing", nothing, 0.01), ("one document", one, 0.02)):
        figures = (f"{seconds:.2f} s", f"{full:.1f} s", seconds / full)
        _add(table, f"{what} changed; the full build", *figures, "≤", most)


def _count_tokens(generation: Generation, encoder: SentenceEncoder) -> int:
    return sum(sum(encoder.count_tokens([generation.document(n).text])) for n in generation.names)


def _time_rebuilds(build: Callable[[], object], corpus: Path) -> tuple[float, float]:
    """Seconds where nothing changed and where one document did, the median of three."""
    nothing, one = [], []
    for number in range(3):
        nothing.append(_seconds(build))
        (corpus / "000" / "000007.txt").write_text(f"Something else stands here now: {number}.\n")
        one.append(_seconds(build))
    return median(nothing), median(one)


def _run_build(source: Path, home: Path, count: int) -> Build:
    command = [sys.executable, "-m", "tests.benchmarks.bench_index", str(source)]
    arguments = ["--build", str(home), "--passages", str(count)]
    done = subprocess.run([*command, *arguments], check=True, capture_output=True, text=True)
    return Build(**json.loads(done.stdout.splitlines()[-1]))


def _build_large(source: Path, home: Path, count: int) -> Build:
    sentences = read_sentences(source)
    corpus = home / "corpus"
    write_corpus(sentences, corpus, round(count * _PER_PASSAGE / _LONG), _LONG, seed=1)
    sample = [" ".join(sentences[i : i + 5]) for i in range(0, 2_000, 5)]
    encoder = TableEncoder(SentenceEncoder(), sample)
    build = partial(build_index, corpus, home / "index", encoder, Settings())
    full = _seconds(build)
    peak = _peak_memory()
    return Build(full, *_time_rebuilds(build, corpus), peak)


def _peak_memory() -> float:
    """GiB, of this process alone: getrusage would tell of the one that started it, too."""
    [peak] = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text("utf-8"))
    return int(peak) / 2**20


def _time_answers(
    generation: Generation, ours: SentenceEncoder, rival: Any, source: Path
) -> tuple[float, float]:
    """Milliseconds of an answer, and of the rival's encoding of the question, p50 of both."""
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
    return fast, slow


def _add_growth(
    table: Table, generation: Generation, build: Build, warm: tuple[float, float]
) -> Growth:
    size = f"{len(generation):,} passages"
    text = sum(len(generation.document(name).text.encode()) for name in generation.names)
    disk = sum(size for size, _ in generation.manifest.files.values())
    ours, rival = warm
    most = 4 if len(generation) > 20_000 else 2
    what = f"warm answer, {size}; encoding the question"
    _add(table, what, f"{ours:.1f} ms", f"{rival:.1f} ms", ours / rival, "≤", most)
    figures = (f"{disk / 1e6:,.0f} MB", f"{text / 1e6:,.1f} MB", disk / text)
    _add(table, f"on disk, {size}; the text", *figures, "≤", 20)
    _add(table, f"peak memory in GiB, building {size}", "", "", build.peak, "≤", 2)
    return Growth(
        len(generation), build.full, build.nothing, build.one, ours, rival, disk / 1e6, build.peak
    )


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


def _add_recall(table: Table, generation: Generation) -> None:
    rows = generation.vectors.rows(range(len(generation))).astype(np.float16)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        recall = write_graph(Path(folder), rows)
        seconds = time.perf_counter() - started
    what = f"recall of the graph, {len(rows):,} passages"
    _add(table, what, f"made in {seconds:.0f} s", "", recall, "≥", 0.99)


if __name__ == "__main__":
    main()
