from __future__ import annotations

import hashlib
import io
import subprocess
import sys
from pathlib import Path

import docx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rag.documents
from rag.documents import find_documents, read_document
from rag.documents.content import File
from rag.errors import DocumentError
from tests.documents.conftest import Read
from tests.pdfs import make_pdf

LIMIT = 1 << 20


def make_docx() -> bytes:
    document = docx.Document()
    document.add_heading("The end")
    document.add_paragraph("The mission ends in 2025.")
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


SAMPLES = {
    ".txt": b"The end\n\nThe mission ends in 2025.",
    ".md": b"---\ntitle: The end\n---\n\n# End\n\nThe mission ends in 2025.\n",
    ".csv": b'year,event\n2025,"The end,\nat last"\n',
    ".html": b"<title>The end</title><h1>End</h1><p>The mission <b>ends</b> in 2025.</p>",
    ".pdf": make_pdf([["The mission ends in 2025."], ["It is over."]], {"Title": "The end"}),
    ".docx": make_docx(),
}


@pytest.mark.parametrize("suffix", SAMPLES)
def test_every_kind_is_read(read: Read, suffix: str) -> None:
    document = read(f"sample{suffix.upper()}", SAMPLES[suffix])
    assert document.name == f"sample{suffix.upper()}"
    assert document.digest == hashlib.sha256(SAMPLES[suffix]).hexdigest()
    assert "2025" in document.text[document.body :]


@pytest.mark.parametrize("suffix", SAMPLES)
def test_a_file_without_text_is_empty(read: Read, suffix: str) -> None:
    with pytest.raises(DocumentError, match=r"^is empty$"):
        read(f"a{suffix}", b"")


@pytest.mark.parametrize(
    "data", [b" \r\n\t ", b"\xef\xbb\xbf", "\u3000\u2029".encode(), b"---\ntitle: A\n---\n\n"]
)
def test_a_file_of_white_space_or_metadata_only_is_empty(read: Read, data: bytes) -> None:
    with pytest.raises(DocumentError, match=r"^is empty$"):
        read("a.md", data)


def test_a_file_over_the_limit_is_refused_with_both_sizes(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"x" * (3 << 20))
    assert len(read_document(tmp_path, "a.txt", 3 << 20).text) == 3 << 20
    with pytest.raises(DocumentError, match=r"^is 3 MB, over the limit of 2 MB \(max_file_mb\)$"):
        read_document(tmp_path, "a.txt", 2 << 20)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("a.xyz", "no reader for .xyz files: save"), ("README", "no reader for files without an end")],
)
def test_a_file_of_an_unknown_kind_is_refused(read: Read, name: str, reason: str) -> None:
    with pytest.raises(DocumentError, match=reason):
        read(name, b"Text.")


@pytest.mark.parametrize("suffix", [".pdf", ".docx"])
def test_what_a_library_cannot_read_is_one_clause(read: Read, suffix: str) -> None:
    with pytest.raises(DocumentError, match=rf"^is damaged or no true \{suffix} file \(\w+\)"):
        read(f"a{suffix}", b"neither a PDF nor a Word file")


@pytest.mark.parametrize("suffix", SAMPLES)
@settings(max_examples=40)
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused(suffix: str, data: st.DataObject) -> None:
    damaged = bytearray(SAMPLES[suffix])
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        damaged[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(1, len(damaged)))
    try:
        content = rag.documents.parse(suffix, File(bytes(damaged[:cut]), LIMIT))
    except DocumentError as error:
        assert "\n" not in str(error)  # noqa: PT017
        return
    content.text.encode()
    assert "\0" not in content.text
    assert list(content.pages) == sorted(content.pages)
    assert 0 <= content.body <= len(content.text)


@given(text=st.text(st.characters(codec="utf-8", exclude_categories=["Cc"])).filter(str.strip))
def test_offsets_hold_in_the_file(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("corpus")
    for name in ("a.txt", "a.md", "a.csv"):
        (folder / name).write_text(text, encoding="utf-8", newline="")
        with (folder / name).open(encoding="utf-8-sig", newline="") as file:
            assert read_document(folder, name, LIMIT).text == file.read()


def test_one_bad_file_does_not_stop_the_others(tmp_path: Path) -> None:
    for suffix, data in SAMPLES.items():
        (tmp_path / f"good{suffix}").write_bytes(data)
        (tmp_path / f"bad{suffix}").write_bytes(hashlib.shake_256(data).digest(2000))
    read = []
    for name in find_documents(tmp_path):
        try:
            read.append(read_document(tmp_path, name, LIMIT).name)
        except DocumentError:
            assert name.startswith("bad")
    assert read == sorted(f"good{suffix}" for suffix in SAMPLES)


def test_importing_loads_no_library() -> None:
    heavy = {"trafilatura", "lxml", "pypdfium2", "docx", "yaml", "chardet"}
    code = f"import sys, rag.documents; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
