"""The briefs that ship and the questions asked of them: complete, and true to each other."""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
CORPUS = ROOT / "corpus"
QUESTIONS = ROOT / "tests" / "questions.jsonl"
BRIEFS = (  # by name, because a user's own files lie in the same folder
    "africa-and-central-asia.md",
    "announcement.md",
    "coalition-history.md",
    "islamic-state-in-iraq.md",
    "pledges.md",
    "reasons.md",
    "syria.md",
    "talks-and-attacks.md",
    "troops.md",
    "two-phases.md",
    "what-officials-said.md",
    "where-the-sources-differ.md",
)
SOURCES = {"000_45031f1af6fb0fd4.txt", "003_0713807caf8b122b.txt"}

LEAST = {"fact": 20, "paraphrase": 12, "two-documents": 8, "follow-up": 6, "near": 11, "far": 11}
UNANSWERABLE = {"near", "far"}

FIGURES = (
    "27 September 2024",
    "end of September 2025",
    "September 2025 to September 2026",
    "12 months",
    "early September 2024",
    "2,500 American soldiers",
    "29 March 2020",
    "winter of 2023",
    "created in 2014",
    "existed for ten years",
    "12 countries",
    "grown to 87",
    "end of 2017",
    "two years after the one in Iraq, which means in 2019",
    "billions of dollars in the five years",
    "$148 million",
    "$168 million",
)

NAMES = (
    "Washington",
    "Baghdad",
    "Kirkuk",
    "Kurdistan",
    "Gaza",
    "Iran",
    "Syria",
    "France",
    "Great Britain",
    "sub-Saharan Africa",
    "Central Asia",
    "Middle East",
    "Thabet al-Abbassi",
    "Antony Blinken",
    "Ahmad al-Rubaye",
    "D-ISIS Ministerial",
    "Stabilization Pledge Drive",
)


@cache
def read(name: str) -> str:
    with (CORPUS / name).open(encoding="utf-8", newline="") as file:
        return file.read()


def front_matter(name: str) -> tuple[dict[str, Any], str]:
    """What stands between the two rules at the top of a brief, and the text below them."""
    opening, head, body = re.split(r"^---\n", read(name), maxsplit=2, flags=re.MULTILINE)
    assert opening == ""
    return yaml.safe_load(head), body


def briefs_text() -> str:
    return "\n".join(front_matter(name)[1] for name in BRIEFS)


@cache
def questions() -> list[dict[str, Any]]:
    return [json.loads(line) for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [question for question in questions() if question["kind"] == kind]


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


FUNCTION_WORDS = words(
    "a an and are as at be become been by did do does for from had has have how in is it its "
    "many more no not of on one or out s such than that the this those to up was were what when "
    "where which while who will with"
)


@pytest.mark.parametrize("name", BRIEFS)
def test_front_matter_is_complete(name: str) -> None:
    head, _ = front_matter(name)
    assert set(head) == {"title", "date", "source"}
    assert head["title"].strip()
    assert re.fullmatch(r"2024(-09-27)?", str(head["date"]))
    named = head["source"].split(", ")
    assert set(named) <= SOURCES
    assert len(set(named)) == len(named)


@pytest.mark.parametrize("name", BRIEFS)
def test_a_brief_is_short_and_has_headings(name: str) -> None:
    _, body = front_matter(name)
    assert 120 <= len(body.split()) <= 300
    assert len(re.findall(r"^## \S", body, flags=re.MULTILINE)) >= 2


def test_titles_tell_the_briefs_apart() -> None:
    assert len({front_matter(name)[0]["title"] for name in BRIEFS}) == len(BRIEFS)


@pytest.mark.parametrize("stated", FIGURES + NAMES)
def test_figure_or_name_is_stated(stated: str) -> None:
    assert stated in briefs_text()


def test_the_briefs_say_where_the_sources_differ() -> None:
    head, body = front_matter("where-the-sources-differ.md")
    assert set(head["source"].split(", ")) == SOURCES
    assert all(source in body for source in SOURCES)
    assert "The sources differ on the end of the mission" in body


def test_a_line_has_the_fields_of_the_spans_layout() -> None:
    for question in questions():
        assert set(question) == {"id", "question", "quotes", "kind"}
        assert question["question"].endswith("?")
        for quote in question["quotes"]:
            assert set(quote) == {"document", "start", "end", "text"}


def test_ids_and_questions_are_unique() -> None:
    for field in ("id", "question"):
        assert len({question[field] for question in questions()}) == len(questions())


def test_gold_spans_are_slices_of_the_briefs() -> None:
    for question in questions():
        for quote in question["quotes"]:
            text = read(quote["document"])
            sliced = text[quote["start"] : quote["end"]]
            assert sliced == quote["text"], question["id"]
            assert sliced == sliced.strip() != "", question["id"]
            assert "\n" not in sliced, question["id"]
            body = len(text) - len(front_matter(quote["document"])[1])
            assert quote["start"] >= body, question["id"]


def test_every_brief_answers_a_question() -> None:
    answering = {quote["document"] for question in questions() for quote in question["quotes"]}
    assert answering == set(BRIEFS)


def test_there_are_enough_questions_of_each_kind() -> None:
    counts = Counter(question["kind"] for question in questions())
    assert set(counts) == set(LEAST)
    assert all(counts[kind] >= least for kind, least in LEAST.items()), counts
    answerable = sum(counts[kind] for kind in counts if kind not in UNANSWERABLE)
    assert answerable >= 50
    assert counts.total() - answerable >= 22


def test_only_the_unanswerable_have_no_quotes() -> None:
    for question in questions():
        assert (not question["quotes"]) == (question["kind"] in UNANSWERABLE), question["id"]


def test_two_documents_are_needed_where_it_says_so() -> None:
    for question in of_kind("two-documents"):
        assert len({quote["document"] for quote in question["quotes"]}) >= 2, question["id"]


def test_a_paraphrase_shares_no_content_word_with_its_answers() -> None:
    for question in of_kind("paraphrase"):
        asked = words(question["question"]) - FUNCTION_WORDS
        for quote in question["quotes"]:
            assert not asked & words(quote["text"]), question["id"]
