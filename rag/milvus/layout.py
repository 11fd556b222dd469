"""How a generation lies in Milvus: four collections, and the keys by which they are joined.

A collection must have a vector; where there is none to store, it is one of zeros.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.errors import BadIndex
from rag.milvus.client import Row

VERSION = 1  # of what this module says
PIECE = 2_000  # characters of a document's text in one row
MANIFEST_KEY = 0  # the manifest is stored as a document without a name
_LONGEST = 65_535  # bytes of a text in a row: what Milvus allows
_NO_VECTOR = [0.0, 0.0]
_NUMBERS = ("characters", "pages", "first_passage", "passages", "earliest", "latest")
_TEXTS = ("name", "title", "date", "digest", "seal")
OF_MANIFEST: Row = {  # the row of documents in which the manifest lies
    "id": MANIFEST_KEY,
    **dict.fromkeys(_NUMBERS, 0),
    **dict.fromkeys(_TEXTS, ""),
}
_FULL = {"M": 32, "efConstruction": 200, "sq_type": "SQ8", "refine": True, "refine_type": "FP16"}


def parts(collection: str) -> tuple[str, str, str]:
    """The names of the collections beside the passages: documents, texts, words."""
    return f"{collection}_documents", f"{collection}_texts", f"{collection}_words"


def key_of(text: str) -> int:
    """The key of a document's name or of a word: 63 bits of its BLAKE2b digest, never 0."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest) >> 1) or 1


def days(date: str | None) -> tuple[int, int]:
    """The first and the last day that a date in ISO 8601 may mean, as 20251121; (0, 0) for none.

    A date of a month or a year means any day of it.
    """
    digits = "".join(c for c in (date or "")[:10] if c.isdecimal() and c.isascii())
    return (int(digits.ljust(8, "0")), int(digits.ljust(8, "9"))) if digits else (0, 0)


def pieces_of(text: str) -> list[str]:
    return [text[start : start + PIECE] for start in range(0, len(text), PIECE)]


def pack(codes: NDArray[np.uint8], name: str) -> str:
    """Token codes as text. Raises BadIndex where they are too long for a row."""
    packed = b64encode(codes.tobytes()).decode()
    if len(packed) > _LONGEST:
        raise BadIndex(
            f"a passage of {name} has more token vectors than a row of Milvus holds: choose a "
            "smaller passage_tokens"
        )
    return packed


def beside(row: Row) -> Row:
    """A row of a collection in which nothing is searched by vector."""
    return {**row, "vector": _NO_VECTOR}


def passage_layout(dimensions: int, *, exact: bool) -> tuple[Any, Any]:
    """Schema and indexes of the passages.

    Without ``exact`` the vectors are searched through a graph (HNSW) over 8 bits a number.
    """
    from pymilvus import DataType, MilvusClient

    schema = _schema(["document", "earliest", "latest"], ["name", "heading", "sentences", "tokens"])
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimensions)
    for name in ("text", "near"):
        schema.add_field(name, DataType.SPARSE_FLOAT_VECTOR)
    indexes = MilvusClient.prepare_index_params()
    kind, shape = ("FLAT", {}) if exact else ("HNSW_SQ", _FULL)
    indexes.add_index("vector", index_type=kind, metric_type="IP", params=shape)
    for name in ("text", "near"):
        indexes.add_index(name, index_type="SPARSE_INVERTED_INDEX", metric_type="IP")
    indexes.add_index("document", index_type="INVERTED")
    return schema, indexes


def document_layout() -> tuple[Any, Any]:
    return _beside(["first_piece", "pieces", "alike", *_NUMBERS], _TEXTS)


def text_layout() -> tuple[Any, Any]:
    return _beside([], ["text"])


def word_layout() -> tuple[Any, Any]:
    return _beside(["dimension", "text", "near", "form"], [])


def _beside(numbers: Sequence[str], texts: Sequence[str]) -> tuple[Any, Any]:
    from pymilvus import DataType, MilvusClient

    schema = _schema(numbers, texts)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=len(_NO_VECTOR))
    indexes = MilvusClient.prepare_index_params()
    indexes.add_index("vector", index_type="FLAT", metric_type="IP")
    return schema, indexes


def _schema(numbers: Sequence[str], texts: Sequence[str]) -> Any:
    from pymilvus import DataType, MilvusClient

    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    for name in numbers:
        schema.add_field(name, DataType.INT64)
    for name in texts:
        # Read by key, a few at a time: they stay on the disk of the nodes.
        schema.add_field(name, DataType.VARCHAR, max_length=_LONGEST, mmap_enabled=True)
    return schema
