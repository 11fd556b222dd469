"""What a language model's program gets, asked by the protocol's own client."""

from __future__ import annotations

import asyncio
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from rag.errors import ExtraMissing
from rag.generation import Generation, open_generation
from rag.mcp import make_server
from rag.settings import Settings
from rag.web.library import Library
from tests.conftest import ROOT
from tests.encoders import WordEncoder

mcp = pytest.importorskip("mcp", reason="the extra is missing: pip install '.[mcp]'")


@pytest.fixture
def library(corpus: Path, index: Path, words: WordEncoder) -> Library:
    library = Library(corpus, index, Settings(), words)
    library.load()
    return library


def _call(server: Any, *calls: tuple[str, dict[str, Any]]) -> list[Any]:
    """Connect, check the tools, and make the calls one after the other."""

    async def run() -> list[Any]:
        async with mcp.Client(server) as client:
            tools = await client.list_tools()
            assert [tool.name for tool in tools.tools] == ["ask", "search", "document"]
            assert all(tool.description for tool in tools.tools)
            return [await client.call_tool(name, values) for name, values in calls]

    with ThreadPoolExecutor(1) as pool:  # a browser of other tests may hold this thread's loop
        return pool.submit(asyncio.run, run()).result()


def test_a_program_gets_the_same_answers(library: Library, generation: Generation) -> None:
    thread = [
        {"role": "user", "text": "How long is the Danube?"},
        {"role": "assistant", "text": "The Danube is 2,850 kilometres long."},
    ]
    asked, followed, found, document = _call(
        make_server(library),
        ("ask", {"question": "How long is the Danube?"}),
        ("ask", {"question": "And where does it rise?", "thread": thread}),
        ("search", {"question": "Honey never spoils", "k": 2}),
        ("document", {"name": "rivers.md"}),
    )
    (quote,) = asked.structured_content["quotes"]
    text = document.structured_content["text"]
    assert text == generation.document("rivers.md").text
    assert text[quote["start"] : quote["end"]] == quote["text"]
    assert "(after “" in followed.structured_content["searched_for"]
    rows = found.structured_content["result"]
    assert len(rows) == 2
    for row in rows:
        source = generation.document(row["document"]).text
        assert source[row["start"] : row["end"]] == row["text"]


def test_what_a_caller_can_mend_is_told(library: Library) -> None:
    empty, unknown, thread = _call(
        make_server(library),
        ("ask", {"question": " "}),
        ("document", {"name": "../x"}),
        ("ask", {"question": "Why?", "thread": [{"role": "user"}]}),
    )
    for result, said in (
        (empty, "the question is empty"),
        (unknown, "no document called ../x"),
        (thread, '"thread" must be a list'),
    ):
        assert result.is_error
        assert said in result.content[0].text


@pytest.mark.slow
def test_the_command_serves_the_index_in_use(shipped_index: Path) -> None:
    command = mcp.StdioServerParameters(
        command=sys.executable,
        args=["-m", "rag.cli", "mcp", "--index", str(shipped_index)],
        cwd=ROOT,
        env=dict(os.environ),
    )
    (asked,) = _call(command, ("ask", {"question": "When does the second phase run?"}))
    generation = open_generation(shipped_index)
    quotes = asked.structured_content["quotes"]
    assert quotes
    for quote in quotes:
        text = generation.document(quote["document"]).text
        assert text[quote["start"] : quote["end"]] == quote["text"]


def test_without_the_extra_the_cure_is_named(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mcp.server", None)
    with pytest.raises(ExtraMissing, match=r"pip install '\.\[mcp\]'"):
        make_server(library)
