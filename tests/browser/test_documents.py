"""The page of documents in a real browser, with a chat open in a second window."""

from __future__ import annotations

import pytest
from playwright.sync_api import BrowserContext, FilePayload, Page, expect

from tests.browser.conftest import Server
from tests.browser.test_chat import ask, width_beyond

pytestmark = pytest.mark.slow

SENTENCE = "The harbour bell of Vestmark was cast by Odile Renner."


def test_a_file_dropped_in_is_quoted_while_another_window_chats(page: Page, server: Server) -> None:
    documents = page.context.new_page()
    documents.goto(f"{server.url}/library")
    transfer = documents.evaluate_handle(
        """text => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([text], "../vestmark bell.txt"));
          return transfer;
        }""",
        SENTENCE,
    )
    documents.locator("#drop").dispatch_event("drop", {"dataTransfer": transfer})
    assert ask(page, "When does the second phase run?").locator("blockquote").count() > 0
    expect(documents.locator("#state")).to_contain_text("is in use", timeout=60_000)
    expect(documents.locator(".documents")).to_contain_text("vestmark bell.txt")
    turn = ask(page, "Who cast the harbour bell of Vestmark?")
    assert turn.locator(".words").first.text_content() == SENTENCE
    documents.on("dialog", lambda dialog: dialog.accept())
    documents.get_by_role("button", name="Remove vestmark bell.txt").click()
    expect(documents.locator(".documents")).not_to_contain_text("vestmark", timeout=60_000)
    assert ask(page, "Who cast the harbour bell of Vestmark?").locator("blockquote").count() == 0


def test_a_kind_that_cannot_be_read_is_refused_with_the_reason(
    context: BrowserContext, server: Server
) -> None:
    page = context.new_page()
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(f"{server.url}/library")
    assert width_beyond(page) <= 0
    tool = FilePayload(name="tool.exe", mimeType="application/octet-stream", buffer=b"MZ")
    page.locator("#files").set_input_files(tool)
    expect(page.locator("#state")).to_contain_text("'tool.exe' cannot be read")


def test_a_conversation_is_kept_to_the_documents_chosen(page: Page) -> None:
    question = "How many American soldiers are deployed in Iraq?"
    assert ask(page, question).locator("blockquote").count() > 0
    page.get_by_role("button", name="Asking all documents").click()
    page.get_by_role("searchbox", name="Find a document").fill("ferry.txt")
    page.get_by_role("checkbox", name="ferry").first.check()
    page.get_by_role("button", name="Ask these").click()
    expect(page.get_by_role("button", name="Asking only ferry.txt")).to_be_visible()
    turn = ask(page, question)
    assert turn.locator("blockquote").count() == 0
    page.reload()
    page.get_by_role("button", name="Asking only ferry.txt").click()
    page.get_by_role("button", name="All documents", exact=True).click()
    assert ask(page, question).locator("blockquote").count() > 0
