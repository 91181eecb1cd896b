"""What a head may be: each header to its last byte, and where a body ends."""

import pytest

from api.http.head import Headers, framing_problem, origin_form, problem_of
from api.texts.errors import Problem

BOUNDS = {
    "accept": 4096, "access-control-request-headers": 4096, "access-control-request-method": 64,
    "authorization": 4096, "connection": 1024, "content-disposition": 4096,
    "content-encoding": 1024, "content-length": 64, "content-range": 1024, "content-type": 1024,
    "cookie": 16384, "expect": 64, "forwarded": 4096, "host": 512, "idempotency-key": 1024,
    "if-match": 4096, "if-modified-since": 128, "if-none-match": 4096, "if-range": 1024,
    "origin": 2048, "prefer": 1024, "range": 1024, "referer": 8192, "repr-digest": 1024,
    "transfer-encoding": 1024, "tus-resumable": 64, "upgrade": 1024, "upload-checksum": 256,
    "upload-length": 64, "upload-metadata": 4096, "upload-offset": 64, "x-forwarded-for": 4096,
    "x-forwarded-proto": 1024,
}  # fmt: skip # one table
HOST = (b"host", b"a")


def _code(problem: Problem | None) -> str | None:
    return problem.code if problem else None


def _found(*headers: tuple[bytes, bytes], version: str = "1.1", target: bytes = b"/") -> str | None:
    found = problem_of(target, version, list(headers))
    return found[0].code if found else None


@pytest.mark.parametrize("name", BOUNDS)
def test_a_header_may_be_as_long_as_its_bound_in_all_its_lines_and_no_longer(name: str) -> None:
    header, most = name.encode(), BOUNDS[name]
    others = [] if name == "host" else [HOST]
    value = b"0" * most
    in_two = [(header, value[:-9]), (header, value[-9:])]
    if name != "content-encoding":
        assert problem_of(b"/", "1.1", [*others, (header, value)]) is None
    for headers in ([(header, value + b"0")], [*in_two, (header, b"0")]):
        found = problem_of(b"/", "1.1", [*others, *headers])
        assert found
        assert (found[0].code, found[1]) == ("header-too-large", header)
        assert found[0].params == {"header": name.title(), "max_bytes": most}


def test_a_header_that_nobody_parses_has_no_bound_of_its_own() -> None:
    assert _found(HOST, (b"x-any", b"x" * 60_000)) is None


def test_a_target_has_so_many_bytes_and_no_more() -> None:
    assert _found(HOST, target=b"/" * 8192) is None
    found = problem_of(b"/" * 8193, "1.1", [HOST])
    assert found
    assert (found[0].code, found[1], found[0].params) == ("uri-too-long", b"", {"max_bytes": 8192})


@pytest.mark.parametrize(
    ("headers", "version", "code"),
    [
        ([HOST], "1.1", None),
        ([], "1.0", None),
        ([HOST], "1.0", None),
        ([], "1.1", "bad-request"),
        ([HOST, HOST], "1.1", "bad-request"),
        ([HOST, HOST], "1.0", "bad-request"),
        ([(b"host", b"a b")], "1.0", "bad-request"),
        ([(b"host", b"")], "1.1", "bad-request"),
        ([(b"host", b"a:")], "1.1", None),
        ([(b"host", b"a:65535")], "1.1", None),
        ([(b"host", b"a:655360")], "1.1", "bad-request"),
        ([(b"host", b"[::1]:80")], "1.1", None),
        ([(b"host", b"a%2Eb~_-")], "1.1", None),
        ([(b"host", b"a%2")], "1.1", "bad-request"),
    ],
)
def test_a_head_names_one_host(headers: Headers, version: str, code: str | None) -> None:
    found = problem_of(b"/", version, headers)
    assert (found[0].code if found else None) == code
    assert found is None or found[1] == b"host"


@pytest.mark.parametrize(
    ("framing", "coding", "is_refused"),
    [
        ((b"content-length", b"3"), b"gzip", True),
        ((b"transfer-encoding", b"chunked"), b"gzip", True),
        ((b"content-length", b"3"), b"identity, , IDENTITY", False),
        ((b"content-length", b"3"), b"identity, gzip", True),
        ((b"content-length", b"000"), b"gzip", False),
        ((b"x-nothing", b""), b"gzip", False),
    ],
)
def test_a_body_that_comes_encoded_is_refused_and_where_there_is_none_it_is_no_matter(
    framing: tuple[bytes, bytes], coding: bytes, *, is_refused: bool
) -> None:
    found = problem_of(b"/", "1.1", [HOST, framing, (b"content-encoding", coding)])
    assert bool(found) is is_refused
    if found:
        assert (found[0].code, found[1]) == ("unsupported-content-encoding", b"content-encoding")
        assert found[0].headers == {"Accept-Encoding": "identity"}


@pytest.mark.parametrize(
    ("method", "version", "headers", "code"),
    [
        ("GET", "1.1", [], None),
        ("GET", "1.0", [], None),
        ("GET", "2.0", [], "http-version-not-supported"),
        ("GET", "0.9", [], "http-version-not-supported"),
        ("CONNECT", "1.1", [], "method-not-implemented"),
        ("CONNECT", "2.0", [], "http-version-not-supported"),
        ("PUT", "1.1", [(b"content-length", b"0" * 64)], None),
        ("PUT", "1.1", [(b"content-length", b"0" * 65)], "header-too-large"),
        ("PUT", "1.1", [(b"transfer-encoding", b"," * 1017 + b"chunked")], None),
        ("PUT", "1.1", [(b"transfer-encoding", b"," * 1018 + b"chunked")], "header-too-large"),
        ("PUT", "1.1", [(b"x-any", b"x" * 2000)], None),
        ("PUT", "1.1", [(b"transfer-encoding", b"Chunked")], None),
        ("PUT", "1.1", [(b"transfer-encoding", b"chunked, chunked")], "unsupported-transfer-coding"),
        ("PUT", "1.1", [(b"transfer-encoding", b"")], "unsupported-transfer-coding"),
        ("PUT", "1.0", [(b"transfer-encoding", b"chunked")], "bad-request"),
        ("PUT", "1.0", [(b"content-length", b"3")], None),
    ],
)  # fmt: skip # one table
def test_where_a_body_ends_is_told_before_it_is_read(
    method: str, version: str, headers: Headers, code: str | None
) -> None:
    assert _code(framing_problem(method, version, headers)) == code


@pytest.mark.parametrize(
    ("target", "headers", "found"),
    [
        (b"/a?b", [HOST], (b"/a?b", [HOST])),
        (b"http://b/a?c", [HOST, (b"x", b"y")], (b"/a?c", [(b"host", b"b"), (b"x", b"y")])),
        (b"HTTPS://b?c", [HOST], (b"/?c", [(b"host", b"b")])),
        (b"http://b", [], (b"/", [(b"host", b"b")])),
        (b"http://b/a", [HOST, HOST], (b"/a", [HOST, HOST])),
        (b"ftp://b/a", [HOST], (b"ftp://b/a", [HOST])),
    ],
)
def test_of_an_absolute_target_the_path_is_asked_for_and_the_host_counts(
    target: bytes, headers: Headers, found: tuple[bytes, Headers]
) -> None:
    assert origin_form(target, headers) == found
