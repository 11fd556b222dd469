from __future__ import annotations

import pytest

from tests.documents.conftest import Read


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("The coalition ends in 2025\n\nThe mission is over.", "The coalition ends in 2025"),
        ("\r\n\r\n  The “two phases”  \r\n\r\nThe mission is over.", "The “two phases”"),
        ("The mission is over.\n\nIt ends.", "report"),
        ("He said: “it is over.”\n\nIt ends.", "report"),
        ("Is it over?\n\nIt is.", "report"),
        ("The mission of the\ncoalition is over.\n\nIt ends.", "report"),
        ("Only one line", "report"),
        ("* * *\n\nIt ends.", "report"),
        ("x" * 120 + "\n\nIt ends.", "x" * 120),
        ("x" * 121 + "\n\nIt ends.", "report"),
    ],
)
def test_the_title_is_a_first_line_that_looks_like_one(read: Read, text: str, title: str) -> None:
    assert read("report.txt", text.encode()).title == title


def test_control_characters_stay_in_the_text_and_out_of_the_title(read: Read) -> None:
    document = read("a.txt", "A \x1b[31mred\u202e title\n\nText.".encode())
    assert document.title == "A [31mred title"
    assert document.text == "A \x1b[31mred\u202e title\n\nText."


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.csv"])
def test_newlines_stay_as_they_are(read: Read, name: str, newline: str) -> None:
    text = newline.join(["One, two", "", "“three” 🎉 e\u0301", "four", ""])
    assert read(name, text.encode()).text == text


def test_rows_are_the_decoded_file(read: Read) -> None:
    text = 'country,note\r\nIraq,"two\nlines, ""quoted"""\r\n'
    document = read("troops.csv", b"\xef\xbb\xbf" + text.encode())
    assert (document.text, document.layout, document.body) == (text, "rows", 0)
    assert document.title == "troops"


def test_a_table_of_a_million_columns_is_a_document(read: Read) -> None:
    text = "," * 1_000_000 + "end"
    assert read("wide.csv", text.encode()).text == text
