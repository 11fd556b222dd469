"""Evals begun from the page: which sets, one at a time, kept beside the index."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from rag.encoder import Encoding
from rag.settings import Settings
from rag.web import runs as runs_module
from rag.web.evals import make_evals_router
from rag.web.runs import Runs
from tests.encoders import WordEncoder

HOSTILE = "<script>alert(1)</script>\u202e"


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    """A folder with two sets of questions, one of them no set, and other files."""
    folder = tmp_path / "sets"
    folder.mkdir()
    text = "Bees dance to point at flowers."
    quote = {"document": "bees.txt", "start": 0, "end": len(text), "text": text}
    lines = [
        {"id": "1", "question": "Do bees dance?", "quotes": [quote], "kind": HOSTILE},
        {"id": "2", "question": f"Who won the cup? {HOSTILE}", "quotes": []},
    ]
    (folder / "bees.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "broken.jsonl").write_text('{"id": "1"}\n')
    (folder / "notes.txt").write_text("no set\n")
    (tmp_path / "secret.jsonl").write_text((folder / "bees.jsonl").read_text())
    return folder


@pytest.fixture
def runs(index: Path, words: WordEncoder, sets: Path) -> Runs:
    return Runs(index, words, Settings(), sets)


@pytest.fixture
def client(runs: Runs) -> TestClient:
    app = FastAPI()
    app.include_router(make_evals_router(runs, accounts=False))
    return TestClient(app)


def _finish(runs: Runs) -> None:
    while runs.state.running:
        time.sleep(0.005)


def _run(client: TestClient, runs: Runs, name: str) -> None:
    assert client.put(f"/evals/runs/{name}").status_code == 200
    _finish(runs)


def test_a_run_is_shown_and_kept_beside_the_index(
    client: TestClient, runs: Runs, index: Path
) -> None:
    assert "<table" not in client.get("/evals").text
    _run(client, runs, "bees.jsonl")
    page = client.get("/evals").text
    assert "Run 1: <bdi>bees.jsonl</bdi>" in page
    assert "<code>quote_hit@1</code>" in page
    assert page.count("<figure>") == 4
    assert "<script>alert" not in page
    assert "\u202e" not in page.replace('"U+202E">\u202e', "")
    assert "script-src 'self'" in client.get("/evals").headers["content-security-policy"]
    report = client.get("/evals/reports/000001")
    assert "Evaluation of bees.jsonl" in report.text
    assert "script-src 'sha256-" in report.headers["content-security-policy"]
    assert str(index.parent) not in report.text + page  # no path of the server's
    assert Runs(index, WordEncoder(), Settings(), None).runs()[0].name == "000001"


def test_a_later_run_is_compared_with_the_one_before(
    client: TestClient, runs: Runs, words: WordEncoder, index: Path, sets: Path
) -> None:
    _run(client, runs, "bees.jsonl")
    other = Runs(index, words, Settings(threshold=1.0), sets)
    other.begin("bees.jsonl")
    _finish(other)
    page = client.get("/evals").text
    assert "Run 2" in page
    assert "threshold was 0.7, is 1.0" in page
    assert "1 questions got worse" in page
    assert "recall@5, run by run" in page
    first = client.get("/evals?run=000001").text
    assert "Run 1" in first
    assert "questions got" not in first


@pytest.mark.parametrize(
    "name", ["", "nothing.jsonl", "../secret.jsonl", "..%2Fsecret.jsonl", "notes.txt", "feedback"]
)
def test_only_a_set_that_is_offered_can_be_run(client: TestClient, runs: Runs, name: str) -> None:
    assert client.put(f"/evals/runs/{name}").status_code in {404, 409}
    assert runs.runs() == []
    assert runs.sets() == ["bees.jsonl", "broken.jsonl"]


@pytest.mark.parametrize("name", ["000009", "..%2F..%2Fmanifest", "%2Fetc%2Fpasswd"])
def test_only_a_report_that_is_kept_can_be_read(client: TestClient, name: str) -> None:
    assert client.get(f"/evals/reports/{name}").status_code == 404


def test_a_set_with_errors_says_which(client: TestClient, runs: Runs) -> None:
    _run(client, runs, "broken.jsonl")
    assert "line 1" in client.get("/evals/state").json()["problem"]
    assert runs.runs() == []


def test_what_readers_said_is_a_set(client: TestClient, runs: Runs, index: Path) -> None:
    text = "Honey never spoils."
    start = len("Bees dance to point at flowers. A hive holds forty thousand bees. ")
    quote = {"document": "bees.txt", "start": start, "end": start + len(text), "text": text}
    line = {"question": "Does honey spoil?", "said": "sentence", "quotes": [quote]}
    (index / "feedback.jsonl").write_text(json.dumps(line) + "\n")
    assert runs.sets()[0] == "feedback"
    _run(client, runs, "feedback")
    assert "what readers said" in client.get("/evals").text


def test_one_run_at_a_time(index: Path, sets: Path) -> None:
    go = threading.Event()

    class Stopped(WordEncoder):
        def encode(self, texts: Sequence[str], contexts: Sequence[str] = ()) -> list[Encoding]:
            assert go.wait(60)
            return super().encode(texts, contexts)

    runs = Runs(index, Stopped(), Settings(), sets)
    app = FastAPI()
    app.include_router(make_evals_router(runs, accounts=False))
    client = TestClient(app)
    assert client.put("/evals/runs/bees.jsonl").status_code == 200
    second = client.put("/evals/runs/bees.jsonl")
    assert (second.status_code, "under way" in second.text) == (409, True)
    assert client.get("/evals/state").json()["running"]
    go.set()
    _finish(runs)
    assert len(runs.runs()) == 1


def test_the_last_runs_are_kept(runs: Runs, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs_module, "_KEPT", 2)
    for _ in range(3):
        runs.begin("bees.jsonl")
        _finish(runs)
    assert [run.name for run in runs.runs()] == ["000003", "000002"]
    assert len(list((index / "evals").iterdir())) == 4
    (index / "evals" / "000003.json").write_text("{")
    assert [run.name for run in Runs(index, WordEncoder(), Settings(), None).runs()] == ["000002"]
