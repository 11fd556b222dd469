"""Which documents say nearly the same, by MinHash (Broder, 1997); the only importer of rensa."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_WORD = re.compile(r"\w+")
_SHINGLE = 4  # words that are compared as one
_HASHES = 128
_BAND = 4  # hashes that must agree for two documents to be compared at all
_ALIKE = 0.8  # share of the shingles, from which two documents are nearly the same
_READ = 1_000_000  # characters of a document, so that its shingles fit into memory


def sign(text: str) -> bytes:
    """The MinHash signature of a text's shingles, 512 bytes; empty for a text without words."""
    from rensa import RMinHash

    words = [found[0].casefold() for found in _WORD.finditer(text, 0, _READ)]
    if not words:
        return b""
    sketch = RMinHash(num_perm=_HASHES, seed=0)
    ends = range(_SHINGLE, max(len(words), _SHINGLE) + 1)
    sketch.update([" ".join(words[end - _SHINGLE : end]) for end in ends])
    return np.array(sketch.digest(), "<u4").tobytes()


def group_alike(signatures: Sequence[bytes]) -> list[int]:
    """Give each text the place of the first one that is nearly the same, its own if none is.

    Only texts that agree in a band of hashes are compared, and only with the first of their band,
    so the work grows with the number of texts, not of pairs.
    """
    firsts: dict[tuple[int, bytes], int] = {}
    groups: list[int] = []
    for place, signature in enumerate(signatures):
        bands = _bands(signature)
        near = {firsts.setdefault(band, place) for band in bands} - {place}
        alike = [other for other in sorted(near) if _share(signature, signatures[other]) >= _ALIKE]
        groups.append(groups[alike[0]] if alike else place)
    return groups


def _bands(signature: bytes) -> list[tuple[int, bytes]]:
    width = 4 * _BAND
    return [(i, signature[i : i + width]) for i in range(0, len(signature), width)]


def _share(one: bytes, other: bytes) -> float:
    """The estimated Jaccard similarity of two texts' shingles."""
    return float((_hashes(one) == _hashes(other)).mean())


def _hashes(signature: bytes) -> NDArray[np.uint32]:
    return np.frombuffer(signature, "<u4")
