from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import docx
import pytest
from docx.opc.constants import CONTENT_TYPE as CT
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.oxml import parse_xml

from rag.documents import word
from rag.documents.content import File
from rag.errors import DocumentError
from tests.documents.conftest import Read

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
RELATIONSHIPS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
MC = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'


def save(document: Any) -> bytes:
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def save_with(body: str) -> bytes:
    """A Word file whose body is this XML, w: and mc: declared."""
    document = docx.Document()
    for element in parse_xml(f"<w:body {W} {MC}>{body}</w:body>"):
        document.element.body.append(element)
    return save(document)


def run(text: str) -> str:
    return f"<w:r><w:t>{text}</w:t></w:r>"


def edit_part(data: bytes, part: str, edit: Callable[[bytes], bytes]) -> bytes:
    """The same archive with one part changed."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(name, edit(old.read(name)) if name == part else old.read(name))
    return out.getvalue()


def test_paragraphs_lists_and_tables_in_order(read: Read) -> None:
    document = docx.Document()
    document.add_heading("The end", 0)
    document.add_heading("Two phases", 2)
    paragraph = document.add_paragraph("The first one ")
    paragraph.add_run("lasts").bold = True
    paragraph.add_run("\ta year.").add_break()
    paragraph.add_run("The second too.")
    document.add_paragraph("")
    document.add_paragraph("Troops leave", "List Bullet")
    document.add_paragraph("Bases close", "List Number 2")
    table = document.add_table(2, 2)
    for cell, text in zip((c for r in table.rows for c in r.cells), "ABCD", strict=True):
        cell.text = f"{text} cell"
    document.add_paragraph("After the table.", "Quote")
    found = read("a.docx", save(document))
    assert found.text.split("\n\n") == [
        "# The end",
        "## Two phases",
        "The first one lasts a year.\nThe second too.",
        "- Troops leave\n- Bases close",
        "| A cell | B cell |\n| C cell | D cell |",
        "After the table.",
    ]
    assert (found.layout, found.title, found.date) == ("markdown", "The end", None)


def test_properties(read: Read) -> None:
    document = docx.Document()
    document.add_heading("A heading")
    document.core_properties.title = "Its own title"
    document.core_properties.created = datetime(2024, 9, 27, 12, tzinfo=UTC)
    found = read("a.docx", save(document))
    assert (found.title, found.date) == ("Its own title", "2024-09-27")


def test_without_title_or_heading_the_stem_is_the_title(read: Read) -> None:
    document = docx.Document()
    document.add_paragraph("Text.")
    document.core_properties.title = "Word Document"
    assert read("report.docx", save(document)).title == "report"


def test_text_within_other_elements(read: Read) -> None:
    box = f"<w:txbxContent><w:p>{run('In a box.')}</w:p></w:txbxContent>"
    body = f"""
      <w:sdt><w:sdtContent><w:p>{run("In a control.")}</w:p></w:sdtContent></w:sdt>
      <w:p><w:hyperlink>{run("A link")}</w:hyperlink><w:ins>{run(" inserted")}</w:ins>
        <w:del><w:r><w:delText> deleted</w:delText></w:r></w:del>
        <w:moveFrom>{run(" moved away")}</w:moveFrom>
        <w:r><w:instrText>PAGE</w:instrText><w:noBreakHyphen/><w:t>end.</w:t></w:r></w:p>
      <w:p><!-- a comment -->{run("Around.")}<w:r><mc:AlternateContent>
        <mc:Choice>{box}</mc:Choice><mc:Fallback>{box}</mc:Fallback>
      </mc:AlternateContent></w:r></w:p>
      <w:p><w:pPr><w:numPr/></w:pPr>{run("Numbered.")}</w:p>"""
    assert read("a.docx", save_with(body)).text.split("\n\n") == [
        *("In a control.", "A link inserted-end.", "Around.", "In a box.", "- Numbered.")
    ]


def add_notes(document: Any, kind: str, notes: str) -> None:
    xml = f"<w:{kind}s {W}>{notes}</w:{kind}s>".encode()
    name = PackURI(f"/word/{kind}s.xml")
    part = Part(name, CT.XML, xml, document.part.package)
    document.part.relate_to(part, f"{RELATIONSHIPS}/{kind}s")


def test_a_note_follows_the_paragraph_that_refers_to_it(read: Read) -> None:
    document = docx.Document()
    body = f"""
      <w:p>{run("The claim")}<w:r><w:footnoteReference w:id="2"/></w:r>{run(" fails.")}</w:p>
      <w:p>{run("The end.")}<w:r><w:endnoteReference w:id="2"/></w:r>
        <w:r><w:footnoteReference w:id="9"/></w:r></w:p>"""
    for element in parse_xml(f"<w:body {W}>{body}</w:body>"):
        document.element.body.append(element)
    again = '<w:r><w:footnoteReference w:id="2"/></w:r>'
    footnote = f"<w:p><w:r><w:footnoteRef/></w:r>{run(' See p. 4.')}{again}</w:p>"
    line = (
        '<w:footnote w:type="separator" w:id="0"><w:p><w:r><w:separator/></w:r></w:p></w:footnote>'
    )
    add_notes(document, "footnote", f'{line}<w:footnote w:id="2">{footnote}</w:footnote>')
    add_notes(document, "endnote", f'<w:endnote w:id="2"><w:p>{run("Ends.")}</w:p></w:endnote>')
    assert read("a.docx", save(document)).text.split("\n\n") == [
        *("The claim fails.", "See p. 4.", "The end.", "Ends.")
    ]


def test_a_table_of_one_column_is_laid_out_text(read: Read) -> None:
    document = docx.Document()
    cell = document.add_table(1, 1).cell(0, 0)
    cell.text = "First."
    cell.add_paragraph("Second.")
    document.add_table(2, 2)
    assert read("a.docx", save(document)).text == "First.\n\nSecond."


def test_a_style_based_on_a_heading_is_one(read: Read) -> None:
    document = docx.Document()
    style = document.styles.add_style("Chapter", 1)
    style.base_style = document.styles["Heading 3"]
    document.add_paragraph("Third level", "Chapter")
    document.add_paragraph("Text.")
    assert read("a.docx", save(document)).text == "### Third level\n\nText."


def test_styles_based_on_each_other_do_not_loop(read: Read) -> None:
    document = docx.Document()
    one, two = (document.styles.add_style(name, 1) for name in ("One", "Two"))
    one.base_style, two.base_style = two, one
    document.add_paragraph("Text.", "One")
    assert read("a.docx", save(document)).text == "Text."


def test_an_encrypted_or_old_file_says_so(read: Read) -> None:
    with pytest.raises(DocumentError, match=r"is encrypted or of an old Word: save it as \.docx"):
        read("a.docx", bytes.fromhex("d0cf11e0a1b11ae1") + bytes(2000))


def test_a_file_of_strict_open_xml_says_so(read: Read) -> None:
    plain, strict = b"http://schemas.openxmlformats.org/", b"http://purl.oclc.org/ooxml/"
    data = edit_part(save_with(""), "_rels/.rels", lambda part: part.replace(plain, strict))
    with pytest.raises(DocumentError, match="is Strict Open XML: save it as plain"):
        read("a.docx", data)


def test_an_empty_document(read: Read) -> None:
    with pytest.raises(DocumentError, match="is empty"):
        read("a.docx", save(docx.Document()))


def test_a_bomb_is_not_unpacked() -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", bytes(10_000_000))
    assert len(bomb.getvalue()) < 10_000
    with pytest.raises(DocumentError, match="unpacks to 9 MB, over the limit of 3 MB"):
        word.read(File(bomb.getvalue(), limit=1_000_000))


def test_a_part_larger_than_it_says_is_refused(read: Read) -> None:
    data = bytearray(save_with(f"<w:p>{run('Text. ' * 1000)}</w:p>"))
    entry = data.rindex(b"word/document.xml") - 46  # its record in the central directory
    assert data[entry : entry + 4] == b"PK\x01\x02"
    data[entry + 24 : entry + 28] = (100).to_bytes(4, "little")  # its size when unpacked
    with pytest.raises(DocumentError, match=r"is damaged or no true \.docx file"):
        read("a.docx", bytes(data))


def with_doctype(doctype: str, reference: str) -> bytes:
    """A Word file that says "Text." and then refers to an entity of its document type."""

    def edit(xml: bytes) -> bytes:
        head, rest = xml.split(b"?>", 1)
        text = rest.replace(b"Text.", f"Text. {reference}".encode())
        return head + f"?><!DOCTYPE w:document [{doctype}]>".encode() + text

    return edit_part(save_with(f"<w:p>{run('Text.')}</w:p>"), "word/document.xml", edit)


@pytest.mark.parametrize("value", ['"grown"', 'SYSTEM "file:///etc/passwd"'])
def test_entities_are_not_expanded(read: Read, value: str) -> None:
    assert read("a.docx", with_doctype(f"<!ENTITY e {value}>", "&e;")).text == "Text."


def test_entities_within_entities_are_refused(read: Read) -> None:
    grow = "".join(f'<!ENTITY e{i + 1} "{f"&e{i};" * 10}">' for i in range(50))
    with pytest.raises(DocumentError, match="is damaged"):
        read("a.docx", with_doctype(f'<!ENTITY e0 "ha">{grow}', "&e50;"))


def test_elements_nested_too_deep_are_refused(read: Read) -> None:
    deep = b"<w:sdt>" * 10_000 + b"</w:sdt>" * 10_000

    def edit(xml: bytes) -> bytes:
        return xml.replace(b"<w:p>", deep + b"<w:p>", 1)

    data = edit_part(save_with(f"<w:p>{run('Text.')}</w:p>"), "word/document.xml", edit)
    with pytest.raises(DocumentError, match="is damaged"):
        read("a.docx", data)
