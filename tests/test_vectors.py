from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rag.encoder import unit_rows
from rag.errors import IndexDamaged
from rag.vectors import GRAPH_FILE, VECTOR_FILE, Vectors, write_graph


@pytest.fixture
def rows() -> NDArray[np.float16]:
    rows = unit_rows(np.random.default_rng(0).standard_normal((50, 8)).astype(np.float32))
    return rows.astype(np.float16)


def test_search_gives_the_exact_order_of_the_cosines(rows: NDArray[np.float16]) -> None:
    exact = rows.astype(np.float32)
    found = Vectors(rows).search(exact[7], 50)
    cosines = exact @ exact[7]
    assert [number for number, _ in found] == np.argsort(-cosines, kind="stable").tolist()
    assert [score for _, score in found] == pytest.approx(sorted(cosines, reverse=True), abs=1e-6)


def test_search_of_more_than_there_are_gives_no_padding(rows: NDArray[np.float16]) -> None:
    vectors = Vectors(rows[:3])
    assert sorted(number for number, _ in vectors.search(rows[0].astype(np.float32), 10)) == [
        0,
        1,
        2,
    ]


def test_search_stays_among_the_ids_given(rows: NDArray[np.float16]) -> None:
    vectors = Vectors(rows)
    assert {
        number for number, _ in vectors.search(rows[0].astype(np.float32), 10, among=[4, 9])
    } == {4, 9}


def test_what_is_written_reads_back(rows: NDArray[np.float16], tmp_path: Path) -> None:
    rows.tofile(tmp_path / VECTOR_FILE)
    read = Vectors.read(tmp_path, 50, 8)
    assert (len(read), read.dimensions) == (50, 8)
    assert (read.rows([3, 1]) == rows[[3, 1]]).all()


def test_a_short_file_and_one_that_is_no_graph_are_damaged(
    rows: NDArray[np.float16], tmp_path: Path
) -> None:
    rows.tofile(tmp_path / VECTOR_FILE)
    with pytest.raises(IndexDamaged, match="run rag index --full"):
        Vectors.read(tmp_path, 51, 8)
    (tmp_path / GRAPH_FILE).write_bytes(b"not a graph")
    with pytest.raises(IndexDamaged, match="run rag index --full"):
        Vectors.read(tmp_path, 50, 8)


def test_a_graph_finds_nearly_what_exact_search_finds(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    exact_rows = unit_rows(rng.standard_normal((3000, 32)).astype(np.float32))
    rows = exact_rows.astype(np.float16)
    rows.tofile(tmp_path / VECTOR_FILE)
    recall = write_graph(tmp_path, rows)
    fast, exact = Vectors.read(tmp_path, *rows.shape), Vectors(rows)
    assert recall > 0.95
    found = dict(fast.search(exact_rows[7], 10))
    assert found == pytest.approx(dict(exact.search(exact_rows[7], 10)))
    assert {number for number, _ in fast.search(exact_rows[0], 5, among=[4, 9])} == {4, 9}


def test_a_search_through_a_graph_goes_as_far_as_it_must(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In many dimensions, where all are about as far from each other, little is found at once."""
    monkeypatch.setattr("rag.vectors._LINKS", 4)
    rng = np.random.default_rng(2)
    rows = unit_rows(rng.standard_normal((5000, 64)).astype(np.float32)).astype(np.float16)
    rows.tofile(tmp_path / VECTOR_FILE)
    monkeypatch.setattr("rag.vectors._ENOUGH", 0.0)
    little = write_graph(tmp_path, rows)
    monkeypatch.setattr("rag.vectors._ENOUGH", 0.99)
    assert little < 0.99 <= write_graph(tmp_path, rows)
    fast, exact = Vectors.read(tmp_path, *rows.shape), Vectors(rows)
    row = rows[11].astype(np.float32)
    found = {number for number, _ in fast.search(row, 100)}
    assert len(found & {number for number, _ in exact.search(row, 100)}) >= 95
