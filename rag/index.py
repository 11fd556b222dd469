"""What questions need of an index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rag.encoder import Encoder
from rag.lexical import Field, Word
from rag.manifest import Manifest
from rag.settings import Settings
from rag.store import Listed, Tokens
from rag.types import Document, Passage, Scope


class Vocabulary(Protocol):
    """What an index knows of words."""

    def rarity(self, words: Sequence[Word]) -> list[float]:
        """The inverse document frequency of each word, as BM25 has it; at least 0."""

    def holds(self, words: Sequence[Word]) -> list[bool]:
        """Tell of each word whether it, or another of the same stem, stands in any passage."""

    def count(self, forms: Sequence[str]) -> list[int]:
        """In how many passages each ``plain`` word stands, in this form."""


class Index(Protocol):
    """One complete generation, wherever it is kept; safe to share among threads.

    Passages are known by their ids, from 0. Each method may raise BadIndex with the cure.
    """

    @property
    def name(self) -> str:
        """The generation's."""

    @property
    def settings(self) -> Settings:
        """Those that it was built with."""

    @property
    def lexical(self) -> Vocabulary:
        """The words of its passages."""

    @property
    def manifest(self) -> Manifest:
        """What the generation was built from."""

    @property
    def names(self) -> list[str]:
        """The names of all documents."""

    def __len__(self) -> int:
        """The number of passages."""

    def check_model(self, encoder: Encoder) -> None:
        """Raise IndexMismatch when the encoder's weights are not those that made this index."""

    def select(self, scope: Scope) -> Any:
        """What keeps a search to the documents in scope; None where that is all of them.

        Raises QuestionError for a document that is not in the index, and where none is left.
        """

    def nearest(self, vector: NDArray[np.float32], k: int, among: Any) -> list[tuple[int, float]]:
        """Up to ``k`` (id, cosine), best first, of the passages selected."""

    def matching(
        self, words: Sequence[Word], k: int, field: Field, among: Any, carried: Mapping[str, float]
    ) -> list[tuple[int, float]]:
        """Up to ``k`` (id, BM25 score), best first, of the passages selected; see Lexical."""

    def rows(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """The vectors of passages, (len(ids), dimensions)."""

    def passage(self, number: int) -> Passage:
        """One passage."""

    def passages(self, ids: Sequence[int]) -> list[Passage]:
        """The passages with these ids, in this order."""

    def passage_ids(self, names: Sequence[str]) -> list[int]:
        """The ids of all passages of the documents named."""

    def tokens(self, ids: Sequence[int]) -> Tokens:
        """The tokens of these passages, one passage after the other."""

    def texts(self, passages: Sequence[Passage]) -> list[str]:
        """The words of each passage."""

    def document(self, name: str) -> Document:
        """A document with its text. Raises KeyError when there is none of that name."""

    def catalogue(self) -> list[Listed]:
        """Every document without its text, by name."""

    def also_in(self, name: str) -> list[str]:
        """The other documents that say nearly the same as this one, by name."""

    def alike(self) -> dict[str, list[str]]:
        """The others that say nearly the same, for each document that has such."""
