"""Nearest passages by vector; the only importer of faiss."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.errors import IndexDamaged

VECTOR_FILE = "vectors.f16"  # the rows one after the other, in this machine's byte order
GRAPH_FILE = "vectors.hnsw"

_KIND = b"IHNs"  # how faiss begins the file of an IndexHNSWSQ
_LINKS = 32  # of a passage in the graph: M of Malkov and Yashunin, "HNSW" (2016)
_BUILD_DEPTH = 200  # efConstruction
_DEPTHS = (400, 800, 1_600, 3_200, 6_400)  # efSearch: the first with which enough is found
_ENOUGH = 0.99  # recall
_MOST_COSINE = 1.01  # and what rounding adds
_SAMPLE = 200  # passages by which recall is measured
_RECALL_AT = 100
_BLOCK = 10_000  # rows in memory at a time


class Vectors:
    """Unit vectors by id, searched by inner product, which is their cosine.

    The rows, in half precision, stay on disk and are mapped: a cosine is right to 0.0001. Without a
    graph all of them are read into memory at the first search, and compared; with one the search
    visits a small part.
    """

    def __init__(self, rows: NDArray[np.float16], graph: Any = None) -> None:
        self._rows = rows  # (n, dimensions)
        self._graph = graph  # a faiss.IndexHNSW

    @cached_property
    def _all(self) -> Any:
        return _exact_index(self._rows)

    @classmethod
    def read(cls, folder: Path, count: int, dimensions: int) -> Vectors:
        """Raise IndexDamaged when a file does not hold what it should."""
        import faiss

        faiss.omp_set_num_threads(1)  # a question is one thread's work; many are asked at once
        rows = map_rows(folder / VECTOR_FILE, np.float16, (count, dimensions))
        path = folder / GRAPH_FILE
        return cls(rows, _read_graph(path, rows.shape) if path.exists() else None)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def dimensions(self) -> int:
        return int(self._rows.shape[1])

    def rows(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """Return the stored vectors, (len(ids), dimensions)."""
        return self._rows[np.asarray(ids, np.int64)].astype(np.float32)

    def search(
        self, vector: NDArray[np.float32], k: int, among: Sequence[int] | None = None
    ) -> list[tuple[int, float]]:
        """Return up to ``k`` (id, cosine), best first, of all passages or of those ``among``.

        Raises IndexDamaged for what can be no cosine.
        """
        found = self._search(vector, k, among)
        none = not found and len(self._rows if among is None else among)
        if none or any(abs(score) > _MOST_COSINE for _, score in found):
            raise IndexDamaged("the vectors of the index are damaged: run rag index --full")
        return found

    def _search(
        self, vector: NDArray[np.float32], k: int, among: Sequence[int] | None
    ) -> list[tuple[int, float]]:
        if among is not None:
            return self._nearest(vector, k, np.asarray(among, np.int64))
        if self._graph is None:
            return _pairs(*self._all.search(vector[None, :], k))
        faiss: Any = importlib.import_module("faiss")
        more = 2 * k  # the graph's own order is rough: its numbers have 8 bits
        depth = faiss.SearchParametersHNSW(efSearch=max(self._graph.hnsw.efSearch, 2 * more))
        _, found = self._graph.search(vector[None, :], more, params=depth)
        return self._nearest(vector, k, found[0][found[0] >= 0])  # faiss pads with id -1

    def _nearest(
        self, vector: NDArray[np.float32], k: int, ids: NDArray[np.int64]
    ) -> list[tuple[int, float]]:
        found = _pairs(*_exact_index(self._rows[ids]).search(vector[None, :], k))
        return [(int(ids[i]), score) for i, score in found]


def _exact_index(rows: NDArray[np.float16]) -> Any:
    faiss: Any = importlib.import_module("faiss")  # its stubs do not know all of it
    index = faiss.IndexScalarQuantizer(
        rows.shape[1], faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    )
    index.is_trained = True  # half precision has nothing to learn
    index.add_sa_codes(np.ascontiguousarray(rows).view(np.uint8))
    return index


def _pairs(scores: NDArray[np.float32], ids: NDArray[np.int64]) -> list[tuple[int, float]]:
    pairs = zip(ids[0].tolist(), scores[0].tolist(), strict=True)
    return [(i, score) for i, score in pairs if i >= 0]  # faiss pads with id -1


def write_graph(folder: Path, rows: NDArray[np.float16]) -> float:
    """Write a graph over the rows; return its recall: how much of the exact search it finds.

    It is the mean over a sample of the rows, of the 100 nearest of each. With it is stored how far
    a search must go for that to be enough.
    """
    faiss: Any = importlib.import_module("faiss")
    # 8 bits a number suffice to walk the graph: the cosines come from the rows themselves.
    graph = faiss.IndexHNSWSQ(
        rows.shape[1], faiss.ScalarQuantizer.QT_8bit, _LINKS, faiss.METRIC_INNER_PRODUCT
    )
    graph.hnsw.efConstruction = _BUILD_DEPTH
    sample = np.linspace(0, len(rows) - 1, min(len(rows), 50_000)).astype(np.int64)
    graph.train(rows[sample].astype(np.float32))
    for first in range(0, len(rows), _BLOCK):
        graph.add(rows[first : first + _BLOCK].astype(np.float32))
    recall = _deepen(graph, rows)
    faiss.write_index(graph, str(folder / GRAPH_FILE))
    return recall


def _deepen(graph: Any, rows: NDArray[np.float16]) -> float:
    """Set the least depth that finds enough; return the recall with it."""
    sample = rows[:: max(len(rows) // _SAMPLE, 1)].astype(np.float32)
    wanted = _nearest_ids(Vectors(rows), sample)
    for depth in _DEPTHS:
        graph.hnsw.efSearch = depth
        found = _nearest_ids(Vectors(rows, graph), sample)
        shares = [len(a & b) / len(a) for a, b in zip(wanted, found, strict=True)]
        recall = sum(shares) / len(shares)
        if recall >= _ENOUGH:
            break
    return recall


def _nearest_ids(vectors: Vectors, sample: NDArray[np.float32]) -> list[set[int]]:
    return [{number for number, _ in vectors.search(row, _RECALL_AT)} for row in sample]


def _read_graph(path: Path, shape: tuple[int, ...]) -> Any:
    """Raise IndexDamaged for a graph over other rows, and for an index of another kind.

    Some kinds name further files to be opened; so what kind it is, is looked at first.
    """
    faiss: Any = importlib.import_module("faiss")
    try:
        with path.open("rb") as file:
            kind = file.read(len(_KIND))
        graph = faiss.read_index(str(path)) if kind == _KIND else None
    except (OSError, RuntimeError, MemoryError):
        graph = None
    if graph is None or (graph.ntotal, graph.d) != shape:
        raise IndexDamaged(f"{path} is damaged: run rag index --full")
    return graph


def map_rows(path: Path, dtype: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """Map a file of numbers; an empty one, which cannot be mapped, is an empty array.

    Raises IndexDamaged when the file is shorter.
    """
    if shape[0] == 0:
        return np.zeros(shape, dtype)
    try:
        return np.memmap(path, dtype, mode="r", shape=shape)
    except (OSError, ValueError):
        raise IndexDamaged(f"{path} is damaged: run rag index --full") from None
