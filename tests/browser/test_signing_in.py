"""Signing in and out in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from rag.accounts import Accounts, add_account
from rag.settings import Settings
from rag.web.library import Library
from rag.web.server import make_app
from tests.encoders import WordEncoder
from tests.serving import serving

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # Gradio leaves loops unclosed
]
PASSWORD = "correct horse battery staple"  # noqa: S105


def test_one_signs_in_and_out_again_on_every_page(
    browser: Browser, corpus: Path, index: Path, words: WordEncoder, tmp_path: Path
) -> None:
    add_account(tmp_path / "accounts", "ada", PASSWORD)
    library = Library(corpus, index, Settings(), words)
    app = make_app(library, Accounts(tmp_path / "accounts"))
    with serving(app) as url, browser.new_context() as context:
        page = context.new_page()
        for path in ("/", "/library", "/evals", "/programs"):
            page.goto(f"{url}{path}")
            page.get_by_label("Name").fill("ada")
            page.get_by_label("Password").fill(PASSWORD)
            page.get_by_role("button", name="Sign in").click()
            page.get_by_role("button", name="Sign out").click()
            expect(page.get_by_label("Password")).to_be_visible()
            page.goto(f"{url}{path}")
            expect(page.get_by_label("Password")).to_be_visible()
