"""A generation on disk: write one, open one, swap the one in use.

    index/CURRENT       the name of the generation in use
    index/000007/       manifest.json · passages.db · vectors.faiss · tokens.int8 · lexical/

A generation is written aside, synced, and then named by CURRENT in one rename, so that a crash at
any instant leaves the last one in use. It is never changed afterwards.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from rag.encoder import Encoder, Encoding
from rag.errors import IndexDamaged, IndexMismatch, IndexMissing
from rag.lexical import Lexical, write_lexical
from rag.settings import Settings
from rag.types import Document, Passage, Sentence, Skipped
from rag.vectors import Vectors

FORMAT = 2
_CACHED_DOCUMENTS = 64

_SCHEMA = """
CREATE TABLE documents (
    id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, digest TEXT NOT NULL, title TEXT NOT NULL,
    layout TEXT NOT NULL, body INTEGER NOT NULL, date TEXT, source TEXT, pages TEXT NOT NULL,
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
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One document of a generation, as its manifest lists it."""

    name: str
    digest: str
    passages: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a generation was built from, and the files that it consists of."""

    format: int
    generation: str
    created: str  # ISO 8601, UTC
    model: str
    model_digest: str
    dimensions: int
    settings: dict[str, Any]
    documents: tuple[Entry, ...]
    skipped: tuple[Skipped, ...]
    passages: int
    tokens: int
    files: dict[str, tuple[int, str]]  # name → bytes, SHA-256

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Raise IndexDamaged for an unreadable manifest, IndexMismatch for another format."""
        path = folder / "manifest.json"
        try:
            values = json.loads(path.read_text("utf-8"))
            if values["format"] != FORMAT:
                raise IndexMismatch(
                    f"{folder} has index format {values['format']}, this version reads {FORMAT}: "
                    "run rag index"
                )
            values["documents"] = tuple(Entry(**entry) for entry in values["documents"])
            values["skipped"] = tuple(Skipped(**entry) for entry in values["skipped"])
            return cls(**values)
        except (OSError, ValueError, TypeError, KeyError):
            raise IndexDamaged(f"{path} cannot be read: run rag index --full") from None


class Tokens(NamedTuple):
    """The tokens of passages, special ones left out."""

    vectors: NDArray[np.int8]  # (n, dimensions), of any length: only their directions count
    bounds: NDArray[np.int64]  # (sentences + 1,), where those of each sentence begin, and n


class Generation:
    """One complete, immutable index, opened for reading; safe to share among threads."""

    def __init__(self, folder: Path) -> None:
        """Raise BadIndex when the folder does not hold a whole generation of this format."""
        self.folder = folder
        self.manifest = Manifest.read(folder)
        _check_sizes(folder, self.manifest)
        self.settings = Settings.from_dict(self.manifest.settings, str(folder / "manifest.json"))
        self.vectors = Vectors.read(folder / "vectors.faiss")
        self.lexical = Lexical(folder / "lexical")
        self._lock = threading.Lock()
        self._db = sqlite3.connect(
            f"{(folder / 'passages.db').absolute().as_uri()}?mode=ro&immutable=1",
            uri=True,
            check_same_thread=False,
        )
        shape = (self.manifest.tokens, self.manifest.dimensions)
        self._tokens = _map(folder / "tokens.int8", np.int8, shape)
        self.document = lru_cache(_CACHED_DOCUMENTS)(self._read_document)

    def __len__(self) -> int:
        return self.manifest.passages

    def check_model(self, encoder: Encoder) -> None:
        """Raise IndexMismatch when the encoder's weights are not those that made this index."""
        if encoder.digest != self.manifest.model_digest:
            raise IndexMismatch(
                f"{self.folder} was built by the model {self.manifest.model} with weights "
                f"{self.manifest.model_digest[:12]}, these are {encoder.name} with "
                f"{encoder.digest[:12]}: run rag index"
            )

    @property
    def names(self) -> list[str]:
        return [entry.name for entry in self.manifest.documents]

    def passage(self, number: int) -> Passage:
        """Return passage ``number``, from 0."""
        return self.passages([number])[0]

    def passages(self, ids: Sequence[int]) -> list[Passage]:
        """Return the passages with these ids, in this order; at the cost of one query."""
        rows = self._rows("SELECT p.id, name, heading, sentences", ids)
        return [Passage(name, _sentences(spans), heading) for _, name, heading, spans in rows]

    def passage_ids(self, names: Sequence[str]) -> list[int]:
        """Return the ids of all passages of the documents named."""
        marks = ",".join("?" * len(names))
        query = (
            f"SELECT p.id FROM passages p JOIN documents d ON d.id = p.document "  # noqa: S608
            f"WHERE d.name IN ({marks}) ORDER BY p.id"
        )
        return [row[0] for row in self._all(query, *names)]

    def tokens(self, ids: Sequence[int]) -> Tokens:
        """Return the tokens of these passages, one passage after the other."""
        found = self._rows("SELECT p.id, sentences, first_token, tokens", ids)
        spans = [slice(first, first + count) for *_, first, count in found]
        before = list(accumulate((count for *_, count in found), initial=0))
        bounds = [
            offset + first
            for offset, (_, sentences, *_) in zip(before, found, strict=False)
            for *_, first in json.loads(sentences)
        ]
        rows = np.concatenate([self._tokens[:0], *(self._tokens[span] for span in spans)])
        return Tokens(rows, np.array([*bounds, before[-1]]))

    def stored(self, number: int) -> tuple[str, str, NDArray[np.int8]]:
        """Return a passage as it lies on disk: heading, sentences, token vectors."""
        columns = "SELECT p.id, heading, sentences, first_token, tokens"
        [(_, heading, sentences, first, count)] = self._rows(columns, [number])
        span = slice(first, first + count)
        return heading, sentences, self._tokens[span]

    def _read_document(self, name: str) -> Document:
        """Raise KeyError when no document of that name is in the index."""
        rows = self._all(
            "SELECT text, title, digest, layout, body, date, source, pages FROM documents "
            "WHERE name = ?",
            name,
        )
        if not rows:
            raise KeyError(name)
        text, title, digest, layout, body, date, source, pages = rows[0]
        places = tuple(json.loads(pages))
        return Document(name, text, title, digest, layout, body, date, source, places)

    def _rows(self, select: str, ids: Sequence[int]) -> list[Any]:
        """Rows of passages, whose id comes first, in the order of ``ids``."""
        query = (
            f"{select} FROM passages p JOIN documents d ON d.id = p.document "  # noqa: S608
            "WHERE p.id IN (SELECT value FROM json_each(?))"
        )
        found = {row[0]: row for row in self._all(query, json.dumps(ids))}
        return [found[number] for number in ids]

    def _all(self, query: str, *values: object) -> list[Any]:
        try:
            with self._lock:
                return self._db.execute(query, values).fetchall()
        except sqlite3.DatabaseError:
            raise _damaged(self.folder / "passages.db") from None


class GenerationWriter:
    """A generation being written, document by document; see ``write_generation``."""

    def __init__(self, folder: Path, encoder: Encoder, settings: Settings) -> None:
        self._folder = folder
        self._encoder = encoder
        self._settings = settings
        self.skipped: list[Skipped] = []
        self._vectors = Vectors.empty(encoder.dimensions)
        self._tokens = 0
        self._db = sqlite3.connect(folder / "passages.db")
        self._db.executescript(_SCHEMA)
        self._token_file = (folder / "tokens.int8").open("wb")

    def close(self) -> None:
        self._db.close()
        self._token_file.close()

    @property
    def is_empty(self) -> bool:
        return len(self._vectors) == 0

    def skip(self, skipped: Skipped) -> None:
        self.skipped.append(skipped)

    def add_document(self, document: Document) -> int:
        """Store a document and return its row, for ``add_passage``."""
        row = (
            document.name, document.digest, document.title, document.layout, document.body,
            document.date, document.source, json.dumps(document.pages), document.text,
        )  # fmt: skip
        return self._insert(
            "documents (name, digest, title, layout, body, date, source, pages, text)", row
        )

    def add_passage(self, document: int, passage: Passage, encoding: Encoding) -> None:
        starts = [sentence.start - passage.start for sentence in passage.sentences]
        bounds = np.searchsorted(encoding.starts, starts).tolist()
        sentences = [
            (sentence.start, sentence.end, int(sentence.heading), bound)
            for sentence, bound in zip(passage.sentences, bounds, strict=True)
        ]
        self._append(
            (document, passage.heading, json.dumps(sentences)),
            encoding.vector[None, :],
            _to_int8(encoding.tokens),
        )

    def copy_document(self, last: Generation, old_name: str, document: Document) -> None:
        """Store a document whose passages the last generation holds under ``old_name``."""
        row = self.add_document(document)
        for number in last.passage_ids([old_name]):
            heading, sentences, tokens = last.stored(number)
            vector = last.vectors.rows([number])
            self._append((row, heading, sentences), vector, tokens)

    def _append(
        self,
        row: tuple[int, str, str],
        vector: NDArray[np.float32],
        tokens: NDArray[np.int8],
    ) -> None:
        columns = "passages (id, document, heading, sentences, first_token, tokens)"
        self._insert(columns, (len(self._vectors), *row, self._tokens, len(tokens)))
        self._vectors.add(vector)
        self._token_file.write(tokens.tobytes())
        self._tokens += len(tokens)

    def _insert(self, columns: str, values: tuple[object, ...]) -> int:
        marks = ",".join("?" * len(values))
        cursor = self._db.execute(f"INSERT INTO {columns} VALUES ({marks})", values)  # noqa: S608
        return cursor.lastrowid or 0

    def finish(self) -> None:
        """Complete every file and sync it; the manifest comes last."""
        self._db.commit()
        write_lexical(self._folder / "lexical", self._searchable())
        self._vectors.write(self._folder / "vectors.faiss")
        entries = tuple(Entry(*row) for row in self._db.execute(_ENTRIES))
        self.close()
        manifest = Manifest(
            format=FORMAT,
            generation=self._folder.name,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            model=self._encoder.name,
            model_digest=self._encoder.digest,
            dimensions=self._encoder.dimensions,
            settings=self._settings.to_dict(),
            documents=entries,
            skipped=tuple(self.skipped),
            passages=len(self._vectors),
            tokens=self._tokens,
            files=_sync_files(self._folder),
        )
        path = self._folder / "manifest.json"
        path.write_text(json.dumps(asdict(manifest), indent=1, ensure_ascii=False), "utf-8")
        _sync(path)
        _sync(self._folder)

    def _searchable(self) -> Iterator[tuple[str, str]]:
        """The words by which each passage is found, with its document's name, in order of id."""
        for (row,) in self._db.execute("SELECT id FROM documents ORDER BY id"):
            name, title, text = self._db.execute(
                "SELECT name, title, text FROM documents WHERE id = ?", (row,)
            ).fetchone()
            document = Document(name, text, title, digest="")
            for heading, spans in self._db.execute(
                "SELECT heading, sentences FROM passages WHERE document = ? ORDER BY id", (row,)
            ):
                sentences = json.loads(spans)
                words = text[sentences[0][0] : sentences[-1][1]]
                yield name, f"{document.context(heading)}\n{words}"


_ENTRIES = """
SELECT d.name, d.digest, count(p.id) FROM documents d LEFT JOIN passages p ON p.document = d.id
GROUP BY d.id ORDER BY d.name
"""


def current_folder(index: Path) -> Path:
    """The folder of the generation in use. Raise IndexMissing where there is none."""
    try:
        name = (index / "CURRENT").read_text("utf-8").strip()
    except FileNotFoundError:
        raise IndexMissing(f"there is no index in {index}: run rag index") from None
    except (OSError, UnicodeDecodeError):
        raise IndexDamaged(f"{index / 'CURRENT'} cannot be read: run rag index --full") from None
    if not name.isdecimal():  # never trusted as a path
        raise IndexDamaged(f"{index / 'CURRENT'} names no generation: run rag index --full")
    return index / name


def open_generation(index: Path) -> Generation:
    """Open the generation in use. Raise BadIndex with the cure where that cannot be done."""
    return Generation(current_folder(index))


@contextmanager
def write_generation(
    index: Path, encoder: Encoder, settings: Settings
) -> Iterator[GenerationWriter]:
    """Write a new generation beside the last and put it in use when the block ends well."""
    index.mkdir(parents=True, exist_ok=True)
    folder = index / _next_name(index)
    folder.mkdir()
    writer = GenerationWriter(folder, encoder, settings)
    try:
        yield writer
        writer.finish()
        _put_in_use(folder)
    except BaseException:
        writer.close()
        shutil.rmtree(folder, ignore_errors=True)
        raise
    _remove_old(index, keep=2)


def _generations(index: Path) -> list[Path]:
    return sorted(path for path in index.iterdir() if path.name.isdecimal())


def _next_name(index: Path) -> str:
    taken = _generations(index)
    return f"{int(taken[-1].name) + 1 if taken else 1:06}"


def _put_in_use(folder: Path) -> None:
    written = folder.parent / "CURRENT.new"
    written.write_text(f"{folder.name}\n", "utf-8")
    _sync(written)
    written.replace(folder.parent / "CURRENT")
    _sync(folder.parent)


def _remove_old(index: Path, keep: int) -> None:
    for folder in _generations(index)[:-keep]:
        shutil.rmtree(folder, ignore_errors=True)


def _sync_files(folder: Path) -> dict[str, tuple[int, str]]:
    """Sync every file below the folder; return its size and SHA-256 by its relative name."""
    files = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        _sync(path)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        files[path.relative_to(folder).as_posix()] = (path.stat().st_size, digest)
    return files


def _sync(path: Path) -> None:
    if path.is_dir() and os.name == "nt":
        return  # Windows cannot open a folder
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_sizes(folder: Path, manifest: Manifest) -> None:
    for name, (size, _) in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise IndexDamaged(f"{path} is missing: run rag index --full")
        if path.stat().st_size != size:
            raise _damaged(path)


def _damaged(path: Path) -> IndexDamaged:
    return IndexDamaged(f"{path} is damaged: run rag index --full")


def _sentences(spans: str) -> tuple[Sentence, ...]:
    return tuple(
        Sentence(start, end, bool(heading)) for start, end, heading, _ in json.loads(spans)
    )


def _to_int8(rows: NDArray[np.float32]) -> NDArray[np.int8]:
    """Scale each row to its own maximum, in 127ths: a cosine needs no more."""
    most = np.abs(rows).max(axis=1, keepdims=True, initial=np.finfo(np.float32).tiny)
    scaled: NDArray[np.int8] = np.rint(rows * (127 / most)).astype(np.int8)
    return scaled


def _map(path: Path, dtype: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """Map a file of numbers; an empty one, which cannot be mapped, is an empty array."""
    if shape[0] == 0:
        return np.zeros(shape, dtype)
    return np.memmap(path, dtype, mode="r", shape=shape)
