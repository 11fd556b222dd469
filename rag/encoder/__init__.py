"""Texts → unit vectors and token vectors; the only package that imports the model libraries."""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from rag.encoder.weights import PACKAGED_MODEL, find_weights, identify

if TYPE_CHECKING:
    from tokenizers import Encoding as Layout
    from tokenizers import Tokenizer

__all__ = ["PACKAGED_MODEL", "Encoder", "Encoding", "SentenceEncoder", "unit_rows"]

_CONTEXT_TOKENS = 48  # of title and heading, at most
_SPECIAL_TOKENS = 2  # [CLS] and [SEP]


@dataclass(frozen=True, slots=True, eq=False)
class Encoding:
    """One text as the model sees it, in its context but without the context's tokens."""

    vector: NDArray[np.float32]  # (dimensions,), unit length
    tokens: NDArray[np.float32]  # (n, dimensions), unit rows
    starts: NDArray[np.int32]  # (n,), characters into the text

    def without_punctuation(self, text: str) -> Encoding:
        """Only the tokens that begin with no punctuation, as ColBERT stores a document."""
        kept = np.array([not _is_mark(text[start]) for start in self.starts.tolist()], bool)
        return Encoding(self.vector, self.tokens[kept], self.starts[kept])


@lru_cache(10_000)
def _is_mark(character: str) -> bool:
    return unicodedata.category(character)[0] == "P"


class Encoder(Protocol):
    """What the index and the answers need of a model."""

    name: str

    @property
    def digest(self) -> str:
        """The identity of what makes the vectors: weights and engine, hex."""

    @property
    def dimensions(self) -> int:
        """The length of every vector."""

    @property
    def window(self) -> int:
        """The most tokens that a text may have beside its context."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text, special ones left out."""

    def encode(self, texts: Sequence[str], contexts: Sequence[str] = ()) -> list[Encoding]:
        """Encode each text, read after the context at its place where contexts are given."""


class Engine(Protocol):
    """A loaded model: what turns token ids into vectors."""

    tokenizer: str  # the model's tokenizer as JSON, without padding or truncation
    reads: int  # the most tokens of a text, special ones included
    dimensions: int

    def run(
        self, rows: Sequence[Sequence[int]]
    ) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Return for each row of n token ids its token vectors (n, dimensions) and its vector."""


class SentenceEncoder:
    """A sentence-transformers model, loaded when first needed; safe to share among threads.

    ``engine`` is "onnx", fast and without torch once the model has been exported, or
    "sentence-transformers", the reference. Raises ModelError when the model cannot be found or
    loaded, or when the packaged weights are not the published ones.
    """

    def __init__(self, name: str = PACKAGED_MODEL, engine: str = "onnx") -> None:
        self.name = name
        self._engine_name = engine
        self._loaded: Engine | None = None
        self._loading = threading.Lock()

    def __reduce__(self) -> tuple[type[SentenceEncoder], tuple[str, str]]:
        """Another process loads the model itself."""
        folder = Path(self.name)
        name = str(folder.absolute()) if folder.is_dir() else self.name
        return SentenceEncoder, (name, self._engine_name)

    @cached_property
    def digest(self) -> str:
        return identify(self._folder, self._engine_name)

    @property
    def dimensions(self) -> int:
        return self._engine.dimensions

    @property
    def window(self) -> int:
        return max(self._engine.reads - _CONTEXT_TOKENS - _SPECIAL_TOKENS, 1)

    @cached_property
    def _folder(self) -> Path:
        return find_weights(self.name)

    @property
    def _engine(self) -> Engine:
        with self._loading:
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded

    def _load(self) -> Engine:
        if self._engine_name == "onnx":
            from rag.encoder.exported import open_exported

            return open_exported(self._folder, self.name, self.digest)
        from rag.encoder.reference import Reference

        return Reference(self._folder, self.name)

    @cached_property
    def _whole(self) -> Tokenizer:
        """Reads texts of any length."""
        from tokenizers import Tokenizer

        return Tokenizer.from_str(self._engine.tokenizer)

    @cached_property
    def _cut(self) -> Tokenizer:
        """Reads what the model reads: cut to its window. Set once, for threads share it."""
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_str(self._engine.tokenizer)
        tokenizer.enable_truncation(self._engine.reads)
        return tokenizer

    def warm_up(self) -> None:
        """Load the model now, so that the first question does not wait for it."""
        self.encode(["warm"])

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(layout.ids) for layout in _lay_out(self._whole, texts, special=False)]

    def encode(self, texts: Sequence[str], contexts: Sequence[str] = ()) -> list[Encoding]:
        if not texts:
            return []
        prefixes = self._prefixes(contexts) if contexts else [""] * len(texts)
        whole = [prefix + text for prefix, text in zip(prefixes, texts, strict=True)]
        layouts = _lay_out(self._cut, whole, special=True)
        outputs = self._engine.run([layout.ids for layout in layouts])
        return [_encoding(*parts) for parts in zip(outputs, layouts, prefixes, strict=True)]

    def _prefixes(self, contexts: Sequence[str]) -> list[str]:
        """Each context cut to its share of the model's window, with a line end."""
        layouts = _lay_out(self._whole, contexts, special=False)
        spans = [layout.offsets[:_CONTEXT_TOKENS] for layout in layouts]
        ends = [row[-1][1] if row else 0 for row in spans]
        return [f"{text[:end]}\n" if end else "" for text, end in zip(contexts, ends, strict=True)]


def _lay_out(tokenizer: Tokenizer, texts: Sequence[str], *, special: bool) -> list[Layout]:
    return tokenizer.encode_batch(list(texts), add_special_tokens=special)


def _encoding(
    output: tuple[NDArray[np.float32], NDArray[np.float32]], layout: Layout, prefix: str
) -> Encoding:
    """Drop special tokens and the prefix's tokens."""
    tokens, vector = output
    starts = np.asarray([start for start, _ in layout.offsets], np.int32)
    kept = (np.asarray(layout.special_tokens_mask) == 0) & (starts >= len(prefix))
    return Encoding(
        vector=unit_rows(vector),
        tokens=unit_rows(tokens[kept]),
        starts=starts[kept] - len(prefix),
    )


def unit_rows(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale the last axis to unit length; a zero row stays zero."""
    norms = np.sqrt(np.einsum("...i,...i->...", vectors, vectors))[..., None]  # without a copy
    scaled: NDArray[np.float32] = vectors / np.maximum(norms, np.finfo(np.float32).tiny)
    return scaled
