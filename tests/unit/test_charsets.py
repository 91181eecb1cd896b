"""Charsets that clients name."""

import encodings

import pytest

from api.receive.charsets import codec, decoded


@pytest.mark.parametrize(
    "name",
    ["utf-8", "UTF8", " utf_8 ", "US-ASCII", "ISO-8859-1", "latin1", "iso8859-15", "windows-1252",
     "Shift_JIS", "GB18030", "koi8-r", "EUC-KR", "big5", "utf-16le"],
)  # fmt: skip # one a line would be a page
def test_what_browsers_know_is_known(name: str) -> None:
    found = codec(name)
    assert found
    assert decoded("a".encode(found), name) == "a"


@pytest.mark.parametrize("name", ["", "punycode", "idna", "base64", "rot13", "nonsense", "x" * 41])
def test_what_is_no_encoding_of_text_is_not(name: str) -> None:
    assert codec(name) is None
    assert decoded(b"a", name) is None


def test_asking_for_many_names_leaves_nothing_behind() -> None:
    before = len(encodings._cache)
    for number in range(1000):
        codec(f"charset-{number}")
    assert len(encodings._cache) == before
