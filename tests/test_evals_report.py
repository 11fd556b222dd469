"""The report as a browser shows it, from a file, with hostile text in every place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Browser, Page

from rag.evals.plots import Axis, Dot, draw_bars, draw_line, round_step
from rag.evals.report import render_report
from rag.evals.run import evaluate, open_set
from rag.settings import Settings
from tests.encoders import WordEncoder
from tests.question_sets import beir_set, place, spans_set, write_lines

HOSTILE = "</script><script>hacked()</script><img src=x onerror=hacked()> <!-- & \u202e\u2028"


@pytest.fixture
def report(tmp_path: Path, words: WordEncoder) -> Path:
    """The report on a set whose questions, kinds and documents are hostile."""
    path = spans_set(tmp_path)
    text = f"The zebra says {HOSTILE} at noon.\n\nThen it sleeps until dawn comes.\n"
    (path / "corpus" / "evil.txt").write_text(text, "utf-8")
    asked = {"id": HOSTILE, "question": f"what says the zebra at noon {HOSTILE}", "kind": HOSTILE}
    extra = [asked | {"quotes": [place("evil.txt", 4, 9)]}]
    lines = (path / "questions.jsonl").read_text()
    write_lines(path / "questions.jsonl", extra)
    (path / "questions.jsonl").write_text((path / "questions.jsonl").read_text() + lines)
    return write_report(path, tmp_path, words)


def write_report(path: Path, tmp_path: Path, words: WordEncoder) -> Path:
    opened = open_set(path, tmp_path, words, Settings(threshold=0.3), cache=tmp_path / "cache")
    file = tmp_path / "report.html"
    file.write_text(render_report(evaluate(opened, words), opened), "utf-8")
    return file


class Elements(HTMLParser):
    """Collects the names of elements, their attributes, and the data of the questions."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.data = ""
        self._in_data = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += attrs
        self._in_data = ("id", "data") in attrs

    def handle_data(self, data: str) -> None:
        if self._in_data:
            self.data += data

    def handle_endtag(self, _tag: str) -> None:
        self._in_data = False


def test_hostile_text_makes_no_element_and_nothing_is_fetched(report: Path) -> None:
    page = Elements(report.read_text("utf-8"))
    assert page.names.count("script") == 2
    assert "img" not in page.names
    assert not [name for name, _ in page.attributes if name in ("src", "href", "onerror")]
    questions = json.loads(page.data)["questions"]
    assert len(questions) == 16
    assert HOSTILE in questions[0]["kind"]
    assert any(HOSTILE in part for part, _ in questions[0]["excerpts"][0]["parts"])


def test_the_parts_of_an_excerpt_are_the_text_with_its_marks(report: Path) -> None:
    page = Elements(report.read_text("utf-8"))
    questions = json.loads(page.data)["questions"]
    for question in questions:
        for excerpt in question["excerpts"]:
            whole = "".join(text for text, _ in excerpt["parts"])
            name = re.search(r": ([\w.]+), line \d+$", excerpt["place"])
            assert name is not None
            stored = report.parent / "birds" / "corpus" / name[1]
            assert whole in stored.read_text("utf-8")
    marked = {marks: text for text, marks in questions[0]["excerpts"][0]["parts"]}
    assert marked["gold quote"] == "zebra"


def test_a_beir_report_lists_the_ranking(tmp_path: Path, words: WordEncoder) -> None:
    page = Elements(write_report(beir_set(tmp_path), tmp_path, words).read_text("utf-8"))
    first = json.loads(page.data)["questions"][0]
    lists = {entry["title"]: entry["items"] for entry in first["lists"]}
    assert "✓ auk/№ 1: The auk" in lists["First documents"]
    assert len(lists["First documents"]) == 10


@pytest.fixture
def page(report: Path, browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    page.add_init_script("window.hacked = () => { window.hurt = true }")
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("request", lambda request: complaints.append(request.url))
    page.goto(report.as_uri())
    yield page
    assert page.evaluate("window.hurt") is None
    assert complaints == [report.as_uri()]  # one request, no error
    page.close()


def test_a_question_opens_to_its_passages(page: Page) -> None:
    rows = page.locator("tr.question")
    assert rows.count() == 16
    button = rows.first.locator("button")
    button.click()
    assert button.get_attribute("aria-expanded") == "true"
    opened = page.locator("tr.opened")
    assert HOSTILE in (opened.locator("pre").first.text_content() or "")
    assert opened.locator("mark.gold.quote").first.text_content() == "zebra"
    button.click()
    assert opened.count() == 0


def test_questions_are_filtered(page: Page) -> None:
    rows = page.locator("tr.question")
    page.fill("#search", "AUK nest")
    assert rows.count() == 1
    assert page.locator("#count").text_content() == "1 of 16"
    page.fill("#search", "")
    page.select_option("#kinds", "far")
    assert rows.count() == 3
    page.select_option("#verdicts", "rightly refused")
    assert set(page.locator("td.verdict").all_text_contents()) == {"rightly refused"}


def test_questions_are_sorted_both_ways_and_what_has_no_value_comes_last(page: Page) -> None:
    heading = page.locator("#head th").filter(has_text="confidence")
    cells = page.locator("#questions td:nth-child(4)")
    heading.locator("button").click()
    rising = [float(text) for text in cells.all_text_contents()]
    assert rising == sorted(rising)
    assert heading.get_attribute("aria-sort") == "ascending"
    heading.locator("button").click()
    assert [float(text) for text in cells.all_text_contents()] == sorted(rising, reverse=True)
    for _ in range(2):
        page.locator("#head button", has_text="gold at").click()
        assert page.locator("#questions td:nth-child(5)").all_text_contents()[-3:] == ["–"] * 3


# Plots


def test_a_line_goes_through_its_points() -> None:
    x, y = Axis("x", 0, 10, [(0, "0"), (10, "10")]), Axis("y", 0, 1, [(0, "0"), (1, "1")])
    svg = ET.fromstring(draw_line([(0, 0), (5, 0.5), (10, 1)], x, y, [Dot(5, 0.5, "<&")]))  # noqa: S314
    line = svg.find("polyline")
    assert line is not None
    points = [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
    (left, bottom), middle, (right, top) = points
    assert middle == ((left + right) / 2, (bottom + top) / 2)
    assert (left < right, top < bottom) == (True, True)
    assert svg.findtext("circle/title") == "<&"


def test_bars_are_as_high_as_their_counts() -> None:
    svg = ET.fromstring(draw_bars([("a", 2), ("<b>", 4), ("c", 0)], "x", "y"))  # noqa: S314
    heights = [float(bar.attrib["height"]) for bar in svg.findall("rect")]
    assert heights[1] == pytest.approx(2 * heights[0], abs=0.2)
    assert heights[2] == 0


def test_no_bars_are_still_a_plot() -> None:
    ET.fromstring(draw_bars([], "x", "y"))  # noqa: S314


@given(st.floats(1e-6, 1e9))
def test_a_round_step_is_the_next_round_number(least: float) -> None:
    step = round_step(least)
    assert least <= step <= 2.5 * least * (1 + 1e-9)
    assert f"{step:e}"[0] in "125"
