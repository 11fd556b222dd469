from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.documents import markdown
from rag.documents.content import File
from tests.documents.conftest import Read

BODY = "# Heading\n\nText.\n"


def test_front_matter_is_metadata_and_no_body(read: Read) -> None:
    front = "---\ntitle: The end: a report\ndate: 2024-09-27\nsource: seed.txt\ntags: [a, b]\n---\n"
    document = read(
        "a.md",
        (front.replace("The end: a", "'The end: a").replace("report", "report'") + BODY).encode(),
    )
    assert document.title == "The end: a report"
    assert (document.date, document.source) == ("2024-09-27", "seed.txt")
    assert document.text[document.body :] == BODY
    assert document.layout == "markdown"


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("end", ["---", "...", "---  "])
def test_front_matter_with_any_newline_and_end(read: Read, newline: str, end: str) -> None:
    text = newline.join(["---", "title: A", end, "", "Text."])
    document = read("a.md", text.encode())
    assert (document.title, document.text) == ("A", text)
    assert document.text[document.body :].strip() == "Text."


@pytest.mark.parametrize(
    ("yaml", "title", "date", "source"),
    [
        ("title: 007\ndate: 2024\nsource: 1.50", "007", "2024", "1.50"),
        ("title: yes\ndate: September 2024", "yes", "2024-09", None),
        ("Title: ~\nDate: 09/10/2024\nsource:", "Heading", None, None),
        ("title: [a, b]\ndate: {a: 1}", "Heading", None, None),
        ('title: "two\\nlines \\u202e \\uD800 \\0 end"', "two lines end", None, None),
        ("title: &t Same\nsource: *t", "Same", None, "Same"),
        ("title: The end: a report\r\ndate: 2024", "The end: a report", "2024", None),
        ("title: " + "long " * 100, "long " * 39 + "long…", None, None),
        ("", "Heading", None, None),
        ("# only a comment", "Heading", None, None),
        ('source: a\ntitle: "\\UFFFFFFFF', '"\\UFFFFFFFF', None, "a"),
        ("deep: " + "[" * 5_000, "Heading", None, None),
        ("title: !!python/object/apply:os.getcwd []", "Heading", None, None),
    ],
)
def test_values_are_taken_as_written(
    read: Read, yaml: str, title: str, date: str | None, source: str | None
) -> None:
    document = read("a.md", f"---\n{yaml}\n---\n{BODY}".encode())
    assert (document.title, document.date, document.source) == (title, date, source)
    assert document.text[document.body :] == BODY


@pytest.mark.parametrize("merge", ["[*{0}, *{0}]", "{{<<: [*{0}, *{0}, *{0}]}}"])
def test_aliases_are_not_expanded(read: Read, merge: str) -> None:
    names = [f"n{i}" for i in range(60)]
    lines = [f"{b}: &{b} {merge.format(a)}" for a, b in pairwise(names)]
    yaml = "\n".join(["title: Small", "n0: &n0 {k: v}", *lines])
    assert read("a.md", f"---\n{yaml}\n---\n{BODY}".encode()).title == "Small"


@pytest.mark.parametrize(
    "text",
    [
        "---\n\nProse between two rules.\n\n---\n\nMore.\n",
        "---\nHe said: this: and that\ntitle: A\n---\n",
        "--- title: A ---\nText.",
        "---\ntitle: never closed\n\nText.",
        " ---\ntitle: A\n---\nText.",
        "Text.\n---\ntitle: A\n---\n",
    ],
)
def test_what_is_no_front_matter_is_text(read: Read, text: str) -> None:
    assert read("a.md", text.encode()).body == 0


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("# The **end** of [it](http://x.example/) `now` ##\n", "The end of it now"),
        ("Intro.\n\n### Deeper\n\n# Later\n", "Deeper"),
        ("Intro.\n\nUnderlined\n=====\n", "Underlined"),
        ("Underlined too\r\n---\r\n", "Underlined too"),
        ("```\n# a comment\n```\n\n# Heading\n", "Heading"),
        ("~~~\n# a\n```\n# b\n~~~\n# Heading\n", "Heading"),
        ("#hashtag and\n\n####### seven\n", "a"),
        ("* * *\n\n---\n\nText.\n", "a"),
        ("#   \n\n# " + "[" * 100_000, "[" * 199 + "…"),
    ],
)
def test_the_title_is_the_first_heading(read: Read, text: str, title: str) -> None:
    assert read("a.md", text.encode()).title == title
    assert read("a.markdown", text.encode()).title == title


@given(st.text(st.sampled_from("-.: \n\rab#=`~[]{}&*!\"'")))
def test_the_body_is_a_slice_after_front_matter_or_all(text: str) -> None:
    content = markdown.read(File(text.encode(), limit=1000))
    front = text[: content.body]
    assert content.text == text
    assert front == "" or (front.startswith("---") and front.rstrip()[-3:] in ("---", "..."))
