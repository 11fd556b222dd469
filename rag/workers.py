"""Documents shared out among Ray actors, on this machine or a cluster. The only importer of Ray.

Each actor is a worker on one core that keeps the model loaded and does one task at a time. When
one is lost, its documents are given to others, each by itself, and another worker is asked for,
wherever there is room. Results stay where they were made until it is their turn, which is in the
order of the tasks.

Where RAY_ADDRESS names a cluster, it is joined. Else Ray is started here, on loopback, with a
token and a folder of its own, and ended with the build.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from rag.errors import ClusterError, ExtraMissing, RagError

if TYPE_CHECKING:
    from rag.encoder import Encoder

Made = TypeVar("Made")
Job = Callable[["Encoder", Sequence[str]], Made]  # makes it of the documents with these names

_TRIES = 3  # for a document that takes its worker with it
_AHEAD = 16  # tasks a worker that may be done before it is their turn
_PATIENCE = 120  # seconds without any worker
_SHORT = "/tmp"  # noqa: S108 - a folder of its own there: the paths of its sockets must be short
_ALWAYS = {
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_NUM_REDIS_GET_RETRIES": "3",  # a cluster that is away is waited for seconds, not minutes
}
_QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": "CRITICAL"}
_NOWHERE = "http://127.0.0.1:9"
_ALONE = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # on loopback, which is what Ray does there
    # Even with statistics off Ray asks the cloud's machines what cloud this is.
    **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), _NOWHERE),
    **dict.fromkeys(("no_proxy", "NO_PROXY"), ""),
}


class Lost(NamedTuple):
    """A document that took its worker with it whenever it was tried."""

    name: str

    @property
    def reason(self) -> str:
        return f"made {_TRIES} workers crash or run out of memory: save it anew, or split it"


class Workers:
    """So many workers, or as many as there are cores where ``count`` is 0."""

    def __init__(self, count: int) -> None:
        """Raise ExtraMissing where Ray is not installed."""
        if find_spec("ray") is None:
            raise ExtraMissing("--workers needs the package ray: pip install '.[ray]'")
        self._count = count

    def run(
        self, job: Job[Made], tasks: Iterable[Sequence[str]], encoder: Encoder, sample: Path
    ) -> Iterator[Made | Lost]:
        """Yield what is made of each task's documents, in order; Lost for one that cannot be made.

        ``sample`` is a file that every worker must see. Raises ClusterError where no worker can be
        had, or where one has another model or version than the builder.
        """
        wanted = _Traits.here(encoder, sample)
        with _ray(self._count):
            crew: _Crew[Made] = _Crew(_checked(self._count), encoder, sample, wanted)
            yield from crew.run(job, tasks)


class _Traits(NamedTuple):
    """What workers and builder must share."""

    model: str
    version: str  # of our code
    sample: bool  # whether the sample is seen

    @classmethod
    def here(cls, encoder: Encoder, sample: Path) -> _Traits:
        encoder.count_tokens(["ready"])  # loads the model, which is prepared once and not by each
        return cls(encoder.digest, _digest_code(), os.access(sample, os.R_OK))


class _Worker:
    """The actor."""

    def __init__(self, encoder: Encoder) -> None:
        os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one worker, one core
        self._encoder = encoder

    def greet(self, sample: Path) -> tuple[str, str, bool, _Traits]:
        """Its node's id and address, whether a token is asked for there, and its traits."""
        import ray

        node = ray.get_runtime_context().get_node_id()
        guarded = os.environ.get("RAY_AUTH_MODE", "").lower() == "token"
        return node, ray.util.get_node_ip_address(), guarded, _Traits.here(self._encoder, sample)

    def work(self, job: Job[Made], names: Sequence[str]) -> tuple[bool, Made]:
        """Return what is made of the documents, with a sign by itself that it is made."""
        return True, job(self._encoder, names)


@dataclass(eq=False, slots=True)
class _Task:
    names: Sequence[str]
    tries: int = 0  # that cost a worker
    made: Any = None  # the reference to what is made, once a worker is at it
    done: bool = False

    def parts(self) -> list[_Task]:
        """The same once more, so that one document costs the others nothing."""
        return [_Task([name], self.tries + 1) for name in self.names]


class _Hand(NamedTuple):
    """A worker that is ready."""

    actor: Any
    node: str


class _Crew(Generic[Made]):
    """The workers: those asked for, those at work and those with nothing to do."""

    def __init__(self, count: int, encoder: Encoder, sample: Path, wanted: _Traits) -> None:
        import ray

        self._actor = ray.remote(num_cpus=1)(_Worker)
        self._encoder, self._sample, self._wanted = encoder, sample, wanted
        self._ahead = _AHEAD * count
        self._misses = count + 1  # so many workers may not be lost before they are ready
        self._coming: dict[Any, Any] = {}  # what it will say → the worker
        self._idle: list[_Hand] = []
        self._busy: dict[Any, tuple[_Hand, _Task]] = {}  # the sign that it is done → who, at what
        for _ in range(count):
            self._hire()

    def run(self, job: Job[Made], tasks: Iterable[Sequence[str]]) -> Iterator[Made | Lost]:
        coming = iter(tasks)
        line: list[_Task] = []
        while True:
            line += map(_Task, islice(coming, self._ahead - len(line)))
            if not line:
                return
            self._begin(job, line)
            head = line[0]
            its_turn = head.done or head.tries == _TRIES
            for task in self._look(wait=not its_turn):  # also while it stores: none is to be idle
                place = line.index(task)
                line[place : place + 1] = task.parts()
            if its_turn:
                made = _get(head.made) if head.done else Lost(head.names[0])
                line[:1] = head.parts() if isinstance(made, _Gone) else []
                if not isinstance(made, _Gone):
                    yield made

    def _begin(self, job: Job[Made], line: Iterable[_Task]) -> None:
        """Give the first tasks that wait to the workers that have none."""
        for task in line:
            if not self._idle:
                return
            if task.made is None and task.tries < _TRIES:
                hand = self._idle.pop()
                sign, task.made = hand.actor.work.options(num_returns=2).remote(job, task.names)
                self._busy[sign] = hand, task

    def _look(self, *, wait: bool) -> Iterator[_Task]:
        """See which workers are ready, done or lost; yield the tasks that were lost with them."""
        import ray

        refs = [*self._busy, *self._coming]
        if not refs:
            return
        patience = (None if self._busy else _PATIENCE) if wait else 0
        ready, _ = ray.wait(refs, num_returns=1 if wait else len(refs), timeout=patience)
        if wait and not ready:
            raise ClusterError(f"no worker could be started in {_PATIENCE} s: {_room()}")
        for ref in ready:
            if ref in self._coming:
                self._welcome(ref)
                continue
            hand, task = self._busy.pop(ref)
            task.done = not isinstance(_get(ref), _Gone)
            if task.done:
                self._idle.append(hand)
            else:
                self._replace(hand)
                yield task

    def _hire(self) -> None:
        actor = self._actor.remote(self._encoder)
        self._coming[actor.greet.remote(self._sample)] = actor

    def _welcome(self, greeting: Any) -> None:
        actor = self._coming.pop(greeting)
        said = _get(greeting)
        if isinstance(said, _Gone):
            self._misses -= 1
            if not self._misses:
                raise ClusterError(f"workers end before they are ready: {said.reason}")
            self._hire()
            return
        node, address, guarded, traits = said
        _check(address, guarded, traits, self._wanted)
        self._idle.append(_Hand(actor, node))

    def _replace(self, lost: _Hand) -> None:
        """Ask for another, and for those idle on its node: it may be the node that is lost."""
        staying = [hand for hand in self._idle if hand.node != lost.node]
        for _ in range(1 + len(self._idle) - len(staying)):
            self._hire()
        self._idle = staying


class _Gone(NamedTuple):
    """What there is of an object that is lost, or whose maker is."""

    reason: str


def _get(reference: Any) -> Any:
    """The object, or _Gone; an error of ours is raised as it was."""
    import ray
    from ray import exceptions

    try:
        return ray.get(reference)
    except (
        exceptions.RayActorError,
        exceptions.OutOfMemoryError,
        exceptions.ObjectLostError,
    ) as error:
        return _Gone(str(error).strip().rpartition("\n")[2])
    except exceptions.RayTaskError as error:
        if isinstance(error.cause, RagError):
            raise error.cause from None
        raise


def _check(address: str, guarded: bool, traits: _Traits, wanted: _Traits) -> None:
    """Raise ClusterError unless the worker will make what the builder would."""
    if not guarded:
        raise ClusterError(f"node {address} asks for no token: start it with RAY_AUTH_MODE=token")
    if traits.version != wanted.version:
        raise ClusterError(f"node {address} has another version of rag: install the same on all")
    if traits.model != wanted.model:
        raise ClusterError(
            f"node {address} has the weights {traits.model[:12]}, this one {wanted.model[:12]}: "
            "install the same model on all"
        )
    if traits.sample != wanted.sample:
        raise ClusterError(f"node {address} does not see the corpus: mount it there, same path")


def _checked(count: int) -> int:
    """How many workers there are to be. Raises ClusterError where there are too few cores."""
    import ray

    cores = int(ray.cluster_resources().get("CPU", 0))
    if not 0 < (count or cores) <= cores:
        raise ClusterError(f"the cluster has {cores} CPUs: it cannot have {count or 1} workers")
    return count or cores


def _room() -> str:
    import ray

    free = ray.available_resources().get("CPU", 0)
    return f"of {ray.cluster_resources().get('CPU', 0):g} CPUs of the cluster {free:g} are free"


@contextmanager
def _ray(count: int) -> Iterator[None]:
    """Ray, joined or started, until the block ends."""
    address = os.environ.get("RAY_ADDRESS")
    with tempfile.TemporaryDirectory(prefix="rag-", dir=_SHORT) as private:
        own = _ALONE | {"RAY_AUTH_TOKEN": _own_token(), "RAY_TMPDIR": private}
        with _environment(_ALWAYS if address else _ALWAYS | own), redirect_stdout(None):
            import ray  # which says on stdout, whatever it is told, what nodes are lost

            try:
                _join(address) if address else _start(count)
                yield
            finally:
                ray.shutdown(wait_for_processes=True)


def _start(count: int) -> None:
    import ray

    cores = {"num_cpus": count or None, "num_gpus": 0}
    ray.init("local", include_dashboard=False, **cores, **_QUIET)


def _join(address: str) -> None:
    """Raise ClusterError, with the cure, where that cannot be done."""
    import ray

    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
        ray.init(address, **_QUIET)
    except ray.exceptions.AuthenticationError:
        raise ClusterError(f"{address} asks for a token: set RAY_AUTH_TOKEN_PATH") from None
    except (OSError, RuntimeError, ValueError) as error:
        if "InvalidAuthToken" in f"{error} {error.__cause__}":
            reason = "it takes another token: set RAY_AUTH_TOKEN_PATH"
        else:
            reason = f"{error}: RAY_ADDRESS is HOST:PORT of its head; run this on one of its nodes"
        raise ClusterError(f"the Ray cluster {address} cannot be joined: {reason}") from None


@contextmanager
def _environment(added: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in added}
    os.environ.update(added)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


@cache
def _own_token() -> str:
    """Of this process: Ray reads it once."""
    return secrets.token_hex(32)


def _digest_code() -> str:
    """SHA-256 over the project's modules: a version's number does not change with every change."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
