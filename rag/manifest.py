"""What a generation was built from and consists of: manifest.json."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from rag.encoder import Encoder
from rag.errors import IndexDamaged, IndexMismatch
from rag.types import Skipped

FORMAT = 7  # another one, too, where files or words are read otherwise: what was read is taken over
MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Entry:
    """One document of a generation, as its manifest lists it."""

    name: str
    digest: str
    passages: int
    characters: int  # of its text
    seal: str  # SHA-256 of all that is stored of it beside its passages


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
    recall: float | None  # of the graph, against exact search; None where search is exact
    files: dict[str, tuple[int, str]]  # name → bytes, SHA-256

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Raise IndexDamaged for an unreadable manifest, IndexMismatch for another format."""
        path = folder / MANIFEST
        try:
            text = path.read_text("utf-8")
        except (OSError, ValueError):
            raise IndexDamaged(f"{path} cannot be read: run rag index --full") from None
        return cls.parse(text, str(folder))

    @classmethod
    def parse(cls, text: str, where: str) -> Self:
        """As ``read``, of what ``to_json`` gave."""
        try:
            values = json.loads(text)
            if values["format"] != FORMAT:
                raise IndexMismatch(
                    f"{where} has index format {values['format']}, this version reads {FORMAT}: "
                    "run rag index"
                )
            values["documents"] = tuple(Entry(**entry) for entry in values["documents"])
            values["skipped"] = tuple(Skipped(**entry) for entry in values["skipped"])
            return cls(**values)
        except (ValueError, TypeError, KeyError):
            raise IndexDamaged(
                f"the manifest of {where} cannot be read: run rag index --full"
            ) from None

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)

    def check_model(self, encoder: Encoder, where: str) -> None:
        """Raise IndexMismatch when the encoder's weights are not those that made this index."""
        if encoder.digest != self.model_digest:
            raise IndexMismatch(
                f"{where} was built by the model {self.model} with weights "
                f"{self.model_digest[:12]}, these are {encoder.name} with "
                f"{encoder.digest[:12]}: run rag index"
            )

    def write(self, folder: Path) -> None:
        """Write and sync: the last file of a generation."""
        path = folder / MANIFEST
        path.write_text(self.to_json(), "utf-8")
        sync(path)
        sync(folder)

    def check_sizes(self, folder: Path) -> None:
        """Raise IndexDamaged for a file that is missing, longer or shorter."""
        for name, (size, _) in self.files.items():
            path = folder / name
            if not path.is_file():
                raise IndexDamaged(f"{path} is missing: run rag index --full")
            if path.stat().st_size != size:
                raise damaged(path)

    def check_contents(self, folder: Path, largest: int | None = None, below: str = "") -> None:
        """Raise IndexDamaged for a file that is not byte for byte what was written.

        Of files over ``largest`` bytes only the size is checked, and those that are not ``below``
        a folder of this name not at all.
        """
        self.check_sizes(folder)
        for name, (size, digest) in self.files.items():
            read = name.startswith(below) and (largest is None or size <= largest)
            if read and _digest(folder / name) != digest:
                raise damaged(folder / name)


def sync_files(folder: Path) -> dict[str, tuple[int, str]]:
    """Sync every file below the folder; return its size and SHA-256 by its relative name."""
    files = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        sync(path)
        name = path.relative_to(folder).as_posix()
        files[name] = (path.stat().st_size, _digest(path))
    return files


def sync(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk."""
    if path.is_dir() and os.name == "nt":
        return  # Windows cannot open a folder
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def damaged(path: Path) -> IndexDamaged:
    return IndexDamaged(f"{path} is damaged: run rag index --full")


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        raise damaged(path) from None
