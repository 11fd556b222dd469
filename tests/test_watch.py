"""What the server tells of itself, and how it ends."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from rag.errors import QuestionError
from rag.settings import Settings
from rag.web import Folders
from rag.web.watch import Watch, Watched, WatchedLibrary, make_router
from tests.asking import queue_body
from tests.browser.conftest import _free_port
from tests.conftest import ROOT
from tests.encoders import WordEncoder

SECRET = "Do bees dance in Ruritania?"  # noqa: S105


def _library(index: Path, words: WordEncoder, watch: Watch) -> WatchedLibrary:
    library = WatchedLibrary(Folders(index.parent / "corpus", index), Settings(), words, watch)
    library.load()
    return library


def _client(library: WatchedLibrary, watch: Watch) -> TestClient:
    app = FastAPI()
    app.include_router(make_router(library, watch))
    app.add_middleware(Watched, watch)
    return TestClient(app)


@pytest.mark.parametrize("told", [False, True])
def test_answers_are_counted_and_logged_without_the_questions(
    index: Path, words: WordEncoder, told: bool
) -> None:
    log = io.StringIO()
    watch = Watch(log, questions=told)
    library = _library(index, words, watch)
    library.answer("How long is the Danube?")
    library.answer(SECRET)
    with pytest.raises(QuestionError):
        library.answer("")
    events = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [event["event"] for event in events][-1] == "failed"
    assert {"time", "event", "seconds", "confidence", "quotes"} <= set(events[0])
    assert (SECRET in log.getvalue()) is told
    assert 'rag_answer_seconds_count{outcome="failed"} 1.0' in watch.metrics()
    assert SECRET not in watch.metrics()


def test_requests_are_counted_and_logged_without_names(index: Path, words: WordEncoder) -> None:
    log = io.StringIO()
    watch = Watch(log)
    client = _client(_library(index, words, watch), watch)
    client.get("/documents/secret.txt?quote=1-2", headers={"user-agent": "a\nb"})
    metrics = client.get("/metrics")
    assert 'rag_requests_total{part="documents",status="404"} 1.0' in metrics.text
    [line] = log.getvalue().splitlines()[:1]
    assert "secret" not in log.getvalue()
    assert json.loads(line)["status"] == 404


def test_it_is_ready_once_it_can_answer(index: Path, words: WordEncoder) -> None:
    watch = Watch()
    library = WatchedLibrary(Folders(index.parent / "corpus", index), Settings(), words, watch)
    client = _client(library, watch)
    assert client.get("/ready").status_code == 503
    library.load()
    library.answer("Do bees dance?")
    assert client.get("/ready").text == "ready"
    (index / "CURRENT").unlink()
    assert client.get("/ready").status_code == 503


@pytest.mark.slow
def test_it_ends_in_five_seconds_and_answers_what_was_asked_before(
    shipped_index: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    port = _free_port()
    command = [sys.executable, "-m", "rag.cli", "chat", "--index", str(shipped_index)]
    options = ["--port", str(port), "--log", str(log)]
    server = subprocess.Popen([*command, *options], cwd=ROOT, stdout=subprocess.PIPE)
    with server, httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        assert server.stdout
        server.stdout.readline()
        while client.get("/ready").status_code != 200:
            time.sleep(0.2)
        heard: list[str] = []
        asking = threading.Thread(target=lambda: heard.append(_ask(client)))
        asking.start()
        while 'part="gradio_api",status="200"' not in client.get("/metrics").text:
            assert asking.is_alive()
            time.sleep(0.001)  # until the question has been taken
        started = time.monotonic()
        server.send_signal(signal.SIGTERM)
        server.wait(10)
        assert time.monotonic() - started < 5
        asking.join()
    assert "process_completed" in heard[0]
    assert "2,500" in heard[0]
    assert SECRET not in log.read_text()


def _ask(client: httpx.Client) -> str:
    """Ask as the page does, and listen to the end."""
    question = "How many American soldiers are deployed in Iraq?"
    body = queue_body(client.get("/config").json(), question, "abc")
    client.post("/gradio_api/queue/join", json=body).raise_for_status()
    told = ""
    with client.stream("GET", "/gradio_api/queue/data?session_hash=abc") as stream:
        for line in stream.iter_lines():
            told += line
            if "close_stream" in line:
                break
    return told
