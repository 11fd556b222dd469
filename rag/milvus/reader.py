"""A generation in Milvus, opened for questions."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, lru_cache
from itertools import accumulate
from math import inf
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag import codes
from rag.duplicates import sign
from rag.encoder import Encoder
from rag.errors import IndexDamaged, QuestionError
from rag.lexical import Field, Word, inverse_frequency, plain, weigh_stems
from rag.manifest import Entry, Manifest
from rag.milvus import layout
from rag.milvus.client import Client, Row
from rag.settings import Settings
from rag.store import (
    Listed,
    Stored,
    Tokens,
    check_spans,
    check_tokens,
    read_row,
    read_sentences,
    seal,
)
from rag.types import EVERYTHING, Document, Passage, Scope

_CACHED_DOCUMENTS = 64
_CACHED_WORDS = 256  # sets of words
_MOST_ALIKE = 1_000  # documents that are named as nearly the same
_ENTRY = ("name", "digest", "passages", "characters", "seal")


class MilvusVocabulary:
    """What the collection knows of words; implements ``rag.index.Vocabulary``."""

    def __init__(self, client: Client, collection: str, passages: int) -> None:
        self._client = client
        self._collection = collection
        self._passages = passages
        self._find = lru_cache(_CACHED_WORDS)(self._look_up)

    def rarity(self, words: Sequence[Word]) -> list[float]:
        known = self.find(word.stem for word in words)
        counts = [known[word.stem]["text"] for word in words]
        return [inverse_frequency(self._passages, count) for count in counts]

    def holds(self, words: Sequence[Word]) -> list[bool]:
        forms = [plain(word.text) for word in words]
        known = self.find([*forms, *(word.stem for word in words)])
        pairs = zip(words, forms, strict=True)
        return [bool(known[form]["form"] or known[word.stem]["text"]) for word, form in pairs]

    def count(self, forms: Sequence[str]) -> list[int]:
        known = self.find(forms)
        return [known[form]["form"] for form in forms]

    def weigh(self, stems: Mapping[str, float], field: Field) -> dict[int, float]:
        """The sparse vector of a question: what each stem counts, times how rare it is."""
        known = self.find(stems)
        return {
            known[stem]["dimension"]: count * inverse_frequency(self._passages, known[stem][field])
            for stem, count in stems.items()
            if known[stem][field]
        }

    def find(self, words: Iterable[str]) -> Mapping[str, Mapping[str, int]]:
        """What is known of each word, all 0 where it is in no passage."""
        return self._find(frozenset(words))

    def _look_up(self, words: frozenset[str]) -> Mapping[str, Mapping[str, int]]:
        fields = ("dimension", "text", "near", "form")
        rows = self._client.get(self._collection, [*map(layout.key_of, words)], fields)
        nothing = dict.fromkeys(fields, 0)
        return {word: rows.get(layout.key_of(word), nothing) for word in words}


class MilvusIndex:
    """One complete generation; implements ``rag.index.Index``, safe to share among threads."""

    def __init__(self, client: Client, collection: str) -> None:
        """Raise IndexMismatch for another format, IndexDamaged where there is no manifest."""
        self.name = collection
        self._client = client
        self._documents, self._texts, words = layout.parts(collection)
        # The manifest without its documents, of which there may be millions.
        self.head = Manifest.parse(self._stored_text(self._manifest_row()), self._where)
        self.settings = Settings.from_dict(self.head.settings, self._where)
        self.lexical = MilvusVocabulary(client, words, self.head.passages)
        self._row = lru_cache(_CACHED_DOCUMENTS)(self._read_document_row)
        self.document = lru_cache(_CACHED_DOCUMENTS)(self._read_document)

    def __len__(self) -> int:
        return self.head.passages

    @property
    def _where(self) -> str:
        return self._client.address.shown

    @cached_property
    def manifest(self) -> Manifest:
        rows = self._client.walk(self._documents, _IS_DOCUMENT, _ENTRY)
        entries = sorted((_entry(row) for row in rows), key=lambda entry: entry.name)
        return replace(self.head, documents=tuple(entries))

    @property
    def names(self) -> list[str]:
        return [entry.name for entry in self.manifest.documents]

    def check_model(self, encoder: Encoder) -> None:
        self.head.check_model(encoder, self._where)

    def select(self, scope: Scope) -> str | None:
        """A condition on the fields that passages and documents share."""
        if scope == EVERYTHING:
            return None
        unknown = set(scope.documents) - self._document_rows(scope.documents).keys()
        if unknown:
            raise QuestionError(f"no document called {min(unknown)} is in the index: choose others")
        dated = _date_condition(scope)
        keys = [layout.key_of(name) for name in scope.documents]
        ids = [f"id in {keys}"] if keys else []
        if not self._client.query(self._documents, " and ".join([*ids, *dated]), ["id"], 1):
            raise QuestionError("no document of these dates is in the index: choose others")
        return " and ".join([*([f"document in {keys}"] if keys else []), *dated])

    def nearest(
        self, vector: NDArray[np.float32], k: int, among: str | None
    ) -> list[tuple[int, float]]:
        return self._client.search(self.name, "vector", vector.tolist(), k, among)

    def matching(
        self,
        words: Sequence[Word],
        k: int,
        field: Field,
        among: str | None,
        carried: Mapping[str, float],
    ) -> list[tuple[int, float]]:
        weights = self.lexical.weigh(weigh_stems(words, carried), field)
        return self._client.search(self.name, field, weights, k, among) if weights else []

    def rows(self, ids: Sequence[int]) -> NDArray[np.float32]:
        rows = self._rows(ids, "vector")
        return np.array([row["vector"] for row in rows], np.float32)

    def passage(self, number: int) -> Passage:
        return self.passages([number])[0]

    def passages(self, ids: Sequence[int]) -> list[Passage]:
        rows = self._rows(ids, "name", "sentences", "heading")
        with self._intact():
            found = [Passage(r["name"], read_sentences(r["sentences"]), r["heading"]) for r in rows]
            for passage in found:
                check_spans(passage, inf)  # the end of the document is looked up with its words
        return found

    def passage_ids(self, names: Sequence[str]) -> list[int]:
        firsts = [(row["first_passage"], row["passages"]) for row in map(self._row, names)]
        return [number for first, count in firsts for number in range(first, first + count)]

    def tokens(self, ids: Sequence[int]) -> Tokens:
        rows = self._rows(ids, "tokens", "sentences")
        with self._intact():
            return self._read_tokens(rows)

    def _read_tokens(self, rows: Sequence[Row]) -> Tokens:
        packed = [self._unpack(row["tokens"]) for row in rows]
        before = accumulate(map(len, packed), initial=0)
        bounds = [
            offset + first
            for offset, row in zip(before, rows, strict=False)
            for *_, first in json.loads(row["sentences"])
        ]
        together = np.concatenate([self._unpack(""), *packed])
        vectors = codes.decode(together, self.head.dimensions)
        tokens = Tokens(vectors, np.array([*bounds, len(together)]))
        check_tokens(tokens)
        return tokens

    def _unpack(self, packed: str) -> NDArray[np.uint8]:
        width = codes.width(self.head.dimensions)
        return np.frombuffer(b64decode(packed), np.uint8).reshape(-1, width)

    def texts(self, passages: Sequence[Passage]) -> list[str]:
        """Only the pieces of the documents are read in which the passages stand."""
        rows = self._document_rows({passage.document for passage in passages})
        with self._intact():
            for passage in passages:
                check_spans(passage, rows[passage.document]["characters"])
        spans = [_pieces(passage, rows[passage.document]) for passage in passages]
        wanted = sorted({number for span in spans for number in span})
        pieces = self._client.get(self._texts, wanted, ["text"])
        with self._intact():
            wholes = ["".join(pieces[number]["text"] for number in span) for span in spans]
        starts = [passage.start % layout.PIECE for passage in passages]
        lengths = [passage.end - passage.start for passage in passages]
        cuts = zip(wholes, starts, lengths, strict=True)
        return [whole[start : start + length] for whole, start, length in cuts]

    def catalogue(self) -> list[Listed]:
        fields = ("name", "title", "date", "pages", "passages")
        rows = self._client.walk(self._documents, _IS_DOCUMENT, fields)
        found = [
            Listed(r["name"], r["title"], r["date"] or None, r["pages"], r["passages"])
            for r in rows
        ]
        return sorted(found)

    def also_in(self, name: str) -> list[str]:
        group = self._row(name)["alike"]
        if not group:
            return []
        rows = self._client.query(self._documents, f"alike == {group}", ["name"], _MOST_ALIKE)
        return sorted(row["name"] for row in rows if row["name"] != name)

    def alike(self) -> dict[str, list[str]]:
        groups: dict[int, list[str]] = {}
        for row in self._client.walk(self._documents, "alike > 0", ["name", "alike"]):
            groups.setdefault(row["alike"], []).append(row["name"])
        return {
            name: sorted(set(names) - {name}) for names in groups.values() for name in sorted(names)
        }

    def stored(self, name: str) -> Stored:
        """A document with all that was made from it, as a store on disk has it."""
        ids = self.passage_ids([name])
        rows = self._rows(ids, "heading", "sentences", "tokens", "vector")
        packed = [self._unpack(row["tokens"]) for row in rows]
        document = self.document(name)
        return Stored(
            Path(),
            ids[0] if ids else 0,
            document,
            sign(document.text[document.body :]),
            [(r["heading"], r["sentences"], len(p)) for r, p in zip(rows, packed, strict=True)],
            np.array([row["vector"] for row in rows], np.float16).reshape(-1, self.head.dimensions),
            np.concatenate([self._unpack(""), *packed]),
        )

    def _read_document(self, name: str) -> Document:
        """Never another text than the one that was stored: it is what quotes are slices of."""
        row = self._row(name)
        text = self._stored_text(row)
        try:
            stored = (text[: row["characters"]], *json.loads(text[row["characters"] :]))
        except (ValueError, TypeError):
            stored = ()
        if seal(name, stored) != row["seal"]:
            raise IndexDamaged(f"{name} in {self._where} is damaged: run rag index --full")
        return read_row(name, stored)

    def _read_document_row(self, name: str) -> Row:
        """Raise KeyError when no document of that name is in the index."""
        return self._document_rows([name])[name]

    def _document_rows(self, names: Iterable[str]) -> dict[str, Row]:
        """What is known of each document, by name; of one that is not there nothing."""
        keys = [layout.key_of(name) for name in names]
        fields = ("first_piece", "pieces", "first_passage", "passages", "alike", *_ENTRY)
        rows = self._client.get(self._documents, keys, fields)
        return {row["name"]: row for row in rows.values()}

    def _manifest_row(self) -> Row:
        rows = self._client.get(self._documents, [layout.MANIFEST_KEY], ["first_piece", "pieces"])
        return rows.get(layout.MANIFEST_KEY, {"first_piece": 0, "pieces": 0})

    def _stored_text(self, row: Row) -> str:
        numbers = range(row["first_piece"], row["first_piece"] + row["pieces"])
        pieces = self._client.get(self._texts, numbers, ["text"])
        return "".join(pieces[number]["text"] for number in numbers if number in pieces)

    def _rows(self, ids: Sequence[int], *fields: str) -> list[Row]:
        rows = self._client.get(self.name, ids, fields)
        with self._intact():
            return [rows[number] for number in ids]

    @contextmanager
    def _intact(self) -> Iterator[None]:
        """What cannot be in a collection that we wrote is damage."""
        try:
            yield
        except (ValueError, TypeError, LookupError):
            raise IndexDamaged(
                f"the passages in {self._where} are damaged: run rag index --full"
            ) from None


def _pieces(passage: Passage, document: Row) -> range:
    """The rows in which the words of a passage stand."""
    first = document["first_piece"]
    last = first + (passage.end - 1) // layout.PIECE
    return range(first + passage.start // layout.PIECE, last + 1)


_IS_DOCUMENT = f"id > {layout.MANIFEST_KEY}"


def _date_condition(scope: Scope) -> list[str]:
    first, last = layout.days(scope.first)[0], layout.days(scope.last)[1]
    conditions = ["earliest > 0"] if first or last else []
    conditions += [f"latest >= {first}"] if first else []
    conditions += [f"earliest <= {last}"] if last else []
    return conditions


def _entry(row: Row) -> Entry:
    return Entry(*(row[field] for field in _ENTRY))
