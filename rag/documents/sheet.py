"""A page of a PDF as an image, with boxes over the characters that are quoted.

The page is drawn in a process of its own, bounded in time and memory as the one that parses:
libraries in C can hang or crash over a hostile file.

    to it:   {"page": …, "spans": …, "digest": …} on a line, then the file's bytes
    from it: the image as WebP, or nothing where the text is not the one that was quoted
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from ctypes import c_int
from io import BytesIO
from typing import TYPE_CHECKING

from rag.documents.child import limit_memory, limit_time
from rag.documents.pdf import Span, trace
from rag.errors import DocumentError

if TYPE_CHECKING:
    from PIL import Image
    from pypdfium2 import PdfPage

Box = tuple[float, float, float, float]  # left, top, right, bottom; shares of the page, 0..1

_SECONDS = 30
_LONGEST_SIDE = 1_600  # pixels
_SCALE = 2.0  # pixels a point: 144 to the inch
_MARK = (255, 233, 168)  # multiplied with the page, as a marker pen does
_EXACT = 1 << 20  # pixels of a side on which places are computed


def draw_sheet(data: bytes, page: int, spans: Sequence[Span], text: str) -> bytes:
    """Page ``page``, from 1, of the PDF in ``data`` as WebP; the spans of its text are marked.

    Raises DocumentError where it cannot be drawn, and where ``text``, the one that the spans count
    in, is not what is read from the file now.
    """
    head = {"page": page, "spans": list(spans), "digest": _digest(text)}
    path = os.pathsep.join(map(os.path.abspath, filter(None, sys.path)))
    try:
        ran = subprocess.run(
            [sys.executable, "-P", "-m", "rag.documents.sheet"],
            input=json.dumps(head).encode() + b"\n" + data,
            capture_output=True,
            timeout=_SECONDS,
            env=os.environ | {"PYTHONPATH": path},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise DocumentError(f"takes more than {_SECONDS} seconds to draw") from None
    if not ran.stdout.startswith(b"RIFF"):
        raise DocumentError("cannot be drawn: rag index reads it anew")
    return ran.stdout


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


# In the process


def main() -> None:
    """Draw what standard input asks for; write nothing where the text is another one."""
    from pypdfium2 import PdfDocument

    limit_memory()
    limit_time(_SECONDS + 1)
    head = json.loads(sys.stdin.buffer.readline())
    pdf = PdfDocument(sys.stdin.buffer.read())
    text, places = trace(pdf, sys.maxsize, head["spans"])
    if _digest(text) == head["digest"]:
        page = pdf[head["page"] - 1]
        marked = [place for number, place in places if number == head["page"]]
        sys.stdout.buffer.write(_draw(page, list(find_boxes(page, marked))))


def find_boxes(page: PdfPage, places: Sequence[int]) -> Iterator[Box]:
    """One box for each run of characters on a line, in their order."""
    textpage = page.get_textpage()
    run: Box | None = None
    for place in places:
        box = _on_page(page, *textpage.get_charbox(place, loose=True))
        if box[0] == box[2]:
            continue  # white space that pdfium put in
        if run and _goes_on(run, box):
            run = min(run[0], box[0]), min(run[1], box[1]), max(run[2], box[2]), max(run[3], box[3])
            continue
        if run:
            yield run
        run = box
    if run:
        yield run


def _goes_on(run: Box, box: Box) -> bool:
    """Whether a character stands on the line of those before it, and not far from them."""
    height = max(run[3] - run[1], box[3] - box[1])
    overlap = min(run[3], box[3]) - max(run[1], box[1])
    return overlap > height / 2 and run[0] - 2 * height < box[0] < run[2] + 2 * height


def _on_page(page: PdfPage, left: float, bottom: float, right: float, top: float) -> Box:
    """A box in the page's points as shares of the page as it is shown: turned and cropped."""
    from pypdfium2 import raw

    corners = []
    for x, y in ((left, bottom), (right, top)):
        across, down = c_int(), c_int()
        raw.FPDF_PageToDevice(page, 0, 0, _EXACT, _EXACT, 0, x, y, across, down)
        corners.append((across.value / _EXACT, down.value / _EXACT))
    (x0, y0), (x1, y1) = corners
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def _draw(page: PdfPage, boxes: Sequence[Box]) -> bytes:
    from PIL import Image, ImageChops, ImageDraw

    scale = min(_SCALE, _LONGEST_SIDE / max(page.get_size()))
    sheet: Image.Image = page.render(scale=scale).to_pil().convert("RGB")
    marks = Image.new("RGB", sheet.size, "white")
    pen = ImageDraw.Draw(marks)
    for left, top, right, bottom in boxes:
        shape = (left * sheet.width, top * sheet.height, right * sheet.width, bottom * sheet.height)
        pen.rectangle(shape, fill=_MARK)
    out = BytesIO()
    ImageChops.multiply(sheet, marks).save(out, "WEBP", quality=85)
    return out.getvalue()


if __name__ == "__main__":
    main()
