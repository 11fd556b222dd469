"""Small PDF files written by hand, for the tests: several pages, metadata, a password."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

# PDF 32000-1:2008, 7.6.3.3: what a password is padded with to 32 bytes.
_PADDING = bytes.fromhex("28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a")
_PERMISSIONS = -4
_FILE_ID = b"0123456789abcdef"


def make_pdf(
    pages: Sequence[Sequence[str | bytes]],
    info: dict[str, str] | None = None,
    password: str | None = None,
    fields: Sequence[str] = (),
) -> bytes:
    """A PDF 1.4 file of ``pages``, each a list of lines; encrypted (RC4, 40 bits) with a password.

    A line of bytes is the operators that draw it; ``fields`` are filled in on the first page.

    An empty ``password`` gives a file that is encrypted and yet opens without one.
    """
    key = None if password is None else _file_key(password)
    objects = _objects(pages, info or {}, key)
    _fill_in(objects, fields)
    if password is not None:
        objects.append(_encryption(password))
    return _assemble(objects, encrypted=password is not None)


def _objects(
    pages: Sequence[Sequence[str | bytes]], info: dict[str, str], key: bytes | None
) -> list[bytes]:
    """Objects 1 catalogue, 2 page tree, 3 font, 4 info, then two a page: its content and itself."""
    kids = " ".join(f"{6 + 2 * i} 0 R" for i in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        _info(info, key),
    ]
    for lines in pages:
        content = _encrypt(_content(lines), key, number=len(objects) + 1)
        stream = b"<< /Length %d >>\nstream\n" % len(content) + content + b"\nendstream"
        page = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] "
            f"/Resources << /Font << /F1 3 0 R >> >> /Contents {len(objects) + 1} 0 R /Annots [] >>"
        )
        objects += [stream, page.encode()]
    return objects


def _fill_in(objects: list[bytes], fields: Sequence[str]) -> None:
    """Add a form's field to the first page, object 6, for each text: the field, how it is drawn."""
    for number, field in enumerate(fields):
        content = b"BT /F1 12 Tf (%s) Tj ET" % _escape(field)
        place = b"[72 %d 272 %d]" % (400 - 30 * number, 420 - 30 * number)
        objects[5] = objects[5].replace(b"] >>", b" %d 0 R] >>" % (len(objects) + 1))
        objects.append(
            b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (%d) /F 4 /Rect %s /AP << /N %d 0 R >> >>"
            % (number, place, len(objects) + 2)
        )
        objects.append(
            b"<< /Type /XObject /Subtype /Form /BBox [0 0 200 20]"
            b" /Resources << /Font << /F1 3 0 R >> >> /Length %d >>\nstream\n%s\nendstream"
            % (len(content), content)
        )


def _info(info: dict[str, str], key: bytes | None) -> bytes:
    entries = [
        b"/%s <%s>"
        % (name.encode(), _encrypt(b"\xfe\xff" + text.encode("utf-16-be"), key, 4).hex().encode())
        for name, text in info.items()
    ]
    return b"<< " + b" ".join(entries) + b" >>"


def _content(lines: Sequence[str | bytes]) -> bytes:
    drawn = [line if isinstance(line, bytes) else b"(%s) Tj" % _escape(line) for line in lines]
    shown = [line + b" T*" for line in drawn]
    return b"BT /F1 12 Tf 14 TL 72 720 Td\n" + b"\n".join(shown) + b"\nET"


def _escape(line: str) -> bytes:
    data = line.encode("cp1252")
    return data.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")


def _assemble(objects: Sequence[bytes], *, encrypted: bool) -> bytes:
    out = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    start = len(out)
    rows = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + rows
    file_id = _FILE_ID.hex().encode()
    secret = b" /Encrypt %d 0 R /ID [<%s> <%s>]" % (len(objects), file_id, file_id)
    trailer = b"/Size %d /Root 1 0 R /Info 4 0 R" % (len(objects) + 1)
    out += b"trailer\n<< " + trailer + (secret if encrypted else b"") + b" >>\n"
    return bytes(out + b"startxref\n%d\n%%%%EOF\n" % start)


def _encryption(password: str) -> bytes:
    """The standard security handler, revision 2 (PDF 32000-1:2008, 7.6.3)."""
    user = _rc4(_file_key(password), _PADDING)
    entries = f"/O <{_owner(password).hex()}> /U <{user.hex()}> /P {_PERMISSIONS}"
    return f"<< /Filter /Standard /V 1 /R 2 {entries} >>".encode()


def _owner(password: str) -> bytes:
    return _rc4(_md5(_pad("owner"))[:5], _pad(password))


def _file_key(password: str) -> bytes:
    permissions = _PERMISSIONS.to_bytes(4, "little", signed=True)
    return _md5(_pad(password) + _owner(password) + permissions + _FILE_ID)[:5]


def _encrypt(data: bytes, key: bytes | None, number: int) -> bytes:
    """``data`` as a string or stream of object ``number``; as it is without a key."""
    if key is None:
        return data
    return _rc4(_md5(key + number.to_bytes(3, "little") + b"\0\0")[:10], data)


def _pad(password: str) -> bytes:
    return (password.encode("latin-1") + _PADDING)[:32]


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def _rc4(key: bytes, data: bytes) -> bytes:
    state = list(range(256))
    j = 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    out = bytearray()
    i = j = 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)
