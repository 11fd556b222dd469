"""The connection to Milvus: where it is, what it is asked, and what its errors mean."""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.errors import BadIndex, ExtraMissing, IndexAway, IndexMissing

if TYPE_CHECKING:
    from pymilvus import MilvusClient

Row = dict[str, Any]

_ADDRESS = re.compile(r"milvus(?P<tls>\+tls)?://(?P<server>[^/@?#]+)/(?P<name>[A-Za-z_]\w{0,99})")
_LITE_NAME = "library"  # a file holds one index
_SECONDS = 10.0  # that a call may take, tries again included
_LONG = 600.0  # the same, of a call that builds an index
_BATCH = 1_000  # rows of a query
_DEPTH = 400  # of a search through a graph, at least
_NOT_FOUND, _NOT_LOADED = {100, 1600}, 101  # codes of Milvus: collection, alias
_PAUSES = (0.2, 1.2)  # seconds before a call is made again whose server did not answer
_PATIENCE = (1.0, 5.0, 15.0, 30.0)  # the same, of a build's
_CHANNEL = {  # in milliseconds: a server that is back is soon seen, and none is asked too often
    "grpc.max_reconnect_backoff_ms": 1_000,
    "grpc.keepalive_time_ms": 300_000,
}


@dataclass(frozen=True, slots=True)
class Address:
    """Where an index is: ``milvus://host:port/name``, with ``milvus+tls`` for TLS, or a file."""

    uri: str  # as pymilvus has it
    name: str  # of the alias
    shown: str

    @classmethod
    def parse(cls, text: str) -> Address:
        """Raise BadIndex for what is none; credentials are never repeated."""
        if not text.startswith("milvus"):
            path = Path(text)
            return cls(str(path.absolute()), _LITE_NAME, str(path))
        if "@" in text:
            raise BadIndex(
                "an address holds no user or password: set MILVUS_TOKEN to user:password"
            )
        found = _ADDRESS.fullmatch(text)
        if not found:
            raise BadIndex(
                f"{text} is no address of an index: it is milvus://HOST:PORT/NAME, NAME of "
                "letters, digits and _"
            )
        scheme = "https" if found["tls"] else "http"
        return cls(f"{scheme}://{found['server']}", found["name"], text)


class Client:
    """Milvus as this project asks it; every error is a BadIndex with the cure.

    MILVUS_TOKEN holds the user and password or the key, MILVUS_DATABASE the database, and
    MILVUS_CA the certificates that a server with TLS is trusted by. Connects when first used.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._connecting = threading.Lock()

    @cached_property
    def _milvus(self) -> MilvusClient:
        milvus = _import()
        options = {"server_pem_path": os.environ["MILVUS_CA"]} if "MILVUS_CA" in os.environ else {}
        if not self.address.uri.startswith("http"):
            Path(self.address.uri).parent.mkdir(parents=True, exist_ok=True)
        return milvus.MilvusClient(
            uri=self.address.uri,
            token=os.environ.get("MILVUS_TOKEN", ""),
            db_name=os.environ.get("MILVUS_DATABASE", ""),
            timeout=_SECONDS,
            grpc_options=_CHANNEL,
            **options,
        )

    def resolve(self) -> str:
        """The collection in use. Raises IndexMissing where there is none."""
        found = self._call("describe_alias", self.address.name)
        return str(found["collection_name"])

    def collections(self) -> list[str]:
        """All that belong to this index, by name."""
        ours = re.compile(rf"{self.address.name}_[0-9a-f]{{16}}(_[a-z]+)?")
        return sorted(name for name in self._call("list_collections") if ours.fullmatch(name))

    def use(self, collection: str) -> None:
        """Move the alias."""
        try:
            self.resolve()
        except IndexMissing:
            self._call("create_alias", collection, self.address.name)
        else:
            self._call("alter_alias", collection, self.address.name)

    def create(self, collection: str, schema: Any, indexes: Any) -> None:
        """Make a collection that is read only once it is whole, so that reading need not wait."""
        self._call(
            "create_collection",
            collection,
            schema=schema,
            index_params=indexes,
            consistency_level="Eventually",
            timeout=_LONG,
        )

    def drop(self, collection: str) -> None:
        self._call("drop_collection", collection)

    def insert(self, collection: str, rows: Sequence[Row]) -> None:
        """Add rows, or put them in the place of those with the same key."""
        self._call("upsert", collection, list(rows), timeout=_LONG, pauses=_PATIENCE)

    def load(self, collection: str) -> None:
        """Have a collection in memory; flushed first, for only then are its indexes complete."""
        self._call("flush", collection, timeout=_LONG, pauses=_PATIENCE)
        self._call("load_collection", collection, timeout=_LONG, pauses=_PATIENCE)

    def count(self, collection: str) -> int:
        found = self._ask(
            "query", collection, output_fields=["count(*)"], consistency_level="Strong"
        )
        return int(found[0]["count(*)"])

    def get(self, collection: str, keys: Sequence[int], fields: Sequence[str]) -> dict[int, Row]:
        """The rows with these keys that there are."""
        rows: dict[int, Row] = {}
        for start in range(0, len(keys), _BATCH):
            batch = list(keys[start : start + _BATCH])
            found = self._ask("get", collection, ids=batch, output_fields=["id", *fields])
            rows.update((int(row["id"]), row) for row in found)
        return rows

    def query(
        self, collection: str, condition: str, fields: Sequence[str], limit: int
    ) -> list[Row]:
        return list(
            self._ask(
                "query", collection, filter=condition, output_fields=list(fields), limit=limit
            )
        )

    def walk(self, collection: str, condition: str, fields: Sequence[str]) -> Iterator[Row]:
        """All rows that fulfil a condition."""
        pages = self._ask(
            "query_iterator",
            collection,
            filter=condition,
            output_fields=list(fields),
            batch_size=_BATCH,
        )
        while rows := self._tell(pages.next):
            yield from rows
        pages.close()

    def search(
        self, collection: str, field: str, vector: object, k: int, condition: str | None
    ) -> list[tuple[int, float]]:
        """Up to ``k`` (id, inner product), best first."""
        shape = {"ef": max(_DEPTH, 2 * k)} if field == "vector" else {}
        [found] = self._ask(
            "search",
            collection,
            data=[vector],
            anns_field=field,
            limit=k,
            filter=condition or "",
            output_fields=["id"],
            search_params={"metric_type": "IP", "params": shape},
        )
        return [(int(hit["id"]), float(hit["distance"])) for hit in found]

    def _ask(self, method: str, collection: str, **options: Any) -> Any:
        """Call; a collection that a server has not loaded since it was started is loaded first."""
        try:
            return self._call(method, collection, **options)
        except _NotLoaded:
            self._call("load_collection", collection, timeout=_LONG)
            return self._call(method, collection, **options)

    def _call(self, method: str, *values: Any, **options: Any) -> Any:
        """Call, and again where the server did not answer but refused at once."""
        options = {"timeout": _SECONDS, **options}
        pauses = options.pop("pauses", _PAUSES)
        last = time.monotonic() + options["timeout"]

        def ask() -> Any:
            return getattr(self._connected(), method)(*values, **options)

        for pause in pauses:
            try:
                return self._tell(ask)
            except IndexAway:
                if time.monotonic() > last:
                    raise
            time.sleep(pause)
        return self._tell(ask)

    def _connected(self) -> MilvusClient:
        with self._connecting:
            return self._milvus

    def _tell(self, ask: Callable[[], Any]) -> Any:
        milvus = _import()
        import grpc

        try:
            return ask()
        except milvus.MilvusException as error:
            raise self._meaning(error.code, error.message) from None
        except (grpc.RpcError, ConnectionError, TimeoutError) as error:
            raise self._meaning(0, str(error)) from None

    def _meaning(self, code: int, message: str) -> BadIndex:
        where, reason = self.address.shown, " ".join(message.split())[:200]
        if code == _NOT_LOADED:
            return _NotLoaded(f"{where} is not loaded")
        if code in _NOT_FOUND:
            return IndexMissing(f"there is no index in {where}: run rag index --index {where}")
        if _AWAY.search(reason):
            return IndexAway(f"the server of {where} does not answer: see whether it runs")
        if _STRANGE.search(reason):
            return BadIndex(f"{where} does not know who asks: see MILVUS_TOKEN")
        if "Open local milvus failed" in reason:
            return BadIndex(
                f"{where} cannot be opened: is another program using it, or is it something else?"
            )
        return BadIndex(f"{where} cannot do what it was asked: {reason}")


class _NotLoaded(BadIndex):
    pass


_AWAY = re.compile(
    r"UNAVAILABLE|DEADLINE_EXCEEDED|[Ff]ail(?:ed)? (?:connecting|to connect)|[Rr]etry|[Tt]imeout"
)
_STRANGE = re.compile(r"UNAUTHENTICATED|auth check failure")


def _import() -> Any:
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # what it logs is told as errors
    try:
        import pymilvus
    except ImportError:
        raise ExtraMissing(
            "an index in Milvus needs the package pymilvus: pip install '.[milvus]'"
        ) from None
    for name in ("pymilvus", "milvus_lite", "grpc"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    return pymilvus
