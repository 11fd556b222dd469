from __future__ import annotations

import codecs
from hashlib import shake_256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.documents.decoding import decode
from rag.errors import DocumentError

RUSSIAN = "Коалиция завершит свою миссию в Ираке в сентябре. Об этом объявили обе стороны."
FRENCH = "La coalition n’est pas là pour toujours : « le départ », a-t-on déclaré, était prévu."
JAPANESE = "連合軍は来年九月までに任務を終える。両国が発表した。"


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
@given(text=st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1))
def test_a_byte_order_mark_decides_and_is_dropped(mark: bytes, encoding: str, text: str) -> None:
    assert decode(mark + text.encode(encoding)) == text


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]) | st.sampled_from("\r\n\t")))
def test_utf8_is_kept_as_it_is(text: str) -> None:
    assert decode(text.encode()) == text.removeprefix("\ufeff")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (FRENCH, "cp1252"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8-r"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc-jp"),
        ("plain words in two bytes each", "utf-16-le"),
        ("plain words in two bytes each", "utf-16-be"),
    ],
)
def test_other_encodings_are_detected(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


def test_the_encoding_shows_late_in_a_long_file() -> None:
    text = "plain words\n" * 50_000 + RUSSIAN * 3
    assert decode(text.encode("cp1251")) == text


@pytest.mark.parametrize("cut", [slice(0, 17), slice(0, 18)], ids=["between", "within"])
def test_a_few_damaged_bytes_do_not_make_utf8_another_encoding(cut: slice) -> None:
    data = RUSSIAN.encode()
    damaged = data[cut] + b"\xff" + data[cut.stop :]
    text = decode(damaged)
    assert text.startswith(RUSSIAN[:8])
    assert text.endswith(RUSSIAN[10:])
    assert set(text) - set(RUSSIAN) == {"\ufffd"}


@pytest.mark.parametrize(
    "data",
    [
        shake_256(b"seed").digest(4096),
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + shake_256(b"picture").digest(500),
        b"text with a \0 in it, and more text after that",
        b"\x01\x02\x03\x04 bell \x07\x07\x07",
        codecs.BOM_UTF16_LE + b"\0" * 64,
    ],
    ids=["random", "picture", "nul", "controls", "zeros"],
)
def test_what_is_not_text_is_refused(data: bytes) -> None:
    with pytest.raises(DocumentError, match="is not text"):
        decode(data)


@given(st.binary(max_size=300))
def test_whatever_comes_in_no_nul_and_no_lone_surrogate_comes_out(data: bytes) -> None:
    try:
        text = decode(data)
    except DocumentError:
        return
    assert "\0" not in text
    text.encode()
