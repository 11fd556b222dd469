from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops
from pypdfium2 import PdfDocument, PdfPage

from rag.documents.child import MEMORY
from rag.documents.content import File
from rag.documents.pdf import read, trace
from rag.documents.sheet import Box, draw_sheet, find_boxes
from rag.errors import DocumentError
from tests.pdfs import make_pdf

PAGES = [["Stars shine at night.", "Comets pass", "by and return."], ["The moon waxes."]]


@contextmanager
def opened(data: bytes) -> Iterator[PdfDocument]:
    pdf = PdfDocument(data)
    try:
        yield pdf
    finally:
        pdf.close()


def text_of(data: bytes) -> str:
    return read(File(data, 1 << 20)).text


_LINE = st.text(alphabet="abc ABC.,-é", min_size=1, max_size=12)


@given(st.lists(st.lists(_LINE, max_size=5), min_size=1, max_size=4), st.data())
def test_every_character_of_a_span_is_traced_to_itself(
    pages: list[list[str]], data: st.DataObject
) -> None:
    file = make_pdf([["Word one", *page, "word two"] for page in pages])
    text = text_of(file)
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    with opened(file) as pdf:
        traced, places = trace(pdf, 1 << 20, [(start, end)])
        found = [pdf[page - 1].get_textpage().get_text_range(place, 1) for page, place in places]
    assert traced == text
    shown = text[start:end].replace("\n", "")
    assert "".join("-" if char in "\x02\ufffe" else char for char in found) == shown


def test_a_word_broken_at_a_hyphen_is_traced_on_both_lines() -> None:
    file = make_pdf([["The obser-", "vatory stands on a hill."]])
    text = text_of(file)
    start = text.index("observatory")
    with opened(file) as pdf:
        _, places = trace(pdf, 1 << 20, [(start, start + len("observatory"))])
        boxes = list(find_boxes(pdf[0], [place for _, place in places]))
    above, below = boxes
    assert above[3] <= below[1] + 0.005
    assert above[0] > below[0]


def boxes_of(file: bytes, words: str, *, turned: int = 0) -> list[Box]:
    text = text_of(file)
    start = text.index(words)
    with opened(file) as pdf:
        _, places = trace(pdf, 1 << 20, [(start, start + len(words))])
        page: PdfPage = pdf[places[0][0] - 1]
        page.set_rotation(turned)
        return list(find_boxes(page, [place for _, place in places]))


def test_a_box_stands_around_its_words() -> None:
    (box,) = boxes_of(make_pdf(PAGES), "Stars shine")
    left, top, right, bottom = box
    assert left == pytest.approx(72 / 612, abs=0.002)
    assert right < 0.25  # "at night." goes on
    assert top < 1 - 720 / 792 < bottom  # the base line
    assert bottom - top < 0.03


def test_words_on_two_lines_have_two_boxes() -> None:
    above, below = boxes_of(make_pdf(PAGES), "Comets pass\nby and return.")
    assert above[0] == pytest.approx(below[0], abs=0.002)
    assert above[1] < below[1]


def test_a_box_turns_with_its_page() -> None:
    boxes = boxes_of(make_pdf(PAGES), "Stars shine", turned=90)
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    assert min(tops) == pytest.approx(72 / 612, abs=0.002)
    assert max(bottoms) - min(tops) > 3 * (max(rights) - min(lefts))


def test_a_sheet_is_marked_where_the_words_are_and_nowhere_else() -> None:
    file = make_pdf(PAGES)
    text = text_of(file)
    start = text.index("Comets")
    image = draw_sheet(file, 1, [(start, start + len("Comets"))], text)
    plain = draw_sheet(file, 1, [], text)
    with Image.open(BytesIO(image)) as marked, Image.open(BytesIO(plain)) as unmarked:
        assert marked.size == unmarked.size == (1224, 1584)
        (left, top, right, bottom) = boxes_of(file, "Comets")[0]
        change = ImageChops.difference(marked.convert("L"), unmarked.convert("L"))
        bounds = change.point(lambda value: 255 * (value > 16)).getbbox()
        assert bounds
        shares = [bounds[0] / 1224, bounds[1] / 1584, bounds[2] / 1224, bounds[3] / 1584]
        assert shares == pytest.approx([left, top, right, bottom], abs=0.006)


def test_nothing_is_marked_by_offsets_into_another_text() -> None:
    file = make_pdf(PAGES)
    with pytest.raises(DocumentError, match="rag index"):
        draw_sheet(file, 1, [(0, 5)], text_of(file) + " ")


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
def test_the_memory_of_drawing_is_bounded() -> None:
    command = [sys.executable, "-m", "rag.documents.sheet"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as drawing:
        limits = Path(f"/proc/{drawing.pid}/limits")
        end = time.monotonic() + 60
        while (found := limits.read_text()).count(str(MEMORY)) < 2 and time.monotonic() < end:
            time.sleep(0.05)
        drawing.kill()
    assert re.search(rf"Max address space +{MEMORY} ", found)


def test_a_file_that_is_no_pdf_is_refused() -> None:
    with pytest.raises(DocumentError, match="cannot be drawn"):
        draw_sheet(b"%PDF-1.4 nothing", 1, [], "")
