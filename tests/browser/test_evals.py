"""The page of evals in a real browser, with a chat open in a second window."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Server
from tests.browser.test_access import violations
from tests.browser.test_chat import ask, width_beyond

pytestmark = pytest.mark.slow


def test_an_eval_is_run_and_compared_while_another_window_chats(page: Page, server: Server) -> None:
    evals = page.context.new_page()
    evals.goto(f"{server.url}/evals")
    for number in (1, 2):
        evals.get_by_label("Questions").first.select_option("briefs.jsonl")
        evals.get_by_role("button", name="Run").click()
        expect(evals.locator("#progress")).to_be_visible()
        assert ask(page, "When does the second phase run?").locator("blockquote").count() > 0
        expect(evals.locator("h2").first).to_have_text(
            f"Run {number}: briefs.jsonl", timeout=60_000
        )
        expect(evals.locator("#progress")).to_be_hidden()
    expect(evals.locator(".changes")).to_contain_text("questions got worse")
    expect(evals.get_by_role("img", name="value against run")).to_have_count(2)
    assert violations(evals) == []
    evals.set_viewport_size({"width": 360, "height": 740})
    assert width_beyond(evals) <= 0
    evals.get_by_role("link", name="Report of run 1").click()
    evals.locator("tr.question button").first.click()
    expect(evals.locator(".opened")).to_be_visible()
