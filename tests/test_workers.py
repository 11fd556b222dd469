"""Real Ray: a cluster of nodes on loopback that is shared, and builds that start Ray themselves."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any

import pytest

from rag import workers
from rag.build import build_index
from rag.encoder import SentenceEncoder
from rag.errors import ClusterError, ExtraMissing
from rag.generation import Generation, check_generation, open_generation
from rag.manifest import Manifest
from rag.settings import Settings
from rag.workers import Workers
from tests.conftest import ROOT
from tests.encoders import DeadlyEncoder, WordEncoder
from tests.pdfs import make_pdf

pytestmark = [  # Ray is not imported here: it reads its environment when it is
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is missing: pip install '.[ray]'"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's"),
]

RAG_INDEX = (sys.executable, "-m", "rag.cli", "index")
SERVERS = {"gcs_server", "raylet"}  # Ray's
ENDED = {*SERVERS, "ray::_Worker.wo"}  # its agents take longer, up to a minute
LISTENS = "0A"  # in /proc/net/tcp
ENVIRONMENT = {
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": "0123456789abcdef" * 4,
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # so that it listens on loopback
    "RAY_USAGE_STATS_ENABLED": "0",
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head with two cores, which the builds of this process join; other nodes come and go."""
    before = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(dir="/tmp") as folder:
        for name, value in {**ENVIRONMENT, "RAY_TMPDIR": folder}.items():
            patch.setenv(name, value)
        Path(folder, "ray").mkdir()
        from ray.cluster_utils import Cluster

        logging.getLogger("ray").setLevel(logging.CRITICAL)
        head = {"num_cpus": 2, "include_dashboard": False}
        found = Cluster(initialize_head=True, head_node_args=head)
        patch.setenv("RAY_ADDRESS", found.address)
        yield found
        found.shutdown()
    signal.signal(signal.SIGTERM, before)


def write_texts(corpus: Path, count: int, lines: int) -> None:
    for number in range(count):
        words = "has considerable international significance for transportation near settlement"
        text = " ".join(f"River {number} {words} {line}." for line in range(lines))
        (corpus / f"{number:03}.txt").write_text(text)


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of all kinds of files."""
    corpus = tmp_path_factory.mktemp("texts")
    write_texts(corpus, 20, 20)
    (corpus / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    (corpus / "empty.txt").write_bytes(b"")
    (corpus / "printed.pdf").write_bytes(make_pdf([["A page of a PDF."], ["Another page."]]))
    (corpus / "page.html").write_text("<title>Bees</title><p>Bees dance to point at flowers.</p>")
    return corpus


@pytest.fixture(scope="module")
def plain(texts: Path, encoder: SentenceEncoder) -> Generation:
    """What is made of them without workers."""
    index = texts.parent / "plain"
    build_index(texts, index, encoder, Settings())
    return open_generation(index)


def told(manifest: Manifest) -> Manifest:
    """All but the moment of its making and the files that depend on how often it was synced."""
    files = {name: manifest.files[name] for name in ("vectors.f16", "tokens.2bit")}
    return replace(manifest, created="", files=files)


def tables(generation: Generation) -> list[str]:
    with closing(sqlite3.connect(generation.folder / "passages.db")) as database:
        return list(database.iterdump())


@pytest.fixture
def _small_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag.build._TASK", 2 << 10)


@pytest.mark.usefixtures("cluster", "_small_tasks")
def test_workers_make_the_same_index(
    texts: Path, plain: Generation, tmp_path: Path, encoder: SentenceEncoder
) -> None:
    seen: list[float] = []
    report = build_index(
        texts,
        tmp_path,
        encoder,
        Settings(),
        progress=lambda done, _name: seen.append(done),
        workers=Workers(2),
    )
    made = open_generation(tmp_path)
    assert told(made.manifest) == told(plain.manifest)
    assert tables(made) == tables(plain)
    assert [skipped.name for skipped in report.skipped] == ["broken.pdf", "empty.txt"]
    assert seen == sorted(seen)
    assert len(seen) > 5


@pytest.mark.usefixtures("_small_tasks")
def test_a_node_that_is_lost_half_way_costs_nothing(
    cluster: Any, texts: Path, plain: Generation, tmp_path: Path, encoder: SentenceEncoder
) -> None:
    doomed = [cluster.add_node(num_cpus=1)]

    def kill(done: float, _name: str) -> None:
        if done > 0.3 and doomed:
            cluster.remove_node(doomed.pop(), allow_graceful=False)

    build_index(texts, tmp_path, encoder, Settings(), progress=kill, workers=Workers(0))
    assert not doomed
    check_generation(tmp_path)
    made = open_generation(tmp_path)
    assert told(made.manifest) == told(plain.manifest)
    assert tables(made) == tables(plain)


@pytest.mark.usefixtures("cluster")
def test_a_document_that_ends_its_worker_is_tried_again_and_then_reported(
    corpus: Path, tmp_path: Path
) -> None:
    index, encoder = tmp_path / "i", DeadlyEncoder(tmp_path / "mark")
    (corpus / "always.txt").write_text("It is deadly always.")
    (corpus / "once.txt").write_text("It is deadly once.")
    report = build_index(corpus, index, encoder, Settings(), workers=Workers(1))
    names = open_generation(index).names
    assert names == ["bees.txt", "once.txt", "rivers.md", "sub/honey.txt"]
    (skipped,) = report.skipped
    assert skipped.name == "always.txt"
    assert "crash or run out of memory" in skipped.reason
    again = build_index(corpus, index, WordEncoder(), Settings())  # not taken for up to date
    assert (again.documents, again.encoded, again.skipped) == (5, 1, ())


@pytest.mark.usefixtures("cluster")
def test_workers_that_differ_are_refused(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = partial(build_index, corpus, tmp_path / "i", WordEncoder(), Settings())
    with monkeypatch.context() as patch:
        patch.setattr("rag.workers._digest_code", lambda: "another")
        with pytest.raises(ClusterError, match="has another version of rag: install the same"):
            build(workers=Workers(1))
    with monkeypatch.context() as patch:
        patch.setattr(WordEncoder, "digest", "1" * 64)
        with pytest.raises(ClusterError, match="has the weights 000000000000, this one 1111111"):
            build(workers=Workers(1))


def test_a_node_must_ask_for_a_token_and_see_the_corpus() -> None:
    wanted = workers._Traits("model", "version", sample=True)
    workers._check("192.0.2.7", True, wanted, wanted)
    with pytest.raises(ClusterError, match=r"node 192\.0\.2\.7 asks for no token"):
        workers._check("192.0.2.7", False, wanted, wanted)
    with pytest.raises(ClusterError, match="does not see the corpus"):
        workers._check("192.0.2.7", True, wanted._replace(sample=False), wanted)


@pytest.mark.usefixtures("cluster")
def test_too_few_cores_are_told(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = partial(build_index, corpus, tmp_path / "i", WordEncoder(), Settings())
    with pytest.raises(ClusterError, match=r"has [23] CPUs: it cannot have 9 workers"):
        build(workers=Workers(9))
    monkeypatch.setattr("rag.workers._PATIENCE", 0.001)
    with pytest.raises(ClusterError, match=r"no worker .* CPUs of the cluster [0123] are free"):
        build(workers=Workers(1))


@pytest.mark.usefixtures("cluster")
def test_workers_that_cannot_start_are_told(corpus: Path, tmp_path: Path) -> None:
    build = partial(build_index, corpus, tmp_path / "i", Unknown(), Settings())
    with pytest.raises(ClusterError, match=r"before they are ready: .*no such thing is here"):
        build(workers=Workers(1))


class Unknown(WordEncoder):
    """Cannot be made elsewhere, as where a package is missing there."""

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return refuse, ()


def refuse() -> None:
    raise ImportError("no such thing is here")


def run_index(corpus: Path, index: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*RAG_INDEX, "--workers", "1", "--corpus", str(corpus), "--index", str(index)],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.usefixtures("cluster")
def test_another_token_and_none_are_refused(corpus: Path, tmp_path: Path) -> None:
    for token, cure in (("fedcba9876543210" * 4, "it takes another token"), ("", "asks for a tok")):
        given = {"RAY_AUTH_TOKEN": token, "HOME": str(tmp_path)}  # Ray looks there, too
        with run_index(corpus, tmp_path / "i", **given) as build:
            _, errors = build.communicate()
        assert build.returncode == 1
        assert cure in errors
        assert "Traceback" not in errors
        assert not token or token not in errors


def test_a_cluster_that_is_away_is_told(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for address in ("127.0.0.1:1", "auto"):
        monkeypatch.setenv("RAY_ADDRESS", address)
        with pytest.raises(ClusterError, match=f"the Ray cluster {address} cannot be joined"):
            build_index(corpus, tmp_path / "i", WordEncoder(), Settings(), workers=Workers(1))


def test_ray_that_is_started_here_is_heard_here_only_and_ends_with_the_build(
    corpus: Path, tmp_path: Path, encoder: SentenceEncoder
) -> None:
    write_texts(corpus, 20, 80)
    index, none = tmp_path / "i", dict.fromkeys((*ENVIRONMENT, "RAY_ADDRESS"), "")
    with run_index(corpus, index, **none) as build:
        wait_until(lambda: stored(index) > 0, build)
        family = descendants(build.pid)
        heard = {place for process in family for place in listening(process)}
        given = [environment(process) for process in family if name(process) in SERVERS]
        build.kill()
        _, errors = build.communicate()
    assert len(heard) > 0
    assert all(place.is_loopback for place in heard)
    assert len(given) == len(SERVERS)
    for variables in given:
        assert variables["RAY_AUTH_MODE"] == "token"
        assert variables["RAY_USAGE_STATS_ENABLED"] == "0"
        assert variables["http_proxy"] == "http://127.0.0.1:9"  # no way out
        assert len(variables["RAY_AUTH_TOKEN"]) == 64
        assert variables["RAY_AUTH_TOKEN"] not in errors
    wait_until(lambda: not any(name(process) in ENDED for process in family))
    report = build_index(corpus, index, encoder, Settings())
    assert (report.documents, report.skipped) == (23, ())
    assert 0 < report.encoded < report.passages
    shutil.rmtree(given[0]["RAY_TMPDIR"], ignore_errors=True)  # which a killed process leaves


def wait_until(holds: Callable[[], bool], build: subprocess.Popen[str] | None = None) -> None:
    for _ in range(600):
        if holds():
            return
        assert build is None or build.poll() is None, build.communicate()
        time.sleep(0.1)
    pytest.fail("it did not come to hold within a minute")


def stored(index: Path) -> int:
    """The documents that an unfinished build has stored."""
    try:
        with closing(sqlite3.connect(f"file:{index}/000001/passages.db?mode=ro", uri=True)) as db:
            return int(db.execute("SELECT count(*) FROM documents").fetchone()[0])
    except sqlite3.Error:
        return 0


def descendants(process: int) -> set[int]:
    """The processes that a process has started, and they in turn."""
    parents = {int(path.parent.name): parent(path) for path in Path("/proc").glob("[0-9]*/stat")}
    found, last = set[int](), {process}
    while last:
        last = {child for child, of in parents.items() if of in last}
        found |= last
    return found


def parent(stat: Path) -> int:
    with suppress(OSError):
        return int(stat.read_text("utf-8", "replace").rpartition(")")[2].split()[1])
    return 0


def name(process: int) -> str:
    """Of a process that runs, cut to 15 characters; "" of another."""
    with suppress(OSError):
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        status = dict(line.split(":\t", 1) for line in lines)
        return "" if status["State"].startswith("Z") else status["Name"]
    return ""


def environment(process: int) -> dict[str, str]:
    pairs = Path(f"/proc/{process}/environ").read_text("utf-8", "replace").split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def listening(process: int) -> Iterator[IPv4Address | IPv6Address]:
    """The addresses on which a process listens."""
    files = [str(path.readlink()) for path in Path(f"/proc/{process}/fd").iterdir()]
    for table in ("tcp", "tcp6"):
        for row in Path(f"/proc/{process}/net/{table}").read_text().splitlines()[1:]:
            place, state, inode = (row.split()[column] for column in (1, 3, 9))
            if state == LISTENS and f"socket:[{inode}]" in files:
                words = bytes.fromhex(place.partition(":")[0])
                packed = b"".join(words[i : i + 4][::-1] for i in range(0, len(words), 4))
                address = ip_address(packed)
                yield getattr(address, "ipv4_mapped", None) or address


def test_without_the_extra_the_cure_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ExtraMissing, match=r"pip install '\.\[ray\]'"):
        Workers(2)


def test_ray_is_imported_for_workers_only(corpus: Path, tmp_path: Path) -> None:
    hidden = "import sys; sys.modules['ray'] = None; from rag.cli import main; main(sys.argv[1:])"
    places = ["--corpus", str(corpus), "--index", str(tmp_path / "i")]
    run = partial(subprocess.run, cwd=ROOT, check=False, capture_output=True, text=True)
    asked = ["ask", "What never spoils?", *places[2:]]
    for words, status in (
        (["index", *places, "--workers", "2"], 1),
        (["index", *places], 0),
        (asked, 0),
    ):
        done = run([sys.executable, "-c", hidden, *words])
        assert done.returncode == status, done.stderr
        assert ("pip install '.[ray]'" in done.stderr) == (status == 1)
