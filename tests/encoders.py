"""A small encoder for tests: a word's vector is made from the word alone, so rankings are exact."""

from __future__ import annotations

import hashlib
import os
import re
import signal
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.encoder import Encoding, unit_rows

_WORD = re.compile(r"\w+")


class WordEncoder:
    """Hashed bag of words: a text's vector is the sum of its words' vectors, context included."""

    name = "words"
    digest = "0" * 64
    dimensions = 256
    window = 200

    def __init__(self) -> None:
        self.encoded: list[str] = []  # every text ever encoded, in order

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(_WORD.findall(text)) for text in texts]

    def encode(self, texts: Sequence[str], contexts: Sequence[str] = ()) -> list[Encoding]:
        self.encoded.extend(texts)
        return [
            self._encode(text, context)
            for text, context in zip(texts, contexts or [""] * len(texts), strict=True)
        ]

    def _encode(self, text: str, context: str) -> Encoding:
        words = list(_WORD.finditer(text))
        tokens = [_vector(word[0]) for word in words]
        whole = [*tokens, *(_vector(word) for word in _WORD.findall(context))]
        return Encoding(
            vector=unit_rows(np.sum(whole or [np.zeros(256, np.float32)], axis=0)),
            tokens=np.array(tokens, np.float32).reshape(-1, 256),
            starts=np.array([word.start() for word in words], np.int32),
        )


def _number(word: str) -> int:
    return int.from_bytes(hashlib.sha256(word.casefold().encode()).digest()[:2])


def _vector(word: str) -> NDArray[np.float32]:
    return unit_rows(np.random.default_rng(_number(word)).standard_normal(256).astype(np.float32))


class DeadlyEncoder(WordEncoder):
    """Ends its process, as one out of memory is ended, at certain texts."""

    def __init__(self, mark: Path) -> None:
        super().__init__()
        self._mark = mark  # made by the first that died of "deadly once"

    def encode(self, texts: Sequence[str], contexts: Sequence[str] = ()) -> list[Encoding]:
        for text in texts:
            if "deadly always" in text:
                os.kill(os.getpid(), signal.SIGKILL)
            if "deadly once" in text and not self._mark.exists():
                self._mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return super().encode(texts, contexts)
