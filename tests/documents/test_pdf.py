from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rag.documents import pdf, read_document
from rag.documents.content import File
from rag.errors import DocumentError
from tests.documents.conftest import Read
from tests.pdfs import make_pdf

PAGES = [
    ["The mission ends in 2025.", "The troops leave."],
    ["The second phase lasts a year.", "“Bases” (some) \\ close, says José."],
    ["It is over."],
]


def test_pages_are_joined_and_known(read: Read) -> None:
    document = read("a.pdf", make_pdf(PAGES))
    assert document.text == "\n\n".join("\n".join(lines) for lines in PAGES)
    assert [document.text[start:][:5] for start in document.pages] == ["The m", "The s", "It is"]
    for number, lines in enumerate(PAGES, start=1):
        assert {document.page(document.text.index(line)) for line in lines} == {number}
    assert document.layout == "prose"


def test_an_empty_page_counts(read: Read) -> None:
    document = read("a.pdf", make_pdf([[], ["Two."], [], ["Four."], []]))
    assert document.text == "Two.\n\nFour."
    assert [document.page(document.text.index(word)) for word in ("Two", "Four")] == [2, 4]


def test_a_sentence_runs_over_to_the_next_page(read: Read) -> None:
    document = read("a.pdf", make_pdf([["The troops will leave,", "1"], ["as agreed.", "2"]]))
    assert document.text == "The troops will leave,\nas agreed."
    assert document.page(document.text.index("as agreed")) == 2


def test_metadata(read: Read) -> None:
    info = {"Title": "Das Ende – ein Bericht 🎉", "CreationDate": "D:20240927120000+02'00'"}
    document = read("a.pdf", make_pdf(PAGES, info))
    assert (document.title, document.date) == ("Das Ende – ein Bericht 🎉", "2024-09-27")


@pytest.mark.parametrize(
    "title",
    [
        *("", "  ", "untitled", "Untitled 2", "Microsoft Word - report.doc", "report.docx"),
        *("Document1", "PowerPoint Presentation", "(anonymous)"),
    ],
)
def test_a_title_that_a_program_put_there_is_none(read: Read, title: str) -> None:
    assert read("report.pdf", make_pdf(PAGES, {"Title": title})).title == "report"


@pytest.mark.parametrize(
    ("stamp", "date"),
    [("D:2024", "2024"), ("D:202409", "2024-09"), ("2024-09-27", "2024-09-27"), ("D:9", None)],
)
def test_dates(read: Read, stamp: str, date: str | None) -> None:
    assert read("a.pdf", make_pdf(PAGES, {"CreationDate": stamp})).date == date


def test_a_wide_gap_parts_paragraphs(read: Read) -> None:
    lines = ["Two phases", "", "The first one lasts a year,", "The Post wrote.", "", "It is short."]
    text = read("a.pdf", make_pdf([lines])).text
    assert text == "Two phases\n\nThe first one lasts a year,\nThe Post wrote.\n\nIt is short."


def test_words_broken_at_a_hyphen_are_joined(read: Read) -> None:
    lines = ["They sus-", "pend the well-known work of 2024-", "2025, says the Co-", "Founder."]
    text = read("a.pdf", make_pdf([lines])).text
    assert text == "They suspend the well-known work of 2024-\n2025, says the Co-Founder."


def test_control_characters_are_dropped(read: Read) -> None:
    assert read("a.pdf", make_pdf([["be\x02fore \x07after", "a soft\xad", "hyphen"]])).text == (
        "before after\na softhyphen"
    )


def test_headers_footers_and_page_numbers_are_left_out(read: Read) -> None:
    pages = [
        ["Annual report", f"Sentence {word} goes on", "ACME – confidential", f"Page {n} of 4"]
        for n, word in enumerate(["one", "two", "three", "four"], start=1)
    ]
    document = read("a.pdf", make_pdf(pages))
    first, *later = document.text.split("\n\n")
    assert first.split("\n") == ["Annual report", "Sentence one goes on", "ACME – confidential"]
    assert later == ["Sentence two goes on", "Sentence three goes on", "Sentence four goes on"]


def test_ligatures_are_spelled(read: Read) -> None:
    lines = ["A \x1crst e\x1bect, o\x1ece, \x1cled, a \x1dag."]
    assert read("a.pdf", make_pdf([lines])).text == "A first effect, office, filed, a flag."


@pytest.mark.parametrize(
    ("drawn", "text"),
    [
        (b"[(Jos\xb4) 333 (e)] TJ", "José"),
        (b"[(uf ) 1001 (\xa8 ) -112 (r)] TJ", "üfr"),
        (b"[(uf ) 1001 (\xa8 ) -512 (r)] TJ", "üf r"),
        (b"(x\xb4y, 5\xb4) Tj", "x´y, 5´"),
    ],
)
def test_accents_are_set_on_the_letters_under_them(read: Read, drawn: bytes, text: str) -> None:
    assert read("a.pdf", make_pdf([[drawn]])).text == text


def test_filled_in_fields_are_read(read: Read) -> None:
    pdf = make_pdf([["Name:", "Court:"], ["Page two."]], fields=["Ada Lovelace", "High Court"])
    document = read("a.pdf", pdf)
    assert document.text == "Name:\nCourt:\n\nAda Lovelace\nHigh Court\n\nPage two."
    assert document.page(document.text.index("High Court")) == 1


def test_notes_and_footers_drawn_first_come_last(read: Read) -> None:
    page: list[str | bytes] = [
        b"0 -600 Td",
        "-1-",
        b"0 60 Td",
        "1 See above.",
        b"0 550 Td",
        "We hold",
    ]
    assert read("a.pdf", make_pdf([[*page, "that so it is."]])).text.split("\n\n") == [
        *("We hold\nthat so it is.", "1 See above.")
    ]


def test_columns_keep_their_order(read: Read) -> None:
    columns: list[str | bytes] = ["Left one.", "Left two.", b"200 42 Td", "Right one.", "And two."]
    text = read("a.pdf", make_pdf([columns])).text
    assert text.split() == "Left one. Left two. Right one. And two.".split()


def test_chapters_headers_and_the_numbers_printed_on_pages_are_left_out(read: Read) -> None:
    cover = [["A report"], ["Contents", "ii"]]
    chapters = [
        [f"{n} Chapter 9. The mission" if n % 2 else f"9.1. Its aims {n}", f"words {word} go on"]
        for n, word in enumerate(["one", "two", "three", "four", "five", "six"], start=1)
    ]
    last = [["Chapter 2. The end", f"words {word} end", str(n)] for n, word in ((7, "a"), (8, "b"))]
    document = read("a.pdf", make_pdf([*cover, *chapters, *last]))
    assert "ii" not in document.text
    assert "Its aims" not in document.text
    assert "Chapter 9" not in document.text
    assert "words one go on\nwords two go on\nwords three go on" in document.text
    assert document.text.count("Chapter 2. The end") == 2  # as on too few pages to be a header
    assert not document.text.endswith("8")
    assert document.page(document.text.index("words six")) == 8


def test_headings_with_numbers_that_are_not_the_page_s_stay(read: Read) -> None:
    pages = [[f"Schedule {n}", f"The {n}th duty.", str(n + 10)] for n in range(1, 7)]
    document = read("a.pdf", make_pdf(pages))
    assert document.text.count("Schedule") == 6
    assert "11" not in document.text


def test_a_line_that_far_pages_share_is_no_header(read: Read) -> None:
    pages = [["Example" if n in (1, 7, 13) else f"Line {n * n}", "text"] for n in range(15)]
    assert read("a.pdf", make_pdf(pages)).text.count("Example") == 3


def test_numbers_at_the_foot_of_a_page_that_are_not_its_own_stay(read: Read) -> None:
    pages = [[f"Item {n}.", f"Total {n * 100}"] for n in (5, 6, 7)]
    assert read("a.pdf", make_pdf(pages)).text.count("Total") == 3


def test_encrypted_files(read: Read) -> None:
    with pytest.raises(DocumentError, match="is encrypted: save it without a password"):
        read("a.pdf", make_pdf(PAGES, {}, "secret"))
    opens_without = read("b.pdf", make_pdf(PAGES, {"Title": "The end"}, ""))
    assert opens_without.text == read("c.pdf", make_pdf(PAGES)).text
    assert opens_without.title == "The end"


@pytest.mark.parametrize("pages", [[[]], [[], []], [["  "]]])
def test_a_scan_without_text_says_so(read: Read, pages: list[list[str]]) -> None:
    with pytest.raises(DocumentError, match="has no text: run OCR on it first"):
        read("a.pdf", make_pdf(pages))


@pytest.mark.parametrize(
    "data", [b"", b"%PDF-1.4", b"junk" * 100, make_pdf(PAGES)[:300]], ids=["0", "1", "2", "3"]
)
def test_damaged_files(read: Read, data: bytes) -> None:
    with pytest.raises(DocumentError, match=r"is empty|is damaged or no true \.pdf file"):
        read("a.pdf", data)


def test_too_much_text_is_refused() -> None:
    data = make_pdf(PAGES)
    assert pdf.read(File(data, limit=1000)).text
    with pytest.raises(DocumentError, match="holds more text"):
        pdf.read(File(data, limit=50))


def test_too_many_pages_are_refused(read: Read) -> None:
    data = make_pdf(PAGES).replace(b"/Count 3", b"/Count 30000")
    with pytest.raises(
        DocumentError, match=r"has 30,000 pages, over the limit of 20,000: split it"
    ):
        read("a.pdf", data)


def test_a_page_tree_that_loops_ends(read: Read) -> None:
    data = make_pdf(PAGES).replace(b"/Kids [6 0 R", b"/Kids [2 0 R")
    with pytest.raises(DocumentError, match="is damaged"):
        read("a.pdf", data)


def test_threads_can_read_at_once(tmp_path: Path) -> None:
    names = [f"{n}.pdf" for n in range(8)]
    for name in names:
        (tmp_path / name).write_bytes(make_pdf([[f"This is {name}."]] * 20))
    with ThreadPoolExecutor(4) as pool:
        texts = list(pool.map(lambda name: read_document(tmp_path, name, 1 << 20).text, names))
    assert all(f"This is {name}." in text for name, text in zip(names, texts, strict=True))
