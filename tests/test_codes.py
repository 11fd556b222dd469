from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag import codes
from rag.encoder import unit_rows


@given(st.integers(0, 9), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_every_number_comes_back_with_its_sign(count: int, dimensions: int, seed: int) -> None:
    rows = unit_rows(np.random.default_rng(seed).standard_normal((count, dimensions)).astype("f4"))
    packed = codes.encode(rows)
    assert packed.shape == (count, codes.width(dimensions))
    read = codes.decode(packed, dimensions)
    assert read.shape == rows.shape
    assert (np.sign(read) == np.sign(rows))[rows != 0].all()


def test_inner_products_stay_close_to_the_cosines() -> None:
    rng = np.random.default_rng(0)
    rows = unit_rows(rng.standard_normal((300, 384)).astype("f4"))
    mixed = unit_rows(rows[:-1] + rows[1:])
    read = unit_rows(codes.decode(codes.encode(rows[:-1]), 384).astype("f4")) / codes.COSINE
    errors = (read * mixed).sum(1) - (rows[:-1] * mixed).sum(1)
    assert errors.mean() == pytest.approx(0, abs=0.01)
    assert errors.std() < 0.03
