"""A real server in a process of its own, and Debian's Chromium."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect

from rag.build import build_index
from rag.encoder import SentenceEncoder
from rag.settings import Settings
from tests.conftest import ROOT
from tests.pdfs import make_pdf

expect.set_options(timeout=30_000)  # milliseconds: a busy machine is slow, and not wrong

_LOOPBACK = re.compile(r"socket\.\w+ (\('127\.0\.0\.1', \d+\)|127\.0\.0\.1|localhost|None)")

HOSTILE = (
    "The zeppelin hangar of Friedrichsdorf <script>window.attacked = 1</script> burned "
    '<img src="http://evil.example/a.png" onerror="window.attacked = 2"> '
    "![x](http://evil.example/b.png) [y](javascript:window.attacked=3) in &lt;b&gt;1931&lt;/b&gt; "
    "&#60;i&#62; ${window.attacked = 4} {{value}} **bold** `code` $$x$$ \u202etxet sdrawkcab\u202c "
    "\u2066isolated\u2069 \x1b[31m on the 4th of May."
)
LIGHTHOUSE = "The lighthouse keeper of Quillhaven\r\nkept forty-one cats\tand a  goat."
TELESCOPE = "The telescope of Brandvik saw first light in 1987."
TWICE = "The ferry to Ostergat leaves at half past six."
ENDLESS = "The password of the Marlowe archive is " + "x" * 300 + "."


@dataclass(frozen=True)
class Server:
    url: str
    corpus: Path
    index: Path


@pytest.fixture(scope="session")
def server(
    browser: Browser,  # noqa: ARG001  nothing is built where it is missing
    encoder: SentenceEncoder,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    """app.py over the documents that ship and some of other kinds."""
    folder = tmp_path_factory.mktemp("chat")
    corpus, index, sets = folder / "corpus", folder / "index", folder / "sets"
    _write_corpus(corpus)
    build_index(corpus, index, encoder, Settings())
    sets.mkdir()
    (sets / "briefs.jsonl").write_bytes((ROOT / "tests" / "questions.jsonl").read_bytes())
    with _serving(corpus, index, folder, "--sets", str(sets)) as url:
        yield Server(url, corpus, index)


@dataclass(frozen=True)
class Window:
    """A browser window that all tests share, for its cache; a conversation is its page's own."""

    context: BrowserContext
    wrong: list[str]  # script errors, and addresses of other hosts


@pytest.fixture(scope="session")
def window(browser: Browser, server: Server) -> Iterator[Window]:
    size: ViewportSize = {"width": 1280, "height": 800}
    # Without motion: what still scrolls moves away from under a click.
    with browser.new_context(viewport=size, reduced_motion="reduce") as context:
        window = Window(context, [])
        context.on("weberror", lambda event: window.wrong.append(str(event.error)))
        context.on("request", lambda request: window.wrong.extend(_elsewhere(request.url, server)))
        yield window


def _elsewhere(url: str, server: Server) -> list[str]:
    return [] if url.startswith(f"{server.url}/") else [url]


@pytest.fixture
def context(window: Window) -> Iterator[BrowserContext]:
    """The window, whose pages fail on any script error and any request to another host."""
    window.wrong.clear()
    yield window.context
    for page in window.context.pages:
        page.close()
    assert window.wrong == []


@pytest.fixture
def page(context: BrowserContext, server: Server) -> Page:
    """The chat, ready for a question."""
    page = context.new_page()
    page.goto(server.url)
    page.get_by_role("textbox", name="Your question").wait_for()
    return page


def _write_corpus(corpus: Path) -> None:
    corpus.mkdir()
    for path in (ROOT / "corpus").glob("*.md"):
        (corpus / path.name).write_bytes(path.read_bytes())
    files = {
        "<img src=x onerror=alert(1)>.txt": f"Old news.\n\n{HOSTILE}\n\nNo more news.\n",
        "cats & goats #1.txt": f"First line.\r\n\r\n{LIGHTHOUSE}\r\n\r\nLast line.\r\n",
        "ferry.txt": f"{TWICE}\n",
        "timetables/ferry 100%.txt": f"All boats.\n\n{TWICE}\n",
        "archive.txt": f"{ENDLESS}\n",
    }
    for name, text in files.items():
        (corpus / name).parent.mkdir(exist_ok=True)
        (corpus / name).write_bytes(text.encode())
    pages = [[f"Night {n}: clouds over the dome."] * 40 for n in ("one", "two", "three", "four")]
    pages[2].insert(20, TELESCOPE)
    (corpus / "observatory.pdf").write_bytes(make_pdf(pages))


@contextmanager
def _serving(corpus: Path, index: Path, folder: Path, *more: str) -> Iterator[str]:
    """Run app.py; it must seek no other host, and complain of nothing."""
    sought, complaints = folder / "sought.txt", folder / "stderr.txt"
    command = [sys.executable, "-m", "tests.browser.watched_app", str(sought)]
    options = ["--corpus", str(corpus), "--index", str(index), "--port", str(_free_port())]
    with complaints.open("w") as stderr:
        server = subprocess.Popen(
            [*command, *options, *more], cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr, text=True
        )
    with server:
        assert server.stdout
        line = server.stdout.readline()
        announced = re.fullmatch(r"Chapter & Verse is on (http://127\.0\.0\.1:\d+)\n", line)
        assert announced, line + complaints.read_text()
        yield announced[1]
        server.terminate()
        assert server.wait(timeout=10) in (0, -15)
    assert complaints.read_text() == ""
    addresses = sought.read_text().splitlines()
    assert addresses.pop(0) == "socket.getaddrinfo watched"
    assert [address for address in addresses if not _LOOPBACK.fullmatch(address)] == []


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
