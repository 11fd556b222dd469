"""Where an index is kept: a folder of this machine, or a collection in Milvus."""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rag.encoder import Encoder
from rag.generation import check_generation, current_folder, open_generation
from rag.index import Index
from rag.manifest import Manifest
from rag.settings import Settings

if TYPE_CHECKING:
    from rag.build import Progress, Report
    from rag.workers import Workers

_REMOTE = re.compile(r"milvus(\+tls)?://|.*\.db/?$")


class Home(Protocol):
    """Each method may raise BadIndex with the cure."""

    @property
    def folder(self) -> Path:
        """Where it is built on this machine, and what readers say of answers is kept."""

    def open(self) -> Index:
        """The generation in use."""

    def stamp(self) -> Hashable:
        """What changes whenever another generation is put in use."""

    def fetch(self, encoder: Encoder, settings: Settings) -> None:
        """Have the generation in use in the folder, so that what did not change is not encoded."""

    def publish(self, progress: Progress) -> None:
        """Put the generation that was built in the folder in use."""

    def check(self) -> str:
        """Read all of the generation in use; say what was found to be as it was written."""

    def roll_back(self) -> Manifest:
        """Put the generation before the one in use in its place."""


def find_home(index: Path | str) -> Home:
    """The home of an index: ``milvus://host:port/name``, a file of Milvus Lite (.db), a folder.

    Raises BadIndex for an address that cannot be one.
    """
    if not _REMOTE.match(str(index)):
        return Folder(Path(index))
    from rag.milvus import MilvusHome

    return MilvusHome(str(index))


def rebuild(
    home: Home,
    corpus: Path,
    encoder: Encoder,
    settings: Settings,
    *,
    full: bool = False,
    progress: Progress = lambda _done, _name: None,
    workers: Workers | None = None,
) -> Report:
    """Bring the index up to date with the corpus: ``build_index`` in its folder, then published."""
    from rag.build import build_index  # with all readers of documents, which asking needs not

    if not full:
        home.fetch(encoder, settings)
    report = build_index(
        corpus, home.folder, encoder, settings, full=full, progress=progress, workers=workers
    )
    home.publish(progress)
    return report


class Folder:
    """The home of an index on this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self) -> Index:
        return open_generation(self.folder)

    def stamp(self) -> Hashable:
        """Another one even if the folder was deleted and built anew."""
        current = current_folder(self.folder)
        return current.name, (self.folder / "CURRENT").stat().st_mtime_ns

    def fetch(self, encoder: Encoder, settings: Settings) -> None:
        """It is there."""

    def publish(self, progress: Progress) -> None:
        """It is in use as soon as it is built."""

    def check(self) -> str:
        manifest = check_generation(self.folder)
        size = sum(size for size, _ in manifest.files.values()) / 1e6
        return (
            f"Generation {manifest.generation}: {len(manifest.files):,} files, {size:,.1f} MB, "
            "each as it was written."
        )

    def roll_back(self) -> Manifest:
        from rag.build import return_to_last

        return return_to_last(self.folder)
