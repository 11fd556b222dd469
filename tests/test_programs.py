"""What programs get, asked through gradio_client as they do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from rag.generation import Generation
from rag.settings import Settings
from rag.web.library import Library
from rag.web.server import make_app
from tests.encoders import WordEncoder
from tests.serving import serving

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # Gradio leaves loops unclosed


@pytest.fixture
def client(corpus: Path, index: Path, words: WordEncoder) -> Iterator[Client]:
    """A client of a server in a thread."""
    library = Library(corpus, index, Settings(), words)
    with serving(make_app(library)) as url:
        client = Client(url, verbose=False, analytics_enabled=False)
        yield client
        client.close()


def test_programs_get_the_same_answers(client: Client, generation: Generation) -> None:
    answer = client.predict("How long is the Danube?", api_name="/ask")
    (quote,) = answer["quotes"]
    document = client.predict(quote["document"], api_name="/document")
    assert document["text"] == generation.document("rivers.md").text
    assert document["text"][quote["start"] : quote["end"]] == quote["text"]
    only = client.predict("Honey never spoils", ["bees.txt"], api_name="/ask")
    assert {passage["document"] for passage in only["passages"]} == {"bees.txt"}
    found = client.predict("Honey never spoils", 2, api_name="/search")
    assert len(found) == 2
    for row in found:
        text = generation.document(row["document"]).text
        assert text[row["start"] : row["end"]] == row["text"]
    with pytest.raises(AppError, match=r"no document called \.\./x"):
        client.predict("../x", api_name="/document")
    with pytest.raises(AppError, match="the question is empty"):
        client.predict(" ", api_name="/ask")
    api = client.view_api(return_format="dict", print_info=False)
    assert set(api["named_endpoints"]) == {"/ask", "/search", "/document"}
    question, *others = api["named_endpoints"]["/ask"]["parameters"]
    assert question["python_type"]["type"] == "str"
    names = ["documents", "thread", "as_written"]
    assert [other["parameter_name"] for other in others] == names
    assert all(other["parameter_has_default"] for other in others)


def test_the_example_over_http_is_answered(client: Client) -> None:
    page = unescape(httpx.get(f"{client.src}programs").text)
    (data,) = re.findall(r"-d '(.+?)'", page)
    called = httpx.post(f"{client.src}gradio_api/call/ask", json=json.loads(data)).json()
    answer = httpx.get(f"{client.src}gradio_api/call/ask/{called['event_id']}").text
    assert answer.startswith("event: complete")
    assert '"question": "When does the mission end?"' in answer


def test_programs_ask_in_a_thread(client: Client) -> None:
    thread = [
        {"role": "user", "text": "How long is the Danube?"},
        {"role": "assistant", "text": "The Danube is 2,850 kilometres long."},
    ]
    asked = {"question": "And where does it rise?", "thread": thread, "api_name": "/ask"}
    followed = client.predict(**asked)
    assert followed["searched_for"].endswith("(after “How long is the Danube?”)")
    assert followed["passages"][0]["document"] == "rivers.md"
    assert "searched_for" not in client.predict(**asked, as_written=True)
    with pytest.raises(AppError, match='"thread" must be a list of'):
        client.predict("Why?", None, ["How long?"], api_name="/ask")
