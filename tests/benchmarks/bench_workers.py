"""Rebuilds by Ray's workers against one without: tokens a second, and a node that is lost half-way.

Run as: python -m tests.benchmarks.bench_workers CORPUS [--copies N] [--rounds N]

CORPUS is a folder of documents, which is read N times over. Ray runs before the clock starts, as
two nodes of one core each, on loopback. Each row runs in turn within a round, so that all meet the
same machine; the ratio is the median over the rounds.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from rag.build import build_index
from rag.encoder import SentenceEncoder
from rag.generation import check_generation, open_generation
from rag.settings import Settings
from rag.workers import Workers

_CORES = {"no workers": os.cpu_count() or 1, "1 worker": 1, "2 workers": 2, "2, one node lost": 2}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--copies", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        corpus = Path(home, "corpus")
        for number in range(options.copies):
            shutil.copytree(options.corpus, corpus / str(number))
        rounds = [_time_builds(corpus, Path(home)) for _ in range(options.rounds)]
        encoder, generation = SentenceEncoder(), open_generation(Path(home, "no workers"))
        texts = [generation.document(name).text for name in generation.names]
        Console(width=120).print(_table(rounds, sum(encoder.count_tokens(texts))))


def _time_builds(corpus: Path, home: Path) -> dict[str, float]:
    """Seconds of each, every one a full build, and like the one without workers."""
    cluster = _start_cluster()
    seconds = {
        "no workers": _time_build(corpus, home / "no workers", None),
        "1 worker": _time_build(corpus, home / "1 worker", Workers(1)),
        "2 workers": _time_build(corpus, home / "2 workers", Workers(2)),
        "2, one node lost": _time_build(corpus, home / "2, one node lost", Workers(2), cluster),
    }
    cluster.shutdown()
    plain = check_generation(home / "no workers")
    for name in seconds:
        made = check_generation(home / name)
        assert (made.documents, made.tokens) == (plain.documents, plain.tokens)
    return seconds


def _time_build(corpus: Path, index: Path, workers: Workers | None, doomed: Any = None) -> float:
    """Where a cluster is ``doomed``, its second node is killed half-way."""

    def progress(done: float, _name: str) -> None:
        if doomed and doomed.worker_nodes and done > 0.5:
            doomed.remove_node(next(iter(doomed.worker_nodes)), allow_graceful=False)

    shutil.rmtree(index, ignore_errors=True)
    encoder = SentenceEncoder()
    encoder.warm_up()
    started = time.perf_counter()
    build_index(corpus, index, encoder, Settings(), progress=progress, workers=workers)
    return time.perf_counter() - started


def _start_cluster() -> Any:
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    cluster.add_node(num_cpus=1)
    os.environ["RAY_ADDRESS"] = cluster.address
    return cluster


def _table(rounds: list[dict[str, float]], tokens: int) -> Table:
    table = Table("build", "seconds", "tokens/s", "a core", "times the first", "least to most")
    for name, cores in _CORES.items():
        seconds = median(times[name] for times in rounds)
        ratios = [times[name] / times["no workers"] for times in rounds]
        rate = tokens / seconds
        figures = (
            f"{seconds:.1f}",
            f"{rate:,.0f}",
            f"{rate / cores:,.0f}",
            f"{median(ratios):.2f}",
        )
        table.add_row(name, *figures, f"{min(ratios):.2f} to {max(ratios):.2f}")
    load = os.getloadavg()[2]
    table.caption = (
        f"{tokens:,} tokens, {os.cpu_count()} cores, load of the last 15 minutes {load:.1f}"
    )
    return table


def _prepare_environment(folder: str) -> None:
    """Before Ray is imported, which reads it then."""
    Path(folder, "ray").mkdir()
    os.environ.update(
        RAY_AUTH_MODE="token",
        RAY_AUTH_TOKEN=secrets.token_hex(32),
        RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0",  # on loopback
        RAY_USAGE_STATS_ENABLED="0",
        RAY_TMPDIR=folder,
        RAY_worker_niceness="0",  # as the builder, else other work counts for more
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        _prepare_environment(folder)
        main()
