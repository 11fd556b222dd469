"""Corpora of any size with real sentences: those of a folder of documents, recombined."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.documents import find_documents, read_document
from rag.encoder import Encoding, SentenceEncoder, unit_rows
from rag.sentences import split_sentences

_PARAGRAPH = 5  # sentences
_FOLDER = 1_000  # documents in one
_NOISE = 0.3  # length of what is added to a recombined passage's vector


def read_sentences(source: Path) -> list[str]:
    """Every sentence of the documents in the folder, headings left out."""
    found = []
    for name in find_documents(source):
        document = read_document(source, name, 50 << 20)
        spans = [s for s in split_sentences(document) if not s.heading]
        found += [" ".join(document.text[s.start : s.end].split()) for s in spans]
    return found


def write_corpus(
    sentences: Sequence[str], folder: Path, documents: int, length: int, seed: int = 0
) -> None:
    """Write ``documents`` text files of ``length`` sentences each, drawn with the seed."""
    for number in range(documents):
        home = folder / f"{number // _FOLDER:03}"
        home.mkdir(parents=True, exist_ok=True)
        drawn = random.Random(f"{seed} {number}").choices(sentences, k=length)  # noqa: S311
        paragraphs = [
            " ".join(drawn[first : first + _PARAGRAPH]) for first in range(0, length, _PARAGRAPH)
        ]
        (home / f"{number:06}.txt").write_text("\n\n".join(paragraphs) + "\n", "utf-8")


class TableEncoder:
    """A stand-in for the model where 100,000 passages are to be indexed in minutes.

    A token's vector is the mean of those that the model gave it in a sample of real passages, a
    passage's vector the mean of its tokens' with noise: lengths, words and sizes on disk are real.
    """

    def __init__(self, model: SentenceEncoder, sample: Sequence[str]) -> None:
        self.model = model
        self.name = model.name
        self.digest = model.digest  # so that questions can be asked with the model
        self.dimensions = model.dimensions
        self.window = model.window
        self._table = _mean_vectors(model, sample)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return self.model.count_tokens(texts)

    def encode(self, texts: Sequence[str], contexts: Sequence[str] = ()) -> list[Encoding]:
        del contexts  # they change a vector little
        layouts = self.model._cut.encode_batch(list(texts), add_special_tokens=False)
        return [self._encode(layout.ids, layout.offsets) for layout in layouts]

    def _encode(self, ids: list[int], offsets: list[tuple[int, int]]) -> Encoding:
        tokens = self._table[ids]
        noise = np.random.default_rng(ids).standard_normal(self.dimensions, np.float32)
        return Encoding(
            vector=unit_rows(tokens.mean(axis=0) + _NOISE * unit_rows(noise)),
            tokens=tokens,
            starts=np.array([start for start, _ in offsets], np.int32),
        )


def _mean_vectors(model: SentenceEncoder, sample: Sequence[str]) -> NDArray[np.float32]:
    """(vocabulary, dimensions), unit rows; of about nothing where the sample has no such token."""
    shape = (model._whole.get_vocab_size(), model.dimensions)
    sums = np.random.default_rng(0).standard_normal(shape) * 1e-3
    layouts = model._cut.encode_batch(list(sample), add_special_tokens=False)
    for layout, encoding in zip(layouts, model.encode(sample), strict=True):
        np.add.at(sums, layout.ids[: len(encoding.tokens)], encoding.tokens)
    return unit_rows(sums.astype(np.float32))
