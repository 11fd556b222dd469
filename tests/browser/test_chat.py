"""The chat in a real browser: what a reader sees, and where each citation leads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import FrameLocator, Locator, Page, expect

from rag.build import build_index
from rag.encoder import SentenceEncoder
from rag.generation import open_generation
from rag.settings import Settings
from tests.browser.conftest import ENDLESS, HOSTILE, LIGHTHOUSE, TELESCOPE, TWICE, Server
from tests.conftest import ROOT
from tests.test_offline import ALONE

pytestmark = pytest.mark.slow


def ask(page: Page, question: str) -> Locator:
    """Ask, wait for the turn to end, and return it."""
    turns = page.locator("#thread .turn")
    number = turns.count()
    page.get_by_role("textbox", name="Your question").fill(question)
    page.keyboard.press("Enter")
    turn = turns.nth(number)
    turn.wait_for(timeout=60_000)
    expect(page.locator("#turn .turn")).to_have_count(0)  # nothing moves from here on
    return turn


def open_alone(page: Page, link: Locator) -> Page:
    with page.context.expect_page() as opened:
        link.click()
    opened.value.wait_for_load_state()
    return opened.value


def open_beside(page: Page, link: Locator) -> FrameLocator:
    """Click a link and return the document that the reading pane then shows."""
    link.click()
    return beside(page, link)


def beside(page: Page, link: Locator) -> FrameLocator:
    """The document in the reading pane, once it is the one that the link names."""
    expect(page.locator("#pane .own")).to_have_attribute("href", url_of(link))
    expect(page.locator("#pane[aria-busy=false]")).to_be_visible()
    return page.frame_locator("#pane iframe")


def url_of(link: Locator) -> str:
    return str(link.evaluate("link => link.href"))


def width_beyond(page: Page) -> int:
    """By how many pixels the page must be scrolled sideways."""
    root = "document.documentElement"
    return int(page.evaluate(f"{root}.scrollWidth - {root}.clientWidth"))


QUOTED = {
    "When does the second phase run?": None,
    "How many American soldiers are deployed in Iraq?": None,
    "How many cats did the lighthouse keeper of Quillhaven keep?": LIGHTHOUSE,
    "When did the zeppelin hangar of Friedrichsdorf burn?": HOSTILE,
    "When did the telescope of Brandvik see first light?": TELESCOPE,
    "When does the ferry to Ostergat leave?": TWICE,
    "What is the password of the Marlowe archive?": ENDLESS,
}


def test_every_marker_opens_exactly_its_quote(page: Page) -> None:
    for question, quoted in QUOTED.items():
        turn = ask(page, question)
        markers, words = turn.locator(".marker"), turn.locator(".words")
        assert markers.count() == words.count() > 0, question
        assert words.first.text_content() == quoted or quoted is None
        for number in range(markers.count()):
            assert markers.nth(number).text_content() == f"[{number + 1}]"
            document = open_beside(page, markers.nth(number))
            mark = document.locator("#quote")
            assert mark.text_content() == words.nth(number).text_content()
            expect(mark).to_be_in_viewport()
            expect(mark).to_be_focused()
            assert mark.get_attribute("data-place") == page.locator("#pane .place").text_content()


def test_every_marker_of_fifty_answers_opens_its_quote(page: Page) -> None:
    lines = (ROOT / "tests" / "questions.jsonl").read_text("utf-8").splitlines()
    answered = 0
    for question in map(json.loads, lines):
        if not question["quotes"] or answered == 50:
            continue
        turn = ask(page, question["question"])
        markers, words = turn.locator(".marker"), turn.locator(".words")
        answered += markers.count() > 0
        for number in range(markers.count()):
            mark = open_beside(page, markers.nth(number)).locator("#quote")
            assert mark.text_content() == words.nth(number).text_content(), question
        if answered % 10 == 0:  # a thread of fifty turns is redrawn at each
            page.evaluate("sessionStorage.clear()")
            page.reload()
    assert answered == 50


def test_sources_and_other_places_open_the_same_words(page: Page) -> None:
    turn = ask(page, "When does the ferry to Ostergat leave?")
    links = turn.locator(".sources a")
    titles = set()
    for number in range(2):
        document = open_beside(page, links.nth(number))
        titles.add(document.locator("h1").text_content())
        assert document.locator("#quote").text_content() == TWICE
    assert titles == {"ferry", "ferry 100%"}
    expect(turn.locator(".also")).to_contain_text("also in")


def test_a_page_of_a_pdf_is_named(page: Page) -> None:
    turn = ask(page, "When did the telescope of Brandvik see first light?")
    expect(turn.locator(".sources")).to_contain_text("observatory.pdf, page 3")
    document = open_beside(page, turn.locator(".marker").first)
    expect(page.locator("#pane .place")).to_have_text("page 3")
    assert document.locator(".page").count() == 4
    sheet = document.get_by_role("img", name="Page 3 as printed")
    expect(sheet).to_have_count(1)
    expect(sheet).to_have_js_property("complete", value=True)
    assert sheet.evaluate("sheet => sheet.naturalWidth") == 1224
    above = document.locator("#page-3").bounding_box()
    mark = document.locator("#quote").bounding_box()
    assert above
    assert mark
    assert above["y"] < mark["y"]


def test_hostile_text_is_shown_as_text_and_runs_nothing(page: Page) -> None:
    turn = ask(page, "When did the zeppelin hangar of Friedrichsdorf burn?")
    document = open_beside(page, turn.locator(".marker").first)
    shown = (
        turn.locator(".words").first,
        turn.locator(".preview mark"),
        document.locator("#quote"),
    )
    for words in shown:
        assert words.text_content() == HOSTILE
        assert words.locator("xpath=.//*[not(self::span)]").count() == 0
        assert words.evaluate("words => words.ownerDocument.defaultView.attacked") is None
    assert document.locator("h1").text_content() == "<img src=x onerror=alert(1)>"


def test_a_character_that_turns_the_direction_of_writing_is_named_and_confined(page: Page) -> None:
    turn = ask(page, "When did the zeppelin hangar of Friedrichsdorf burn?")
    override = turn.locator(".words .steering[data-code='U+202E']")
    assert override.count() == 1
    first, fourth = override.evaluate(
        """override => [0, 3].map(place => {
          const range = document.createRange();
          range.setStart(override.nextSibling, place);
          range.setEnd(override.nextSibling, place + 1);
          return range.getBoundingClientRect().left;
        })"""
    )
    assert first < fourth  # from left to right


def test_a_refusal_leads_to_the_nearest_passages(page: Page) -> None:
    turn = ask(page, "How do I bake an apple pie with cinnamon?")
    expect(turn).to_contain_text("The documents do not answer this.")
    links, excerpts = turn.locator(".nearest a"), turn.locator(".excerpt")
    assert links.count() == excerpts.count() == 3
    expect(page.locator("#pane")).to_be_hidden()
    document = open_beside(page, links.first)
    assert document.locator("#quote").text_content() == excerpts.first.text_content()
    page.get_by_role("button", name="Next quote").click()
    document = beside(page, links.nth(1))
    assert document.locator("#quote").text_content() == excerpts.nth(1).text_content()


def test_a_follow_up_is_asked_in_its_thread_or_as_it_was_written(page: Page) -> None:
    ask(page, "When does the coalition's mission in Iraq end?")
    turn = ask(page, "And in Syria?")
    expect(turn.locator(".understood")).to_contain_text(
        "And in Syria? (after “When does the coalition's mission in Iraq end?”)"
    )
    expect(turn.locator(".words").first).to_contain_text("the coalition goes on working in Syria")
    page.reload()  # it keeps the thread
    page.get_by_role("textbox").fill("not sent yet")
    turns = page.locator("#thread .turn")
    turns.nth(1).get_by_role("button", name="Ask as written").click()
    expect(turns).to_have_count(3, timeout=60_000)
    expect(turns.nth(2).locator("h2")).to_have_text("And in Syria?")
    expect(turns.nth(2).locator(".understood")).to_have_count(0)
    expect(page.get_by_role("textbox")).to_have_value("not sent yet")
    ask(page, "How do I bake an apple pie with cinnamon?")
    turn = ask(page, "And the first?")
    expect(turn.locator(".understood")).to_contain_text("(after “")
    other = page.context.new_page()  # a conversation of its own
    other.goto(page.url)
    expect(ask(other, "And in Syria?").locator(".understood")).to_have_count(0)


def test_the_conversation_stays_in_order(page: Page) -> None:
    asked = ["When does the second phase run?", "", "How do I bake an apple pie?"]
    for question in asked:
        ask(page, question)
    turns = page.locator("#thread .turn")
    assert turns.count() == 3
    expect(turns.nth(0).locator("h2")).to_have_text(asked[0])
    expect(turns.nth(1)).to_contain_text("the question is empty")
    expect(turns.nth(2).locator("h2")).to_have_text(asked[2])
    expect(page.get_by_role("textbox")).to_have_value("")


def test_an_overlong_question_is_explained_and_kept(page: Page) -> None:
    question = "why " * 25_000
    turn = ask(page, question)
    expect(turn).to_contain_text("100,000 characters")
    expect(page.get_by_role("textbox")).to_have_value(question)


def test_what_is_typed_while_an_answer_is_on_its_way_stays(page: Page) -> None:
    box = page.get_by_role("textbox")
    box.fill("When does the second phase run?")
    page.keyboard.press("Enter")
    expect(box).to_have_value("")
    box.fill("And the first?")
    page.locator("#thread .turn").wait_for(timeout=60_000)
    expect(box).to_have_value("And the first?")


def test_an_example_is_asked_by_a_click(page: Page) -> None:
    example = page.locator(".example").first
    question = example.text_content()
    example.click()
    turn = page.locator("#thread .turn")
    turn.wait_for(timeout=60_000)
    assert turn.locator("h2").text_content() == question
    assert turn.locator("blockquote").count() > 0


def test_the_first_quote_of_an_answer_is_opened_beside_it_without_taking_the_focus(
    page: Page,
) -> None:
    turn = ask(page, "When does the second phase run?")
    document = beside(page, turn.locator(".marker").first)
    expect(document.locator("#quote")).to_be_in_viewport()
    expect(page.get_by_role("textbox", name="Your question")).to_be_focused()


def test_a_document_opens_on_a_page_of_its_own_too(page: Page) -> None:
    turn = ask(page, "When does the second phase run?")
    beside(page, turn.locator(".marker").first)
    document = open_alone(page, page.get_by_role("link", name="Open alone"))
    mark = document.locator("#quote")
    assert mark.text_content() == turn.locator(".words").first.text_content()
    expect(mark).to_be_in_viewport()


def test_a_pane_that_was_closed_stays_closed_until_a_click(page: Page) -> None:
    marker = ask(page, "When does the second phase run?").locator(".marker").first
    beside(page, marker)
    page.get_by_role("button", name="Close the source").click()
    marker = ask(page, "When does the second phase run?").locator(".marker").first
    expect(page.locator("#pane")).to_be_hidden()
    open_beside(page, marker)


def test_the_keyboard_opens_a_citation_and_comes_back(page: Page) -> None:
    page.set_viewport_size({"width": 800, "height": 800})
    marker = ask(page, "When does the second phase run?").locator(".marker").first
    page.get_by_role("textbox").focus()
    for _ in range(10):
        page.keyboard.press("Shift+Tab")
        if marker.evaluate("e => e === document.activeElement"):
            break
    page.keyboard.press("Enter")
    mark = beside(page, marker).locator("#quote")
    expect(mark).to_be_in_viewport()
    expect(mark).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#pane")).to_be_hidden()
    expect(marker).to_be_focused()


@pytest.mark.parametrize("way", ["hover", "focus"])
def test_a_marker_shows_its_quote_in_its_passage(page: Page, way: str) -> None:
    page.set_viewport_size({"width": 800, "height": 800})
    turn = ask(page, "How many American soldiers are deployed in Iraq?")
    marker, preview = turn.locator(".marker").first, turn.locator(".preview").first
    expect(preview).to_be_hidden()
    getattr(marker, way)()
    expect(preview).to_be_visible()
    expect(preview.locator("mark")).to_have_text(turn.locator(".words").first.text_content() or "")
    expect(preview).to_contain_text("leaves open what will become of the American soldiers")
    expect(preview.locator(".from")).to_contain_text("line 9 · American soldiers")
    page.keyboard.press("Escape")
    expect(preview).to_be_hidden()


def test_a_reload_keeps_the_thread_until_a_new_one_is_begun(page: Page) -> None:
    asked = ["When does the second phase run?", "How do I bake an apple pie?"]
    for question in asked:
        ask(page, question)
    page.reload()
    turns = page.locator("#thread .turn")
    expect(turns.locator("h2")).to_have_text(asked)
    marker = turns.first.locator(".marker").first
    words = turns.first.locator(".words").first.text_content()
    assert open_beside(page, marker).locator("#quote").text_content() == words
    ask(page, "How many American soldiers are deployed in Iraq?")
    expect(turns).to_have_count(3)
    page.get_by_role("button", name="New conversation").click()
    expect(page.locator(".example").first).to_be_visible()
    expect(turns).to_have_count(0)


def test_an_answer_is_copied_and_a_conversation_saved_with_its_citations(
    page: Page, server: Server, tmp_path: Path
) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    turn = ask(page, "How many cats did the lighthouse keeper of Quillhaven keep?")
    ask(page, "How do I bake an apple pie?")
    turn.get_by_role("button", name="Copy").click()
    expect(turn.locator(".copy")).to_have_text("Copied")
    copied = str(page.evaluate("navigator.clipboard.readText()"))
    assert "> The lighthouse keeper of Quillhaven\n> kept forty-one cats" in copied
    assert "*cats \\& goats #1*, cats \\& goats #1.txt, line 3" in copied
    saved = save(page, "Save as Markdown", tmp_path / "saved.md").read_text("utf-8")
    assert saved.startswith(copied.replace("\r\n", "\n"))
    assert "The documents do not answer this." in saved
    values = json.loads(save(page, "Save as JSON", tmp_path / "saved.json").read_bytes())
    (quote,) = values["turns"][0]["quotes"]
    text = open_generation(server.index).document(quote["document"]).text
    assert text[quote["start"] : quote["end"]] == quote["text"] == LIGHTHOUSE
    assert values["turns"][0]["generation"].isdecimal()
    assert [turn["answered"] for turn in values["turns"]] == [True, False]


def test_a_sentence_chosen_in_the_pane_is_kept_as_the_answer(page: Page, server: Server) -> None:
    turn = ask(page, "How many cats did the lighthouse keeper of Quillhaven keep?")
    turn.get_by_role("button", name="Right").click()
    expect(turn.locator("[data-said=right]")).to_have_attribute("aria-pressed", "true")
    document = open_beside(page, turn.locator(".marker").first)
    document.locator("#quote").evaluate(
        """mark => {
          const line = mark.ownerDocument.createTreeWalker(mark.parentNode, NodeFilter.SHOW_TEXT);
          let last; while (line.nextNode()) last = line.currentNode;
          const at = last.data.indexOf("Last line.");
          mark.ownerDocument.getSelection().setBaseAndExtent(last, at, last, at + 10);
        }"""
    )
    page.get_by_role("button", name="This answers it").click()
    expect(turn.locator("[data-said=right]")).to_have_attribute("aria-pressed", "false")
    lines = (server.index / "feedback.jsonl").read_text("utf-8").splitlines()
    right, sentence = (json.loads(line) for line in lines[-2:])
    assert (right["said"], right["quotes"][0]["text"]) == ("right", LIGHTHOUSE)
    assert (sentence["said"], sentence["quotes"][0]["text"]) == ("sentence", "Last line.")


def save(page: Page, name: str, to: Path) -> Path:
    with page.expect_download() as download:
        page.get_by_role("button", name=name).click()
    download.value.save_as(to)
    return to


def test_a_phone_needs_no_sideways_scrolling(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    for question in (*QUOTED, "How do I bake an apple pie?", "y" * 900):
        turn = ask(page, question)
        assert width_beyond(page) <= 0, question
        for link in turn.locator(".marker").all():
            document = open_beside(page, link)
            assert width_beyond(page) <= 0, question
            assert document.locator("html").evaluate("e => e.scrollWidth - e.clientWidth") <= 0
            page.get_by_role("button", name="Close the source").click()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_light_and_dark(page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.reload()
    turn = ask(page, "When does the second phase run?")
    document = open_beside(page, turn.locator(".marker").first)
    shown = [turn.locator(name).first for name in (".words", ".where", ".figures", ".copy")]
    for element in (*shown, document.locator("#quote"), page.locator("#pane .place")):
        assert _contrast(element) >= 4.5


def _contrast(element: Locator) -> float:
    """The ratio of WCAG 2.2 between an element's text and what is behind it."""
    colours = element.evaluate(
        """element => {
          const rgb = colour => {
            const canvas = new OffscreenCanvas(1, 1).getContext("2d");
            canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
            return [...canvas.getImageData(0, 0, 1, 1).data];
          };
          const behind = element => {
            const colour = rgb(getComputedStyle(element).backgroundColor);
            return colour[3] == 255 ? colour : behind(element.parentElement);
          };
          return [rgb(getComputedStyle(element).color), behind(element)];
        }"""
    )
    darker, lighter = sorted(_luminance(colour) for colour in colours)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: list[int]) -> float:
    channels = (value / 255 for value in colour[:3])
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_a_rebuilt_index_is_asked_without_a_restart(
    page: Page, server: Server, encoder: SentenceEncoder
) -> None:
    question = "Who painted the ceiling of the Halmstad library?"
    assert ask(page, question).locator("blockquote").count() == 0
    sentence = "The ceiling of the Halmstad library was painted by Ilse Varga."
    (server.corpus / "halmstad.txt").write_text(sentence)
    build_index(server.corpus, server.index, encoder, Settings())
    assert ask(page, question).locator(".words").first.text_content() == sentence


def test_the_chat_works_with_the_network_cut_off() -> None:
    if subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("unshare or ip is missing, or the kernel forbids network namespaces")
    test = f"{__file__}::{test_sources_and_other_places_open_the_same_words.__name__}"
    command = [*ALONE, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert ran.returncode == 0, ran.stdout
    assert "1 passed" in ran.stdout
