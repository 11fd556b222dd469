from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rag.encoder import unit_rows
from rag.errors import IndexDamaged
from rag.vectors import Vectors


@pytest.fixture
def rows() -> NDArray[np.float32]:
    return unit_rows(np.random.default_rng(0).standard_normal((50, 8)).astype(np.float32))


def test_search_gives_the_exact_order_of_the_cosines(rows: NDArray[np.float32]) -> None:
    vectors = Vectors.empty(8)
    vectors.add(rows)
    found = vectors.search(rows[7], 50)
    cosines = rows @ rows[7]
    assert [number for number, _ in found] == np.argsort(-cosines, kind="stable").tolist()
    assert [score for _, score in found] == pytest.approx(sorted(cosines, reverse=True), abs=1e-6)


def test_search_of_more_than_there_are_gives_no_padding(rows: NDArray[np.float32]) -> None:
    vectors = Vectors.empty(8)
    vectors.add(rows[:3])
    assert sorted(number for number, _ in vectors.search(rows[0], 10)) == [0, 1, 2]


def test_search_stays_among_the_ids_given(rows: NDArray[np.float32]) -> None:
    vectors = Vectors.empty(8)
    vectors.add(rows)
    assert {number for number, _ in vectors.search(rows[0], 10, among=[4, 9])} == {4, 9}


def test_what_is_written_reads_back(rows: NDArray[np.float32], tmp_path: Path) -> None:
    vectors = Vectors.empty(8)
    vectors.add(rows)
    vectors.write(tmp_path / "v.faiss")
    read = Vectors.read(tmp_path / "v.faiss")
    assert (len(read), read.dimensions) == (50, 8)
    assert read.rows([3, 1]) == pytest.approx(rows[[3, 1]])


def test_a_file_that_is_no_index_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "v.faiss").write_bytes(b"not an index")
    with pytest.raises(IndexDamaged, match="run rag index --full"):
        Vectors.read(tmp_path / "v.faiss")
