"""Documents, passages, vectors and token vectors as they lie on disk: append them, read them.

    passages.db     SQLite: documents with their text, passages with their sentences
    vectors.f16     one row a passage, in half precision
    tokens.2bit     one row a token that is no punctuation, the passages' one after the other

Documents stream through: nothing of them is kept in memory while they are written.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rag import codes
from rag.codes import Coded
from rag.duplicates import sign
from rag.errors import IndexDamaged
from rag.manifest import Entry, damaged, sync
from rag.types import Document, Passage, Sentence
from rag.vectors import VECTOR_FILE, map_rows

DATABASE = "passages.db"
_TOKENS = "tokens.2bit"
_CACHED_DOCUMENTS = 64

_SCHEMA = """
CREATE TABLE documents (
    id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, digest TEXT NOT NULL, title TEXT NOT NULL,
    layout TEXT NOT NULL, body INTEGER NOT NULL, date TEXT, source TEXT, pages TEXT NOT NULL,
    alike INTEGER,            -- the first of the documents that say nearly the same; null: none do
    signature BLOB NOT NULL,  -- MinHash
    text TEXT NOT NULL
);
CREATE TABLE passages (
    id INTEGER PRIMARY KEY,
    document INTEGER NOT NULL REFERENCES documents,
    heading TEXT NOT NULL,
    sentences TEXT NOT NULL,  -- [[start, end, is a heading, first token in the passage], …]
    first_token INTEGER NOT NULL,
    tokens INTEGER NOT NULL
);
CREATE INDEX passages_by_document ON passages (document);
CREATE INDEX documents_alike ON documents (alike, name);  -- so that no text is read to find them
"""
_LISTED = """
SELECT d.name, d.title, d.date, json_array_length(d.pages), count(p.id)
FROM documents d LEFT JOIN passages p ON p.document = d.id GROUP BY d.id ORDER BY d.name
"""
_DOCUMENT = "text, title, digest, layout, body, date, source, pages"
_STORED = ", ".join(f"d.{column}" for column in _DOCUMENT.split(", "))


class Tokens(NamedTuple):
    """The tokens of passages, punctuation and special ones left out."""

    vectors: NDArray[np.int8]  # (n, dimensions), of any length: only their directions count
    bounds: NDArray[np.int64]  # (sentences + 1,), where those of each sentence begin, and n


class Listed(NamedTuple):
    """One document, as a list of documents shows it."""

    name: str
    title: str
    date: str | None
    pages: int
    passages: int


class Stored(NamedTuple):
    """A document with all that was made from it, as it lies on disk."""

    folder: Path
    first: int  # id of its first passage there
    document: Document
    signature: bytes
    passages: list[tuple[str, str, int]]  # heading, sentences as JSON, number of tokens
    vectors: NDArray[np.float16]  # (passages, dimensions)
    tokens: NDArray[np.uint8]  # (tokens of all passages, width)


class Store:
    """Opened for reading; safe to share among threads."""

    def __init__(self, folder: Path, passages: int, tokens: int, dimensions: int) -> None:
        """Raise IndexDamaged when a file is missing or too short."""
        self.folder = folder
        self._lock = threading.Lock()
        self._db = _open_database(folder)
        self._dimensions = dimensions
        self._vectors = map_rows(folder / VECTOR_FILE, np.float16, (passages, dimensions))
        self._tokens = map_rows(folder / _TOKENS, np.uint8, (tokens, codes.width(dimensions)))
        self.document = lru_cache(_CACHED_DOCUMENTS)(self._read_document)

    def catalogue(self) -> list[Listed]:
        """Return every document without its text, by name."""
        return [Listed(*row) for row in self._all(_LISTED)]

    def passage(self, number: int) -> Passage:
        """Return passage ``number``, from 0."""
        return self.passages([number])[0]

    def passages(self, ids: Sequence[int]) -> list[Passage]:
        """Return the passages with these ids, in this order; at the cost of one query."""
        rows = self._rows("p.id, name, heading, sentences", ids)
        return [Passage(name, read_sentences(spans), heading) for _, name, heading, spans in rows]

    def passage_ids(self, names: Sequence[str]) -> list[int]:
        """Return the ids of all passages of the documents named."""
        rows = self._all(
            "SELECT p.id FROM passages p JOIN documents d ON d.id = p.document "
            "WHERE d.name IN (SELECT value FROM json_each(?)) ORDER BY p.id",
            json.dumps(list(names)),
        )
        return [row[0] for row in rows]

    def tokens(self, ids: Sequence[int]) -> Tokens:
        """Return the tokens of these passages, one passage after the other."""
        found = self._rows("p.id, sentences, first_token, tokens", ids)
        before = list(accumulate((count for *_, count in found), initial=0))
        bounds = [
            offset + first
            for offset, (_, sentences, *_) in zip(before, found, strict=False)
            for *_, first in json.loads(sentences)
        ]
        stored = [self._tokens[first : first + count] for *_, first, count in found]
        rows = codes.decode(np.concatenate([self._tokens[:0], *stored]), self._dimensions)
        return Tokens(rows, np.array([*bounds, before[-1]]))

    def also_in(self, name: str) -> list[str]:
        """Return the other documents that say nearly the same as this one, by name."""
        rows = self._all(
            "SELECT name FROM documents WHERE name != ?1 AND alike = "
            "(SELECT alike FROM documents WHERE name = ?1) ORDER BY name",
            name,
        )
        return [row[0] for row in rows]

    def alike(self) -> dict[str, list[str]]:
        """Return the others that say nearly the same, for each document that has such."""
        groups: dict[int, list[str]] = {}
        for group, name in self._all(
            "SELECT alike, name FROM documents WHERE alike IS NOT NULL ORDER BY alike, name"
        ):
            groups.setdefault(group, []).append(name)
        return {
            name: [other for other in names if other != name]
            for names in groups.values()
            for name in names
        }

    def digests(self) -> dict[str, str]:
        """Return the digest of every document, by name, in the order in which they were added."""
        return dict(self._all("SELECT name, digest FROM documents ORDER BY id"))

    def stored(self, name: str) -> Stored:
        """Return a document with all that was made from it."""
        [(signature,)] = self._all("SELECT signature FROM documents WHERE name = ?", name)
        rows = self._all(
            "SELECT p.id, heading, sentences, first_token, tokens FROM passages p "
            "WHERE document = (SELECT id FROM documents WHERE name = ?) ORDER BY p.id",
            name,
        )
        first, last = (rows[0], rows[-1]) if rows else ((0, "", "", 0, 0), (-1, "", "", 0, 0))
        return Stored(
            self.folder,
            first[0],
            self._read_document(name),
            signature,
            [(heading, spans, count) for _, heading, spans, _, count in rows],
            self._vectors[first[0] : last[0] + 1],
            self._tokens[first[3] : last[3] + last[4]],
        )

    def close(self) -> None:
        self._db.close()

    def _read_document(self, name: str) -> Document:
        """Raise KeyError when no document of that name is in the index."""
        try:
            rows = self._all(f"SELECT {_DOCUMENT} FROM documents WHERE name = ?", name)  # noqa: S608
        except UnicodeEncodeError:  # no name in the index has a lone surrogate
            rows = []
        if not rows:
            raise KeyError(name)
        return self._document(name, rows[0])

    def _document(self, name: str, row: Sequence[Any]) -> Document:
        return read_row(name, row)

    def _rows(self, columns: str, ids: Sequence[int]) -> list[Any]:
        """Rows of passages, whose id comes first, in the order of ``ids``."""
        query = (
            f"SELECT {columns} FROM passages p JOIN documents d ON d.id = p.document "  # noqa: S608
            "WHERE p.id IN (SELECT value FROM json_each(?))"
        )
        found = {row[0]: row for row in self._all(query, json.dumps(list(ids)))}
        return [found[number] for number in ids]

    def _all(self, query: str, *values: object) -> list[Any]:
        try:
            with self._lock:
                return self._db.execute(query, values).fetchall()
        except sqlite3.DatabaseError:
            raise damaged(self.folder / DATABASE) from None


class StoreWriter:
    """A store being written, document by document."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.passages = 0
        self.tokens = 0
        self._db = sqlite3.connect(folder / DATABASE)
        self._db.executescript(_SCHEMA)
        self._vector_file = (folder / VECTOR_FILE).open("wb")
        self._token_file = (folder / _TOKENS).open("wb")

    def close(self) -> None:
        self._db.close()
        for file in (self._vector_file, self._token_file):
            with suppress(OSError):  # a full disk was told when it was written to
                file.close()

    def add_document(self, document: Document) -> int:
        """Store a document and return its row, for ``add_passage``."""
        return self._add_document(document, sign(document.text[document.body :]))

    def _add_document(self, document: Document, signature: bytes) -> int:
        cursor = self._db.execute(
            f"INSERT INTO documents (name, {_DOCUMENT}, signature) "  # noqa: S608
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (document.name, *row_of(document), signature),
        )
        return cursor.lastrowid or 0

    def add_passage(self, document: int, passage: Passage, coded: Coded) -> None:
        starts = [sentence.start - passage.start for sentence in passage.sentences]
        bounds = np.searchsorted(coded.starts, starts).tolist()
        sentences = [
            (sentence.start, sentence.end, int(sentence.heading), bound)
            for sentence, bound in zip(passage.sentences, bounds, strict=True)
        ]
        spans = json.dumps(sentences, separators=(",", ":"))
        rows = [(passage.heading, spans, len(coded.tokens))]
        self._append(document, rows, coded.vector[None, :], coded.tokens)

    def copy_document(self, stored: Stored, name: str) -> None:
        """Store a document that another store holds under ``name``, with all made from it."""
        row = self._add_document(_renamed(stored.document, name), stored.signature)
        self._append(row, stored.passages, stored.vectors, stored.tokens)

    def checkpoint(self) -> None:
        """Sync what was added, so that a rebuild that is stopped goes on from here."""
        for file in (self._vector_file, self._token_file):
            file.flush()
            sync(Path(file.name))
        self._db.commit()

    def _entries(self) -> Iterator[Entry]:
        """Every document as the manifest lists it, by name."""
        rows = self._db.execute(
            f"SELECT count(p.id), d.name, {_STORED} FROM documents d "  # noqa: S608
            "LEFT JOIN passages p ON p.document = d.id GROUP BY d.id ORDER BY d.name"
        )
        for passages, name, *row in rows:
            text, _, digest, *_ = row
            yield Entry(name, digest, passages, len(text), seal(name, row))

    def _append(
        self,
        document: int,
        passages: Sequence[tuple[str, str, int]],
        vectors: NDArray[np.float16],
        tokens: NDArray[np.uint8],
    ) -> None:
        for heading, sentences, count in passages:
            self._db.execute(
                "INSERT INTO passages VALUES (?, ?, ?, ?, ?, ?)",
                (self.passages, document, heading, sentences, self.tokens, count),
            )
            self.passages += 1
            self.tokens += count
        self._vector_file.write(vectors.tobytes())
        self._token_file.write(tokens.tobytes())


def _renamed(document: Document, name: str) -> Document:
    if name == document.name:
        return document
    title = document.title
    if title == Path(document.name).stem:
        title = Path(name).stem
    return replace(document, name=name, title=title)


def row_of(document: Document) -> tuple[Any, ...]:
    """A document as it is stored, its text first."""
    return (
        document.text, document.title, document.digest, document.layout, document.body,
        document.date, document.source, json.dumps(document.pages),
    )  # fmt: skip


def read_row(name: str, row: Sequence[Any]) -> Document:
    """The document that ``row_of`` made this row of."""
    text, title, digest, layout, body, date, source, pages = row
    places = tuple(json.loads(pages))
    return Document(name, text, title, digest, layout, body, date, source, places)


def seal(name: str, row: Sequence[Any]) -> str:
    """The SHA-256 of a document as it is stored, hex."""
    return hashlib.sha256(json.dumps([name, *row]).encode()).hexdigest()


def open_unfinished(folder: Path, dimensions: int) -> Store | None:
    """What a rebuild that was stopped had stored, or None where that cannot be read."""
    try:
        with sqlite3.connect(folder / DATABASE) as db:  # undoes what was not committed
            counts = db.execute("SELECT count(*), coalesce(sum(tokens), 0) FROM passages")
            passages, tokens = counts.fetchone()
        db.close()
        return Store(folder, passages, tokens, dimensions)
    except (sqlite3.Error, IndexDamaged):
        return None


def _open_database(folder: Path) -> sqlite3.Connection:
    """For reading only, never changed: SQLite need not look for changes or locks."""
    uri = f"{(folder / DATABASE).absolute().as_uri()}?mode=ro&immutable=1"
    try:
        return sqlite3.connect(uri, uri=True, check_same_thread=False)
    except sqlite3.Error:
        raise damaged(folder / DATABASE) from None


def check_spans(passage: Passage, characters: float) -> None:
    """Raise ValueError unless the sentences lie in order within a text of so many characters."""
    ends = [place for span in passage.sentences for place in (span.start, span.end)]
    if ends != sorted(ends) or ends[0] < 0 or ends[-1] > characters:
        raise ValueError


def check_tokens(tokens: Tokens) -> None:
    """Raise ValueError unless the sentences divide the tokens in order."""
    bounds = tokens.bounds.tolist()
    if bounds != sorted(bounds) or bounds[0] != 0 or bounds[-1] != len(tokens.vectors):
        raise ValueError


def read_sentences(spans: str) -> tuple[Sentence, ...]:
    return tuple(
        Sentence(start, end, bool(heading)) for start, end, heading, _ in json.loads(spans)
    )
