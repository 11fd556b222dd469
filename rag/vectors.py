"""Nearest passages by vector; the only importer of faiss."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.errors import IndexDamaged


class Vectors:
    """Unit vectors searched exactly by inner product, which is their cosine."""

    def __init__(self, index: Any) -> None:
        self._index = index  # a faiss index

    @classmethod
    def empty(cls, dimensions: int) -> Vectors:
        import faiss

        return cls(faiss.IndexFlatIP(dimensions))

    @classmethod
    def read(cls, path: Path) -> Vectors:
        """Raise IndexDamaged when the file is not an index of this kind."""
        import faiss

        try:
            return cls(faiss.read_index(str(path)))
        except RuntimeError:
            raise IndexDamaged(f"{path} cannot be read: run rag index --full") from None

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def dimensions(self) -> int:
        return int(self._index.d)

    def add(self, vectors: NDArray[np.float32]) -> None:
        """Append rows, (n, dimensions); their ids go on from len(self)."""
        self._index.add(np.ascontiguousarray(vectors))

    def rows(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """Return the stored vectors, (len(ids), dimensions)."""
        rows: NDArray[np.float32] = self._index.reconstruct_batch(np.asarray(ids, np.int64))
        return rows

    def search(
        self, vector: NDArray[np.float32], k: int, among: Sequence[int] | None = None
    ) -> list[tuple[int, float]]:
        """Return up to ``k`` (id, cosine), best first, of all passages or of those ``among``."""
        import faiss

        parameters = None
        if among is not None:
            selector = faiss.IDSelectorBatch(np.asarray(among, np.int64))
            parameters = faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]
        scores, ids = self._index.search(vector[None, :], k, params=parameters)
        pairs = zip(ids[0].tolist(), scores[0].tolist(), strict=True)
        return [(i, score) for i, score in pairs if i >= 0]  # faiss pads with id -1

    def write(self, path: Path) -> None:
        import faiss

        faiss.write_index(self._index, str(path))
