"""The corpus as the page changes it: files added, replaced, removed; the index follows.

A name from the browser is never trusted as a path, and no file is seen half written.
"""

from __future__ import annotations

import logging
import os
import re
import tempfile
import threading
import unicodedata
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from rag.documents import KINDS, find_documents
from rag.encoder import Encoder
from rag.errors import DocumentError, RagError
from rag.home import find_home, rebuild
from rag.settings import Settings

_log = logging.getLogger(__name__)

_UNSAFE = re.compile(r'[<>:"/\\|?*%#&]')
_READABLE = 0o644  # as other files of a corpus, not as a temporary one
_LONGEST_NAME = 120  # bytes of UTF-8, without the ending; a file system takes 255
_EDGES = " .~$-#"  # not at either end of a name
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)  # of Windows


@dataclass(frozen=True, slots=True)
class Rebuild:
    """How far the rebuild at hand is, or how the last one ended."""

    running: bool = False
    done: float = 0.0  # share of the work, 0..1
    document: str = ""  # the one at hand
    problem: str = ""  # why the last one failed
    generation: str = ""  # what the last one put in use


class Shelf:
    """Changes the files of a corpus, and brings the index up to date in the background."""

    def __init__(
        self, corpus: Path, index: Path | str, encoder: Encoder, settings: Settings, *, open_: bool
    ) -> None:
        self.corpus = corpus
        self.is_open = open_  # whether files may be changed
        self.state = Rebuild()
        self._home = find_home(index)
        self._encoder = encoder
        self._settings = settings
        self._lock = threading.Lock()
        self._wanted: list[bool] = []  # rebuilds asked for; True for a full one

    async def add(self, name: str, chunks: AsyncIterator[bytes], *, replace: bool) -> str:
        """Store a file under a safe form of its name, and return that.

        Raises DocumentError for a kind that has no reader, for a file over the limit, and for a
        name that is taken unless it is to be replaced.
        """
        self.corpus.mkdir(parents=True, exist_ok=True)
        safe = name if replace and name in find_documents(self.corpus) else safe_name(name)
        target = self.corpus / safe
        if target.exists() and not replace:
            raise DocumentError(f"{safe} is in the corpus already: replace it, or rename the file")
        descriptor, aside = tempfile.mkstemp(prefix=".adding-", dir=self.corpus)
        try:
            with os.fdopen(descriptor, "wb") as file:
                await self._copy(chunks, file)
            Path(aside).chmod(_READABLE)
            Path(aside).replace(target)
        finally:
            Path(aside).unlink(missing_ok=True)
        return safe

    async def _copy(self, chunks: AsyncIterator[bytes], file: IO[bytes]) -> None:
        limit, size = self._settings.max_file_mb << 20, 0
        async for chunk in chunks:
            size += len(chunk)
            if size > limit:
                raise DocumentError(f"it is over the limit of {limit >> 20} MB (max_file_mb)")
            file.write(chunk)

    def remove(self, name: str) -> None:
        """Delete a file of the corpus. Raises DocumentError where there is none of that name."""
        if name not in find_documents(self.corpus):
            raise DocumentError(f"no file called {name} is in the corpus")
        (self.corpus / name).unlink(missing_ok=True)

    def rebuild(self, *, full: bool = False) -> None:
        """Begin to bring the index up to date, or do so once more after the rebuild at hand."""
        with self._lock:
            self._wanted.append(full)
            if self.state.running:
                return
            self.state = Rebuild(running=True)
        threading.Thread(target=self._work, name="rebuild the index", daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._lock:
                full, self._wanted = any(self._wanted), []
            ended = self._build(full=full)
            with self._lock:
                if not self._wanted:
                    self.state = ended
                    return

    def _build(self, *, full: bool) -> Rebuild:
        try:
            report = rebuild(
                self._home,
                self.corpus,
                self._encoder,
                self._settings,
                full=full,
                progress=self._note,
            )
        except RagError as error:
            return Rebuild(problem=str(error))
        except Exception:
            _log.exception("the index could not be rebuilt")
            return Rebuild(problem="something went wrong: the server's log says what")
        return Rebuild(done=1.0, generation=report.generation)

    def _note(self, done: float, name: str) -> None:
        self.state = Rebuild(running=True, done=done, document=name)


def safe_name(name: str) -> str:
    """A name for a file of the corpus itself: no folder, nothing hidden, nothing that steers.

    Raises DocumentError for a kind that has no reader, and where nothing is left of the name.
    """
    last = unicodedata.normalize("NFC", re.split(r"[/\\]", name)[-1])
    shown = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in last)
    path = PurePosixPath(_UNSAFE.sub("-", " ".join(shown.split())))
    suffix = path.suffix.lower()
    if suffix not in KINDS:
        raise DocumentError(f"{last!r} cannot be read: {', '.join(KINDS)} files can")
    stem = path.stem.strip(_EDGES).encode()[:_LONGEST_NAME].decode(errors="ignore").rstrip(_EDGES)
    if not stem:
        raise DocumentError(f"{last!r} is no name for a document")
    return f"{'_' if _RESERVED.fullmatch(stem) else ''}{stem}{suffix}"
