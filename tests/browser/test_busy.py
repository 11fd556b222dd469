"""A server with more questions than it takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from rag.encoder import Encoding
from rag.settings import Settings
from rag.web.library import Library
from rag.web.server import make_app
from tests.asking import queue_body
from tests.encoders import WordEncoder
from tests.serving import serving

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # Gradio leaves loops unclosed
    pytest.mark.filterwarnings(
        "ignore:.future.no_silent_downcasting:DeprecationWarning",
        "ignore:The copy keyword is deprecated:DeprecationWarning",
    ),  # as well
]
QUESTION = "How long is the Danube?"


class Stopped(WordEncoder):
    """It encodes nothing but the warm-up until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def encode(self, texts: Sequence[str], contexts: Sequence[str] = ()) -> list[Encoding]:
        if texts != ["warm up"]:
            assert self.go.wait(60)
        return super().encode(texts, contexts)


def _fill(url: str) -> None:
    """Ask until the server takes no more."""
    with httpx.Client(base_url=url) as client:
        body = queue_body(client.get("/config").json(), QUESTION, "others")
        replies = (client.post("/gradio_api/queue/join", json=body) for _ in range(200))
        assert any(reply.status_code == 503 for reply in replies)


def _wait_for_room(url: str) -> None:
    """Ask until the server takes a question again."""
    with httpx.Client(base_url=url) as client:
        body = queue_body(client.get("/config").json(), QUESTION, "others")
        for _ in range(600):
            if client.post("/gradio_api/queue/join", json=body).is_success:
                return
            time.sleep(0.05)
    pytest.fail("the server takes no question")


def _ask(page: Page) -> None:
    page.get_by_role("textbox").fill(QUESTION)
    page.keyboard.press("Enter")


def test_a_question_that_does_not_get_through_is_kept(
    browser: Browser, corpus: Path, index: Path
) -> None:
    encoder = Stopped()
    with browser.new_context() as context:
        page = context.new_page()
        app = make_app(Library(corpus, index, Settings(), encoder))
        with serving(app) as url:
            page.goto(url)
            page.locator("#welcome p").wait_for()
            _fill(url)
            _ask(page)
            expect(page.locator("#turn")).to_contain_text("Too many questions are waiting")
            expect(page.get_by_role("textbox")).to_have_value(QUESTION)
            encoder.go.set()
            expect(page.locator("#thread .turn")).to_have_count(0)
            _wait_for_room(url)
            _ask(page)
            expect(page.locator("#thread .words")).to_contain_text("2,850 kilometres")
            expect(page.locator("#turn .turn")).to_have_count(0)
