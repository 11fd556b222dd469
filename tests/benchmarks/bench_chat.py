"""How long the browser takes from a sent question to its first quote, and what the page weighs.

    python -m tests.benchmarks.bench_chat URL [QUESTIONS]

asks each question of a running chat twice and counts the second time, in Debian's Chromium.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import quantiles

from playwright.sync_api import Page, Response, sync_playwright

from tests.conftest import CHROMIUM, ROOT, SWITCHES

_COUNT = 50  # questions asked

# Milliseconds from the click on the button to the frame that shows the first quote, or the refusal,
# and to the one that shows the whole answer.
_ASK = """
question => new Promise((resolve, reject) => {
  setTimeout(reject, 30000, `no answer to: ${question}`);
  const box = document.querySelector("#box textarea");
  const count = parts => document.querySelectorAll(`.turn :is(${parts})`).length;
  const before = [count(".words, .refusal"), count(".figures")];
  const times = [];
  box.value = question;
  box.dispatchEvent(new Event("input"));
  setTimeout(() => {
    const sent = performance.now();
    new MutationObserver((_, observer) => {
      const shown = [count(".words, .refusal") > before[0], count(".figures") > before[1]];
      if (shown[1]) observer.disconnect();
      if (shown[0]) requestAnimationFrame(() => {
        times.push(performance.now() - sent);
        if (shown[1]) resolve([times[0], times.at(-1)]);
      });
    }).observe(document.body, {subtree: true, childList: true});
    document.querySelector(".submit-button").click();
  });
})
"""


def main(url: str, questions: Path = ROOT / "tests" / "questions.jsonl") -> None:
    """Print the page's weight, then the times."""
    lines = questions.read_text("utf-8").splitlines()
    asked = [json.loads(line)["question"] for line in lines[:_COUNT]]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        print(f"{_weigh(page, url):,} bytes, as sent")  # noqa: T201
        times = [_time(page, question) for question in asked]
        browser.close()
    for name, column in zip(("first quote", "whole answer"), zip(*times, strict=True), strict=True):
        p50, p95 = quantiles(column, n=20)[9], quantiles(column, n=20)[18]
        print(f"{len(column)} questions, {name}: p50 {p50:.0f} ms, p95 {p95:.0f} ms")  # noqa: T201


def _weigh(page: Page, url: str) -> int:
    """Open the page and return the bytes of all bodies, as sent."""
    responses: list[Response] = []
    page.on("response", lambda response: responses.append(response))  # noqa: PLW0108
    page.goto(url)
    _wait(page)
    page.wait_for_timeout(1_500)  # Gradio opens a stream that never goes quiet
    ended = [
        response.request for response in responses if response.request.timing["responseEnd"] > 0
    ]
    return sum(request.sizes()["responseBodySize"] for request in ended)


def _time(page: Page, question: str) -> tuple[float, float]:
    for _ in range(2):
        first, whole = page.evaluate(_ASK, question)
        page.wait_for_timeout(300)  # the turn joins the thread, the pane opens
    if page.locator("#thread .turn").count() > 20:
        page.evaluate("sessionStorage.clear()")
        page.reload()
        _wait(page)
    return first, whole


def _wait(page: Page) -> None:
    """Until the page listens: then its server has greeted it."""
    page.locator("#welcome p").wait_for()


if __name__ == "__main__":
    main(sys.argv[1], *map(Path, sys.argv[2:3]))
