"""What axe-core finds wrong for people who use a keyboard, a screen reader or strong contrast."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.browser.conftest import Server
from tests.browser.test_chat import ask, beside

pytestmark = pytest.mark.slow

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
SERIOUS = {"serious", "critical"}


def violations(page: Page) -> list[str]:
    """Every serious violation on the page and in the document beside it."""
    for frame in page.frames:
        frame.evaluate(AXE)
    found = page.evaluate("axe.run()")
    return [
        f"{violation['id']}: {json.dumps([node['html'][:200] for node in violation['nodes']])}"
        for violation in found["violations"]
        if violation["impact"] in SERIOUS
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_chat_has_no_serious_violation(page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.reload()
    page.locator("#welcome p").wait_for()
    assert violations(page) == []
    turn = ask(page, "When does the second phase run?")
    beside(page, turn.locator(".marker").first)
    ask(page, "How do I bake an apple pie?")
    turn.locator(".marker").first.hover()
    assert violations(page) == []
    page.get_by_role("button", name="Asking all documents").click()
    page.locator("#scope li").first.wait_for()
    assert violations(page) == []


@pytest.mark.parametrize(
    "path", ["/library", "/evals", "/programs", "/documents/observatory.pdf?quote=0-20"]
)
def test_the_other_pages_have_no_serious_violation(
    context: BrowserContext, server: Server, path: str
) -> None:
    page = context.new_page()
    page.goto(f"{server.url}{path}", timeout=60_000)  # a page of a PDF is drawn
    assert violations(page) == []
