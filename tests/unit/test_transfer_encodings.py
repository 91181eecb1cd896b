"""Parts that come encoded are decoded, wherever the network cuts them."""

import base64
import contextlib
import quopri
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.receive.transfer_encodings import decoder_of, refuse_content_encoding
from api.texts.errors import Problem


def through(encoding: str, pieces: list[bytes]) -> bytes:
    decoder = decoder_of(encoding)
    assert decoder is not None
    return b"".join([*map(decoder.feed, pieces), decoder.finish()])


@pytest.mark.parametrize("header", [None, "", "7bit", "8BIT", " binary "])
def test_what_stands_as_it_is_needs_no_decoder(header: str | None) -> None:
    assert decoder_of(header) is None


@pytest.mark.parametrize("header", [None, "", "Identity", "binary", " UTF-8", '"iso-8859-1"'])
def test_a_part_is_not_encoded_for_naming_its_charset(header: str | None) -> None:
    refuse_content_encoding(header)


@pytest.mark.parametrize("header", ["gzip", "br", "base64", "aes128gcm"])
def test_an_encoded_part_is_refused(header: str) -> None:
    with pytest.raises(Problem, match="unsupported-content-encoding"):
        refuse_content_encoding(header)


@pytest.mark.parametrize("header", ["x-uuencode", "base64, gzip", "chunked"])
def test_what_isnt_known_is_refused(header: str) -> None:
    with pytest.raises(Problem, match="unsupported-transfer-encoding"):
        decoder_of(header)


@given(st.binary(max_size=200), st.integers(1, 9))
def test_base64_is_decoded_however_it_is_cut(data: bytes, size: int) -> None:
    for encoded in (base64.b64encode(data), base64.encodebytes(data).replace(b"\n", b"\r\n")):
        assert through("Base64", _cut(encoded, size)) == data
    assert through("base64", _cut(base64.b64encode(data).rstrip(b"="), size)) == data


@given(st.binary(max_size=200), st.integers(1, 9))
def test_quoted_printable_is_decoded_however_it_is_cut(data: bytes, size: int) -> None:
    lines = data.replace(b"\r", b"").replace(b"\n", b"")
    encoded = quopri.encodestring(lines, quotetabs=True).replace(b"\n", b"\r\n")
    assert through("quoted-printable", _cut(encoded, size)) == lines


@pytest.mark.parametrize(
    ("encoded", "data"),
    [
        (b"Jos=C3=A9", "José".encode()),
        (b"one =\r\ntwo", b"one two"),
        (b"one=\ntwo", b"onetwo"),
        (b"space   \r\nnext", b"space   \r\nnext"),
        (b"line\nfeed", b"line\nfeed"),
        (b"ends softly=", b"ends softly"),
    ],
)
def test_soft_line_breaks_go(encoded: bytes, data: bytes) -> None:
    for size in range(1, 6):
        assert through("quoted-printable", _cut(encoded, size)) == data


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("base64", b"QWRh!"),
        ("base64", b"QW=="[:1]),
        ("base64", b"QQ==QQ=="),
        ("base64", b"QQ=a"),
        ("quoted-printable", b"a=zz"),
        ("quoted-printable", b"a=4"),
    ],
)
def test_what_is_not_valid_is_refused(encoding: str, data: bytes) -> None:
    for size in (1, 100):
        with pytest.raises(Problem, match="malformed-multipart"):
            through(encoding, _cut(data, size))


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
@pytest.mark.parametrize("filling", [b" ", b"=", b"=\n", b"\t=", b"\r", b"A"])
def test_decoding_is_linear_whatever_comes(encoding: str, filling: bytes) -> None:
    began = time.process_time()
    with contextlib.suppress(Problem):
        through(encoding, _cut(filling * 65_536, 65_536))
    assert time.process_time() - began < 0.5


def _cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]
