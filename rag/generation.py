"""A generation on disk: write one, open one, swap the one in use.

    index/CURRENT       the name of the generation in use
    index/000007/       manifest.json · passages.db · vectors.f16 · tokens.2bit · lexical/
                        vectors.hnsw where there are many passages

A generation is written aside, synced, and then named by CURRENT in one rename, so that a crash at
any instant leaves the last one in use. It is never changed afterwards. A folder without a manifest
is what a rebuild had written when it was stopped; the next one goes on from it.
"""

from __future__ import annotations

import errno
import json
import shutil
import sqlite3
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rag.duplicates import group_alike
from rag.encoder import Encoder
from rag.errors import BadIndex, IndexDamaged, IndexMissing, QuestionError
from rag.lexical import Field, Lexical, Word, Words, write_lexical
from rag.manifest import FORMAT, MANIFEST, Manifest, damaged, sync, sync_files
from rag.settings import Settings
from rag.store import (
    DATABASE,
    Store,
    Stored,
    StoreWriter,
    Tokens,
    check_spans,
    check_tokens,
    open_unfinished,
    seal,
)
from rag.types import EVERYTHING, Document, Passage, Scope, Skipped
from rag.vectors import VECTOR_FILE, Vectors, map_rows, write_graph

_LEXICAL = "lexical"  # a folder
_CHECKED = 4 << 20  # bytes: files up to this are read and compared whenever an index is opened
_ORIGIN = "origin.json"  # of what a rebuild makes: only a rebuild of the same may go on from it


class Selection(NamedTuple):
    """The documents that a search is kept to, and their passages."""

    names: list[str]
    ids: list[int]


class Generation(Store):
    """One complete, immutable index on disk, opened for reading; implements ``rag.index.Index``."""

    def __init__(self, folder: Path) -> None:
        """Raise BadIndex when the folder does not hold a whole generation of this format."""
        self.manifest = Manifest.read(folder)
        self.manifest.check_contents(folder, largest=_CHECKED)
        self.name = folder.name
        self._entries = {entry.name: entry for entry in self.manifest.documents}
        self.settings = Settings.from_dict(self.manifest.settings, str(folder / MANIFEST))
        passages, dimensions = self.manifest.passages, self.manifest.dimensions
        super().__init__(folder, passages, self.manifest.tokens, dimensions)
        self.vectors = Vectors.read(folder, passages, dimensions)
        self.lexical = Lexical(folder / _LEXICAL)
        if len(self.lexical) != passages:
            raise damaged(folder / _LEXICAL)

    def __len__(self) -> int:
        return self.manifest.passages

    def check_model(self, encoder: Encoder) -> None:
        self.manifest.check_model(encoder, str(self.folder))

    def select(self, scope: Scope) -> Selection | None:
        if scope == EVERYTHING:
            return None
        unknown = set(scope.documents) - self._entries.keys()
        if unknown:
            raise QuestionError(f"no document called {min(unknown)} is in the index: choose others")
        names = [
            listed.name
            for listed in self.catalogue()
            if scope.fits(listed.date) and (not scope.documents or listed.name in scope.documents)
        ]
        if not names:
            raise QuestionError("no document of these dates is in the index: choose others")
        return Selection(names, self.passage_ids(names))

    def nearest(
        self, vector: NDArray[np.float32], k: int, among: Selection | None
    ) -> list[tuple[int, float]]:
        return self.vectors.search(vector, k, among.ids if among else None)

    def matching(
        self,
        words: Sequence[Word],
        k: int,
        field: Field,
        among: Selection | None,
        carried: Mapping[str, float],
    ) -> list[tuple[int, float]]:
        return self.lexical.search(words, k, field, among.names if among else (), carried)

    def rows(self, ids: Sequence[int]) -> NDArray[np.float32]:
        return self.vectors.rows(ids)

    def texts(self, passages: Sequence[Passage]) -> list[str]:
        return [self.document(p.document).text[p.start : p.end] for p in passages]

    def passages(self, ids: Sequence[int]) -> list[Passage]:
        """As ``Store``; raise IndexDamaged where one does not lie in its document."""
        with self._intact():
            found = super().passages(ids)
            for passage in found:
                check_spans(passage, self._entries[passage.document].characters)
        return found

    def tokens(self, ids: Sequence[int]) -> Tokens:
        with self._intact():
            found = super().tokens(ids)
            check_tokens(found)
        return found

    def _document(self, name: str, row: Sequence[Any]) -> Document:
        """Never another text than the one that was stored: it is what quotes are slices of."""
        with self._intact():
            if seal(name, row) != self._entries[name].seal:
                raise ValueError
            return super()._document(name, row)

    @contextmanager
    def _intact(self) -> Iterator[None]:
        """What cannot be in a store that we wrote is damage."""
        try:
            yield
        except (ValueError, TypeError, LookupError, AttributeError):
            raise damaged(self.folder / DATABASE) from None

    @property
    def names(self) -> list[str]:
        return [entry.name for entry in self.manifest.documents]


class GenerationWriter(StoreWriter):
    """A generation being written, document by document; see ``write_generation``."""

    def __init__(
        self, folder: Path, encoder: Encoder, settings: Settings, last: Generation | None
    ) -> None:
        super().__init__(folder)
        self._encoder = encoder
        self._settings = settings
        self._last = last
        self._moves = np.full(len(last) if last else 0, -1, np.int32)  # of its passages' ids
        self._kept: set[str] = set()  # its documents that are here under the same name
        self.skipped: list[Skipped] = []
        (folder / _ORIGIN).write_text(_origin(encoder, settings), "utf-8")

    @property
    def is_empty(self) -> bool:
        return self.passages == 0

    def skip(self, skipped: Skipped) -> None:
        self.skipped.append(skipped)

    def copy_document(self, stored: Stored, name: str) -> None:
        first = self.passages
        super().copy_document(stored, name)
        of_last = self._last is not None and stored.folder == self._last.folder
        if of_last and stored.document.name == name:
            self._kept.add(name)
            self._moves[stored.first :][: self.passages - first] = range(first, self.passages)

    def finish(self) -> None:
        """Complete every file and sync it; the manifest comes last."""
        self._mark_alike()
        self.checkpoint()
        self._write_lexical()
        recall = self._write_graph()
        entries = tuple(self._entries())
        self.close()
        (self._folder / _ORIGIN).unlink()
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
            passages=self.passages,
            tokens=self.tokens,
            recall=recall,
            files=sync_files(self._folder),
        )
        manifest.write(self._folder)

    def _mark_alike(self) -> None:
        rows = self._db.execute("SELECT id, signature FROM documents ORDER BY id").fetchall()
        groups = group_alike([signature for _, signature in rows])
        sizes = Counter(groups)
        pairs = [
            (rows[group][0], row)
            for (row, _), group in zip(rows, groups, strict=True)
            if sizes[group] > 1
        ]
        self._db.executemany("UPDATE documents SET alike = ? WHERE id = ?", pairs)

    def _write_graph(self) -> float | None:
        if self.passages <= self._settings.exact_passages:
            return None
        shape = (self.passages, self._encoder.dimensions)
        return write_graph(self._folder, map_rows(self._folder / VECTOR_FILE, np.float16, shape))

    def _write_lexical(self) -> None:
        """Only the documents are read that the last generation did not have, unless most are."""
        words = self._words()
        known = self._kept if words else set()
        write_lexical(self._folder / _LEXICAL, self._searchable(known), words)

    def _words(self) -> Words | None:
        """What the last generation knew of the words; None where it is no use."""
        if self._last is None:
            return None
        try:
            self._last.manifest.check_contents(self._last.folder, below=f"{_LEXICAL}/")
        except IndexDamaged:
            return None
        gone = [name for name in self._last.names if name not in self._kept]
        return Words.read(self._last.folder / _LEXICAL, self._moves, gone)

    def _searchable(self, known: Container[str]) -> Iterator[tuple[int, str, str]]:
        """The id, document and words of each passage whose document is not among the known."""
        for row, name in self._db.execute("SELECT id, name FROM documents ORDER BY id").fetchall():
            if name in known:
                continue
            title, text = self._db.execute(
                "SELECT title, text FROM documents WHERE id = ?", (row,)
            ).fetchone()
            document = Document(name, text, title, digest="")
            for number, heading, spans in self._db.execute(
                "SELECT id, heading, sentences FROM passages WHERE document = ? ORDER BY id", (row,)
            ):
                sentences = json.loads(spans)
                start, end = sentences[0][0], sentences[-1][1]
                yield number, name, document.searchable(heading, start, end)


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
    while True:
        folder = current_folder(index)
        try:
            return Generation(folder)
        except IndexDamaged:
            if current_folder(index) == folder:
                raise  # else rebuilds have put another in use and removed this one meanwhile


def check_generation(index: Path) -> Manifest:
    """Read every file of the generation in use; raise IndexDamaged unless all are as written."""
    generation = open_generation(index)
    generation.manifest.check_contents(generation.folder)
    return generation.manifest


def roll_back(index: Path) -> Manifest:
    """Put the generation before the one in use in its place. Only one builder may do that.

    Raises IndexMissing when there is none before, IndexDamaged when it is not whole.
    """
    current = current_folder(index)
    before = [folder for folder in _generations(index) if folder.name < current.name]
    if not before:
        raise IndexMissing(f"{index} holds no generation before {current.name}: run rag index")
    manifest = Generation(before[-1]).manifest
    _put_in_use(before[-1])
    return manifest


def find_unfinished(index: Path, encoder: Encoder, settings: Settings) -> list[Store]:
    """What rebuilds with this model and these settings had stored when they were stopped."""
    wanted = _origin(encoder, settings)
    found = []
    for path in sorted(index.glob(f"*/{_ORIGIN}")):
        with suppress(OSError, UnicodeDecodeError):
            if path.read_text("utf-8") == wanted:
                found.append(open_unfinished(path.parent, encoder.dimensions))
    return [store for store in found if store is not None]


@contextmanager
def write_generation(
    index: Path, encoder: Encoder, settings: Settings, last: Generation | None = None
) -> Iterator[GenerationWriter]:
    """Write a new generation beside the others and put it in use when the block ends well.

    What it shares with the ``last`` need not be read again for BM25.

    Raises BadIndex when the disk is full. What an error leaves is removed; what a stopped process
    leaves, up to its last checkpoint, is found by ``find_unfinished``.
    """
    with _told_when_full(index):
        index.mkdir(parents=True, exist_ok=True)
        before = _last_used(index)
        folder = index / _next_name(index)
        folder.mkdir()
        try:
            writer = GenerationWriter(folder, encoder, settings, last)
            try:
                yield writer
                writer.finish()
            finally:
                writer.close()
            _put_in_use(folder)
        except Exception:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    _remove_all_but(index, {folder, before})


@contextmanager
def _told_when_full(index: Path) -> Iterator[None]:
    """Say so when it is the disk that is full: each library has its own error for that."""
    try:
        yield
    except (OSError, sqlite3.Error, RuntimeError, ValueError) as error:
        full = getattr(error, "errno", None) in {errno.ENOSPC, errno.EDQUOT}
        if full or any(words in str(error).lower() for words in _FULL):
            raise BadIndex(
                f"the disk of {index} is full: make room and run rag index again; until then the "
                "last index stays in use"
            ) from None
        raise


_FULL = ("no space left", "disk is full", "quota exceeded", "os error 28")


def _origin(encoder: Encoder, settings: Settings) -> str:
    made_by: dict[str, Any] = {"format": FORMAT, "model": encoder.digest, **settings.shape()}
    return json.dumps(made_by)


def _last_used(index: Path) -> Path | None:
    with suppress(BadIndex):
        return current_folder(index)
    return None


def _folders(index: Path) -> list[Path]:
    return sorted(path for path in index.iterdir() if path.name.isdecimal() and path.is_dir())


def _generations(index: Path) -> list[Path]:
    return [folder for folder in _folders(index) if (folder / MANIFEST).exists()]


def _next_name(index: Path) -> str:
    taken = _folders(index)
    return f"{int(taken[-1].name) + 1 if taken else 1:06}"


def _put_in_use(folder: Path) -> None:
    written = folder.parent / "CURRENT.new"
    written.write_text(f"{folder.name}\n", "utf-8")
    sync(written)
    written.replace(folder.parent / "CURRENT")
    sync(folder.parent)


def _remove_all_but(index: Path, kept: Iterable[Path | None]) -> None:
    for folder in set(_folders(index)) - set(kept):
        remove_generation(folder)
    for left in index.glob("*.old"):
        shutil.rmtree(left, ignore_errors=True)


def remove_generation(folder: Path) -> None:
    """Remove a folder as a whole, now or, where a reader's open files forbid it, another time."""
    with suppress(OSError):
        shutil.rmtree(folder.rename(folder.with_suffix(".old")), ignore_errors=True)
