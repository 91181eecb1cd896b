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


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("iso-8859-1", b"\x93", "\u201c"),
        ("us-ascii", b"\xe9", "\xe9"),
        ("iso-8859-9", b"\x80", "\u20ac"),
        ("Shift_JIS", "髙橋①".encode("cp932"), "髙橋①"),
        ("gb2312", "朱镕基".encode("gbk"), "朱镕基"),
        ("euc-kr", "똠".encode("cp949"), "똠"),
        ("windows-874", b"\xa1", "\u0e01"),
        ("tis-620", b"\xa1", "\u0e01"),
        ("utf-8", b"\xef\xbb\xbfa", "a"),
        ("utf-16", "é".encode("utf-16"), "é"),
        ("utf-16", b"\xfe\xff\x00\xe9", "é"),
        ("windows-1252", b"\xff\xfea", "ÿþa"),
    ],
)
def test_a_label_means_what_it_means_to_browsers(name: str, data: bytes, text: str) -> None:
    assert decoded(data, name) == text


@pytest.mark.parametrize(
    ("labels", "codec_of_all"),
    [
        (["unicode-1-1-utf-8"], "utf_8"),
        (["iso-8859-8-i", "logical"], "iso8859_8"),
        (["dos-874"], "cp874"),
        (["x-mac-cyrillic", "x-mac-ukrainian"], "mac_cyrillic"),
        (["x-mac-roman"], "mac_roman"),
        (["x-sjis", "windows-31j"], "cp932"),
        (["x-euc-jp"], "euc_jp"),
        (["x-gbk"], "gb18030"),
        (["x-x-big5", "cn-big5"], "big5hkscs"),
        (["windows-949"], "cp949"),
        *(([f"windows-{n}", f"x-cp{n}"], f"cp{n}") for n in range(1250, 1259)),
    ],
)
def test_labels_that_only_browsers_know_are_known(labels: list[str], codec_of_all: str) -> None:
    assert {codec(label) for label in labels} == {codec_of_all}


def test_asking_for_many_names_leaves_nothing_behind() -> None:
    before = len(encodings._cache)
    for number in range(1000):
        codec(f"charset-{number}")
    assert len(encodings._cache) == before
