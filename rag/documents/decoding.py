"""Bytes → text."""

from __future__ import annotations

import codecs

from rag.errors import DocumentError

_BOMS = (  # UTF-32 first: its mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_NOT_TEXT = "is not text"
_HEAD = 1024  # bytes in which a web page may declare its encoding
_CLEAN = 20  # characters for each one that is none, at the least
_CONTROLS = {*map(chr, range(32)), "\x7f"} - set("\t\n\r\f\x1b")


def decode(data: bytes) -> str:
    """``data`` as text, newlines as they are, a byte order mark dropped.

    By its byte order mark, else UTF-8, else as chardet finds. Raises DocumentError for what is not
    text.
    """
    text = _decode(data)
    rubbish = sum(text.count(character) for character in _CONTROLS)
    if "\0" in text or rubbish * _CLEAN > len(text):
        raise DocumentError(_NOT_TEXT)
    return text


def _decode(data: bytes) -> str:
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            return _decode_as(encoding, data[len(bom) :])
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        return _decode_as("utf-8" if _is_damaged_utf8(data) else _detect(data, error.start), data)
    # UTF-16 without a mark can pass for UTF-8 full of NULs.
    return _decode_as(_detect(data, 0), data) if "\0" in text else text


def _decode_as(encoding: str, data: bytes) -> str:
    """Raises DocumentError where much of ``data`` is not in that encoding."""
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        text = data.decode(encoding, errors="replace")
    if text.count("\ufffd") * _CLEAN > len(text):
        raise DocumentError(_NOT_TEXT)
    return text


def _is_damaged_utf8(data: bytes) -> bool:
    """Whether ``data`` is UTF-8 but for a few bytes, as after a cut or a bad paste."""
    text = data.decode(errors="replace")
    saved = len(data) - len(text)  # at least one byte for each character beyond ASCII
    return text.count("\ufffd") * _CLEAN < saved


def _detect(data: bytes, first: int) -> str:
    """The encoding by what the file begins with and by the line of its first byte beyond UTF-8.

    Detectors look at a file's beginning only, which may be plain ASCII for long.
    """
    import chardet

    line = max(_HEAD, data.rfind(b"\n", 0, first))
    found = chardet.detect(
        data[:_HEAD] + data[line:],
        encoding_era=chardet.EncodingEra.MODERN_WEB | chardet.EncodingEra.LEGACY_ISO,
        prefer_superset=True,
        compat_names=False,
    )
    if found["encoding"] is None:
        raise DocumentError(_NOT_TEXT)
    return found["encoding"]
