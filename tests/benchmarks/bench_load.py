"""Many people asking at once, over HTTP as the page does, without a pause between their questions.

Run as: python -m tests.benchmarks.bench_load [--users N] [--minutes N] [--index DIR]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from tests.asking import queue_body

ROOT = Path(__file__).parents[2]
_PAGE = 4096  # bytes of memory


@dataclass
class _User:
    number: int
    seconds: list[float] = field(default_factory=list)  # of each question
    lost: int = 0  # questions without their own answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--index", type=Path, default=ROOT / "index")
    options = parser.parse_args()
    with _serving(options.index) as (url, pid):
        users, memory = asyncio.run(_load(url, pid, options.users, options.minutes * 60))
    _print(users, memory, options.minutes * 60)


@contextmanager
def _serving(index: Path) -> Iterator[tuple[str, int]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
    command = [sys.executable, "app.py", "--index", str(index), "--port", port]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as server:
        url = f"http://127.0.0.1:{port}"
        assert server.stdout
        server.stdout.readline()
        while httpx.get(f"{url}/ready").status_code != 200:
            time.sleep(0.2)
        yield url, server.pid
        server.terminate()


async def _load(url: str, pid: int, count: int, seconds: float) -> tuple[list[_User], list[int]]:
    """Ask for so long; the users, and the server's memory in MB every second."""
    users = [_User(number) for number in range(count)]
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client:
        config = (await client.get("/config")).json()
        end = time.monotonic() + seconds
        asking = [asyncio.create_task(_ask_on(client, config, user, end)) for user in users]
        memory = []
        while time.monotonic() < end:
            memory.append(_memory(pid))
            await asyncio.sleep(1)
        await asyncio.gather(*asking)
    return users, memory


async def _ask_on(client: httpx.AsyncClient, config: Any, user: _User, end: float) -> None:
    chance = random.Random(user.number)  # noqa: S311  no secret
    lines = (ROOT / "tests" / "questions.jsonl").read_text("utf-8").splitlines()
    questions = [json.loads(line)["question"] for line in lines]
    while time.monotonic() < end:
        question = chance.choice(questions)
        started = time.perf_counter()
        try:
            told = await _ask(client, config, question, f"user{user.number}")
        except httpx.HTTPError:
            told = ""
        user.seconds.append(time.perf_counter() - started)
        user.lost += escape(question, quote=False) not in told.replace("&#39;", "'")


async def _ask(client: httpx.AsyncClient, config: Any, question: str, session: str) -> str:
    """The last thing that the page would show."""
    body = queue_body(config, question, session)
    (await client.post("/gradio_api/queue/join", json=body)).raise_for_status()
    told = ""
    async with client.stream("GET", f"/gradio_api/queue/data?session_hash={session}") as stream:
        async for line in stream.aiter_lines():
            event = json.loads(line[5:]) if line.startswith("data:") else {}
            if event.get("msg") == "process_completed" and event["success"]:
                told = json.dumps(event["output"], ensure_ascii=False).replace('\\"', '"')
            if event.get("msg") == "close_stream":
                break
    return told


def _memory(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * _PAGE >> 20


def _print(users: list[_User], memory: list[int], seconds: float) -> None:
    times = [second for user in users for second in user.seconds]
    cuts = quantiles(times, n=100)
    counts = [len(user.seconds) for user in users]
    tenth = max(1, len(memory) // 10)
    table = Table("what", "measured")
    for what, measured in [
        ("people", f"{len(users)}"),
        ("questions", f"{len(times):,} in {seconds:.0f} s"),
        ("answers a second", f"{len(times) / seconds:.1f}"),
        ("half of them within", f"{cuts[49]:.2f} s"),
        ("95 % within", f"{cuts[94]:.2f} s"),
        ("99 % within", f"{cuts[98]:.2f} s"),
        ("lost", f"{sum(user.lost for user in users)}"),
        ("fewest and most answers to one", f"{min(counts)} and {max(counts)}"),
        ("memory, the first tenth", f"{median(memory[:tenth]):.0f} MB"),
        ("memory, the last tenth", f"{median(memory[-tenth:]):.0f} MB"),
    ]:
        table.add_row(what, measured)
    Console().print(table)


if __name__ == "__main__":
    main()
