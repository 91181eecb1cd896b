"""The head of a request, judged before anything is made of it.

Each header that some part of the service parses has a bound of its own here, so that whatever
parses it works on little, however it does so.
"""

import re

from api.texts.errors import Problem

Headers = list[tuple[bytes, bytes]]
"""As ASGI has them, with names in lower case."""

MAX_TARGET = 8192
"""Bytes of path and query; RFC 9110, section 4.1, asks for 8000."""
MAX_HEADER: dict[bytes, int] = {
    b"accept": 4096,
    b"access-control-request-headers": 4096,
    b"access-control-request-method": 64,
    b"authorization": 4096,
    b"connection": 1024,
    b"content-digest": 1024,
    b"content-disposition": 4096,
    b"content-encoding": 1024,
    b"content-length": 64,
    b"content-range": 1024,
    b"content-type": 1024,
    b"cookie": 16384,
    b"expect": 64,
    b"forwarded": 4096,
    b"host": 512,
    b"idempotency-key": 1024,
    b"if-match": 4096,
    b"if-modified-since": 128,
    b"if-none-match": 4096,
    b"if-range": 1024,
    b"last-event-id": 64,
    b"origin": 2048,
    b"prefer": 1024,
    b"range": 1024,
    b"referer": 8192,
    b"repr-digest": 1024,
    b"transfer-encoding": 1024,
    b"tus-resumable": 64,
    b"upgrade": 1024,
    b"upload-checksum": 256,
    b"upload-complete": 64,
    b"upload-draft-interop-version": 64,
    b"upload-incomplete": 64,
    b"upload-length": 64,
    b"upload-metadata": 4096,
    b"upload-name": 4096,
    b"upload-offset": 64,
    b"x-forwarded-for": 4096,
    b"x-forwarded-proto": 1024,
    b"x-http-method-override": 64,
}
"""Bytes of each header that is parsed; of one that is sent in several lines, of all of them."""
_FRAMING = (b"content-length", b"transfer-encoding")
"""Without either a request has no body (RFC 9112, section 6.3)."""
_VERSIONS = ("1.0", "1.1")
_HOST = re.compile(
    rb"(?:\[[0-9A-Fa-f:.]{2,45}\]|(?:[A-Za-z0-9._~-]|%[0-9A-Fa-f]{2})+)(?::\d{0,5})?"
)
_ABSOLUTE = re.compile(rb"https?://([^/?#]*)([^#]*)", re.IGNORECASE)


def framing_problem(method: str, version: str, headers: Headers) -> Problem | None:
    """Why nothing after this head can be told: the connection ends with the answer."""
    if version not in _VERSIONS:
        return Problem("http-version-not-supported")
    if method == "CONNECT":
        return Problem("method-not-implemented")
    sizes = _sizes([each for each in headers if each[0] in _FRAMING])
    for name, size in sizes.items():
        if size > MAX_HEADER[name]:
            return _too_large(name)
    if b"transfer-encoding" not in sizes:
        return None
    if version == "1.0":  # RFC 9112, section 6.1: treat it as if its framing were faulty
        return Problem("bad-request", "HTTP/1.0 has no Transfer-Encoding.")
    codings = _elements(headers, b"transfer-encoding")
    return None if codings == [b"chunked"] else Problem("unsupported-transfer-coding")


def problem_of(target: bytes, version: str, headers: Headers) -> tuple[Problem, bytes] | None:
    """What is wrong with a head whose body can be read all the same, and in which header."""
    if len(target) > MAX_TARGET:
        return Problem("uri-too-long", params={"max_bytes": MAX_TARGET}), b""
    sizes = _sizes(headers)
    for name, size in sizes.items():
        if size > MAX_HEADER.get(name, size):
            return _too_large(name), name
    wrong = _host_problem(version, [value for name, value in headers if name == b"host"])
    if wrong:
        return wrong, b"host"
    return None if sizes.keys().isdisjoint(_FRAMING) else _encoding_problem(headers)


def origin_form(target: bytes, headers: Headers) -> tuple[bytes, Headers]:
    """Path and query of an absolute target, whose host counts, whatever Host says (RFC 9112,
    section 3.2.2); any other target as it is."""
    found = _ABSOLUTE.fullmatch(target)
    if not found:
        return target, headers
    path = found.group(2) if found.group(2).startswith(b"/") else b"/" + found.group(2)
    hosts = sum(name == b"host" for name, _ in headers)
    if hosts > 1:  # still malformed
        return path, headers
    others = [(name, value) for name, value in headers if name != b"host"]
    return path, [(b"host", found.group(1)), *others]


def _host_problem(version: str, hosts: list[bytes]) -> Problem | None:
    """RFC 9112, section 3.2; HTTP/1.0 may go without."""
    if not hosts and version == "1.0":
        return None
    if len(hosts) != 1:
        return Problem("bad-request", "Send one Host header.")
    if not _HOST.fullmatch(hosts[0]):
        return Problem("bad-request", "The Host header names no host.")
    return None


def _encoding_problem(headers: Headers) -> tuple[Problem, bytes] | None:
    """A body that arrives encoded would be kept as it looks (RFC 9110, section 8.4)."""
    lengths = [value for name, value in headers if name == b"content-length"]
    chunked = any(name == b"transfer-encoding" for name, _ in headers)
    if not chunked and not any(value.strip(b"0") for value in lengths):
        return None
    codings = _elements(headers, b"content-encoding")
    if all(coding == b"identity" for coding in codings):
        return None
    problem = Problem("unsupported-content-encoding", headers={"Accept-Encoding": "identity"})
    return problem, b"content-encoding"


def _sizes(headers: Headers) -> dict[bytes, int]:
    """Bytes of each header; of one that is sent in several lines, of all of them."""
    sizes: dict[bytes, int] = {}
    for name, value in headers:
        sizes[name] = sizes.get(name, 0) + len(value)
    return sizes


def _too_large(name: bytes) -> Problem:
    shown = name.decode("ascii").title()
    return Problem("header-too-large", params={"header": shown, "max_bytes": MAX_HEADER[name]})


def _elements(headers: Headers, wanted: bytes) -> list[bytes]:
    """A list (RFC 9110, section 5.6.1), in lower case; empty elements count nothing."""
    found = b",".join(value for name, value in headers if name == wanted).lower().split(b",")
    return [each.strip() for each in found if each.strip()]
