"""The reference engine: a model run by sentence-transformers, in 32-bit floats."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rag.errors import ModelError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_DEFAULT_READS = 512  # tokens, where a model names no limit
_BATCH = 32


class Reference:
    """Implements ``rag.encoder.Engine``. Raises ModelError when the model cannot be loaded."""

    def __init__(self, folder: Path, name: str) -> None:
        self.model = _load(folder, name)
        self.tokenizer = _tokenizer(self.model, name)
        self.reads = int(self.model.max_seq_length or _DEFAULT_READS)
        self.dimensions = int(self.model.get_embedding_dimension() or 0)

    def run(
        self, rows: Sequence[Sequence[int]]
    ) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Run rows of like length together."""
        longest = sorted(range(len(rows)), key=lambda i: -len(rows[i]))
        found: dict[int, tuple[NDArray[np.float32], NDArray[np.float32]]] = {}
        for first in range(0, len(rows), _BATCH):
            batch = longest[first : first + _BATCH]
            found.update(zip(batch, self._run([rows[i] for i in batch]), strict=True))
        return [found[i] for i in range(len(rows))]

    def _run(
        self, rows: list[Sequence[int]]
    ) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        import torch

        ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row)
            mask[i, : len(row)] = 1
        with torch.inference_mode():
            output = self.model({"input_ids": ids, "attention_mask": mask})
        vectors, tokens = output["sentence_embedding"].numpy(), output["token_embeddings"].numpy()
        return [(tokens[i, : len(row)], vectors[i]) for i, row in enumerate(rows)]


def _load(folder: Path, name: str) -> SentenceTransformer:
    _forbid_network()
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    options = {"use_safetensors": True, "attn_implementation": "eager"}  # the one that exports
    try:
        return SentenceTransformer(str(folder), device="cpu", model_kwargs=options).eval()
    except (OSError, ValueError) as error:
        raise ModelError(f"the model {name} cannot be loaded: {error}") from None


def _tokenizer(model: Any, name: str) -> str:
    from tokenizers import Tokenizer

    backend = getattr(model.tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise ModelError(f"the model {name} has no fast tokenizer: offsets need one; use another")
    tokenizer = Tokenizer.from_str(backend.to_str())
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return str(tokenizer.to_str())


def _forbid_network() -> None:
    """From here on every file is local: the model libraries must not ask the network."""
    for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
        os.environ[variable] = "1"
