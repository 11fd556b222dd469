"""Where an index in Milvus is kept, and the folder in which it is built."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import suppress
from hashlib import sha256

from rag.build import Progress, return_to_last
from rag.cache import cache_folder
from rag.encoder import Encoder
from rag.errors import BadIndex, IndexMissing
from rag.generation import Generation, open_generation, write_generation
from rag.manifest import Manifest
from rag.milvus.client import Address, Client
from rag.milvus.layout import parts
from rag.milvus.publish import collection_name, publish
from rag.milvus.reader import MilvusIndex
from rag.settings import Settings

_FETCHED = "fetched"  # the generation of the folder that was copied back, and its collection


class MilvusHome:
    """Implements ``rag.home.Home``."""

    def __init__(self, address: str) -> None:
        """Raise BadIndex for an address that cannot be one."""
        self._client = Client(Address.parse(address))
        place = self._client.address
        digest = sha256(f"{place.uri}/{place.name}".encode()).hexdigest()[:16]
        self.folder = cache_folder("milvus") / f"{place.name}-{digest}"

    def open(self) -> MilvusIndex:
        return MilvusIndex(self._client, self._client.resolve())

    def stamp(self) -> Hashable:
        return self._client.resolve()

    def fetch(self, encoder: Encoder, settings: Settings) -> None:
        """Copy it back, unless what was built here is newer or it was made by other settings."""
        try:
            there = self.open()
        except IndexMissing:
            return
        made_by = (there.head.model_digest, there.settings.shape())
        if made_by != (encoder.digest, settings.shape()):
            return
        if there.head.created <= self._built_at():
            return
        with write_generation(self.folder, encoder, settings) as new:
            for name in there.names:
                new.copy_document(there.stored(name), name)
            new.skipped += there.head.skipped
        fetched = open_generation(self.folder).name
        (self.folder / _FETCHED).write_text(f"{fetched} {there.name}", "utf-8")

    def publish(self, progress: Progress) -> None:
        built = open_generation(self.folder)
        name = self._collection_of(built)
        before = self._in_use()
        if before != name:
            publish(built, self._client, name, progress)
            self._client.use(name)
            self._drop_all_but({name, before})

    def check(self) -> str:
        index = self.open()
        for name in index.names:
            index.document(name)
        found = self._client.count(index.name)
        if found != len(index):
            raise BadIndex(f"{index.name} has {found:,} passages, not {len(index):,}")
        return (
            f"Collection {index.name}: {len(index.names):,} documents, each as it was written, and "
            f"{found:,} passages."
        )

    def roll_back(self) -> Manifest:
        current = self._client.resolve()
        before = [index for index in self._whole() if index.name != current]
        if not before:
            raise IndexMissing(
                f"{self._client.address.shown} holds no generation before {current}: run rag index"
            )
        with suppress(BadIndex):  # so that the next build begins from what is in use
            return_to_last(self.folder)
        self._client.use(before[0].name)
        return before[0].manifest

    def _in_use(self) -> str:
        try:
            return self._client.resolve()
        except IndexMissing:
            return ""

    def _whole(self) -> Iterator[MilvusIndex]:
        """The generations that were copied to their end."""
        names = set(self._client.collections())
        for name in names:
            if names.issuperset(parts(name)):
                with suppress(BadIndex):
                    index = MilvusIndex(self._client, name)
                    if self._client.count(name) == len(index):
                        yield index

    def _drop_all_but(self, kept: set[str]) -> None:
        whole = {part for name in kept for part in (name, *parts(name))}
        for name in self._client.collections():
            if name not in whole:
                self._client.drop(name)

    def _built_at(self) -> str:
        """When the generation in the folder was, "" where there is none."""
        try:
            return open_generation(self.folder).manifest.created
        except BadIndex:
            return ""

    def _collection_of(self, built: Generation) -> str:
        """Where it is to be: where it came from, if it was fetched."""
        with suppress(OSError, ValueError):
            fetched, collection = (self.folder / _FETCHED).read_text("utf-8").split()
            if fetched == built.name:
                return collection
        return collection_name(self._client.address.name, built.manifest)
