from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rag.types import Document, Quote


def document(text: str, **values: object) -> Document:
    return Document("notes/a.txt", text, "a", "0" * 64, **values)  # type: ignore[arg-type]


@given(st.text(), st.data())
def test_a_quote_is_its_slice(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    assert Quote(document(text), start, end, 1.0).text == text[start:end]


def test_a_page_is_known_by_where_it_starts() -> None:
    paged = document("one\ntwo\nthree", pages=(0, 4, 8))
    assert [paged.page(offset) for offset in (0, 3, 4, 7, 8, 12)] == [1, 1, 2, 2, 3, 3]
    assert document("one").page(0) is None


def test_a_line_is_counted_from_one() -> None:
    assert [document("a\nb\n\nc").line(offset) for offset in (0, 1, 2, 4, 5)] == [1, 1, 2, 3, 4]


def test_context_leaves_out_a_title_that_is_only_the_files_name() -> None:
    assert document("text").context("Part 1") == "Part 1"
    titled = Document("a.txt", "text", "A title", "0" * 64)
    assert titled.context("Part 1") == "A title\nPart 1"
    assert titled.context("") == "A title"
