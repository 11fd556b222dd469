"""What so many passages take, by arithmetic.

python -m tests.benchmarks.plan_scale
    prints the tables of docs/scale.md.

MEASURED is what was measured here, and how; ASSUMED is what was not: change it to what your
machines are and cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log

SIZES = (10**6, 10**7, 10**8, 10**9)
HOURS_A_MONTH = 730


@dataclass(frozen=True)
class Measured:
    """On two cores, 21 November 2026; by the command named."""

    # rag index: squad 153, chroma 150, scifact 126 stored tokens a passage
    tokens: int = 150
    # bench_workers, nothing else running, two cores: 13,981 tokens a second, 11,879 by two workers
    tokens_a_second: float = 5_940
    # rag index, bytes on disk a passage: squad 17,557, chroma 16,843, scifact 14,864
    local_bytes: int = 17_000
    # words of their own and with their neighbours: squad 288, chroma 254, scifact 183
    postings: int = 250
    # du of a file of Milvus Lite: squad 24,600, scifact 19,800
    milvus_bytes: int = 24_600
    # reading, counting and sending to Milvus Lite, its own work included: scifact, 11,267 passages
    copy_ms: float = 2.7
    # a graph of 100,000 passages on one core: adding one, and the 200 nearest
    graph_add_ms: float = 0.58
    graph_search_ms: float = 1.19
    # BM25 in 100,000 passages on one core: words of their own 0.34, with their neighbours' 0.49
    words_search_ms: float = 0.83
    at: int = 100_000
    # of an answer, whatever the size: encoding, late interaction, choosing; squad, 95 % of them
    answer_ms: float = 16
    # calls to Milvus a question, one after the other; squad, Milvus Lite
    calls: int = 13


@dataclass(frozen=True)
class Assumed:
    cores: int = 16  # of a node
    gib: int = 64  # of a node's memory, of which Milvus fills three quarters
    dollars: float = 0.80  # a node and hour
    disk_dollars: float = 0.025  # a GB and month
    call_ms: float = 2.0  # to the cluster and back, through its proxy
    workers: int = 8  # nodes that embed, while they do


MEASURED, ASSUMED = Measured(), Assumed()

_GRAPH = 384 + 384 * 2 + 2 * 32 * 4 + 16  # bytes: 8 bits a number, half precision to refine, links
_POSTING = 8  # bytes in memory: a passage and a weight
_ROW = 64  # bytes in memory: keys, dates, and the index of documents


@dataclass(frozen=True)
class Plan:
    """What ``passages`` take; memory and disk in bytes, times in the unit of their names."""

    passages: int
    kind: str
    memory: float
    disk: float
    nodes: int
    embed_hours: float
    index_hours: float
    dollars_a_month: float
    dollars_to_build: float
    p95_ms: float


def plan_local(passages: int, cores: int) -> Plan:
    """On one machine with so many cores, from which nothing is rented."""
    exact = passages <= 200_000
    search = _search_ms(passages, cores=1)
    return Plan(
        passages,
        "exact" if exact else "HNSW, 8 bits",
        memory=passages * (384 * 2 if exact else _GRAPH - 384 * 2) + 4e8,
        disk=passages * MEASURED.local_bytes,
        nodes=1,
        embed_hours=_embed_hours(passages, cores),
        index_hours=_graph_hours(passages, 1),
        dollars_a_month=0,
        dollars_to_build=0,
        p95_ms=MEASURED.answer_ms + search,
    )


def plan_milvus(passages: int) -> Plan:
    """In a cluster of nodes that hold its indexes in memory; what is read by key is on disk."""
    memory = passages * (_GRAPH + MEASURED.postings * _POSTING + _ROW)
    nodes = ceil(memory / (ASSUMED.gib * 2**30 * 0.75))
    embed = _embed_hours(passages, ASSUMED.workers * ASSUMED.cores)
    graph = _graph_hours(passages // nodes, ASSUMED.cores)
    copy = passages * MEASURED.copy_ms / 3.6e6
    disk = passages * MEASURED.milvus_bytes
    rent = nodes * ASSUMED.dollars * HOURS_A_MONTH + disk / 1e9 * ASSUMED.disk_dollars
    return Plan(
        passages,
        "HNSW_SQ",
        memory,
        disk,
        nodes,
        embed_hours=embed,
        index_hours=graph + copy,
        dollars_a_month=rent,
        dollars_to_build=(embed * ASSUMED.workers) * ASSUMED.dollars,
        p95_ms=MEASURED.answer_ms
        + MEASURED.calls * ASSUMED.call_ms
        + _search_ms(passages // nodes, ASSUMED.cores),
    )


def _embed_hours(passages: int, cores: int) -> float:
    return passages * MEASURED.tokens / MEASURED.tokens_a_second / cores / 3600


def _graph_hours(passages: int, cores: int) -> float:
    """The cost of adding one grows with the logarithm of what is there."""
    return passages * MEASURED.graph_add_ms * _deeper(passages) / cores / 3.6e6


def _search_ms(passages: int, cores: int) -> float:
    """A graph's cost grows with the logarithm, that of words with the number of passages."""
    words = MEASURED.words_search_ms * passages / MEASURED.at / cores
    return MEASURED.graph_search_ms * _deeper(passages) + words


def _deeper(passages: int) -> float:
    return max(log(passages) / log(MEASURED.at), 1)


def table(plans: list[Plan]) -> str:
    """A table in Markdown."""
    names = "passages vectors memory disk nodes embedding indexing build month p95".split()
    return "\n".join([f"| {' | '.join(names)} |", "|---" * len(names) + "|", *map(_line, plans)])


def _line(plan: Plan) -> str:
    cells = (
        f"{plan.passages:,}",
        plan.kind,
        _bytes(plan.memory),
        _bytes(plan.disk),
        f"{plan.nodes:,}",
        _hours(plan.embed_hours),
        _hours(plan.index_hours),
        f"${plan.dollars_to_build:,.0f}" if plan.dollars_a_month else "–",
        f"${plan.dollars_a_month:,.0f}" if plan.dollars_a_month else "–",
        f"{plan.p95_ms:,.0f} ms",
    )
    return f"| {' | '.join(cells)} |"


def _bytes(count: float) -> str:
    return f"{count / 1e12:,.1f} TB" if count >= 1e12 else f"{count / 1e9:,.1f} GB"


def _hours(hours: float) -> str:
    return f"{hours / 24:,.1f} days" if hours >= 48 else f"{hours:,.1f} h"


def tables() -> str:
    """Both tables, as docs/scale.md has them."""
    local = table([plan_local(size, cores=8) for size in SIZES])
    cluster = table([plan_milvus(size) for size in SIZES])
    return f"One machine of 8 cores:\n\n{local}\n\nMilvus and Ray:\n\n{cluster}\n"


if __name__ == "__main__":
    print(tables())  # noqa: T201
