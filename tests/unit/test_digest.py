"""The hash that a client sends of its own, and the key it gives an upload."""

import base64

import pytest
from starlette.requests import Request

from api.http.client_keys import key_of_header, key_of_path
from api.http.digest import sent_digest
from api.texts.errors import Problem

HASH = bytes(range(32))
SENT = base64.b64encode(HASH).decode()
PATH = b"/v1/forms/frm_a/fields/needed/uploads/"


def _request(*headers: tuple[bytes, bytes], path: bytes = b"/") -> Request:
    return Request({"type": "http", "headers": list(headers), "raw_path": path})


def _digest(*values: str) -> str | None:
    return sent_digest(_request(*((b"repr-digest", each.encode()) for each in values)))


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([], None),
        ([" "], None),
        ([f"sha-256=:{SENT}:"], HASH.hex()),
        ([f" SHA-256 = :{SENT}: "], HASH.hex()),
        ([f"sha-512=:AAAA:, sha-256=:{SENT}:"], HASH.hex()),
        (["sha-512=:AAAA:", f"sha-256=:{SENT}:"], HASH.hex()),
        ([f"sha-256=:AAAA:, sha-256=:{SENT}:"], HASH.hex()),
        (["sha-512=:AAAA:"], None),
    ],
)
def test_the_sha_256_is_found_whatever_stands_beside_it(
    values: list[str], found: str | None
) -> None:
    assert _digest(*values) == found


@pytest.mark.parametrize(
    "value",
    [
        "sha-256", f"sha-256={SENT}", f"sha-256=:{SENT}", "sha-256=::", "sha-256=:AAAA:",
        "sha-256=:A:", "sha-256=:!:", f"sha-256=:{SENT}:,", f"x, sha-256=:{SENT}:",
    ],
)  # fmt: skip # two lines
def test_who_sends_one_that_is_none_is_told(value: str) -> None:
    with pytest.raises(Problem, match="bad-request"):
        _digest(value)


@pytest.mark.parametrize(
    ("sent", "key"),
    [(b"k", "k"), (b"k" * 200, "k" * 200), ("ü" * 200, "ü" * 200), (b"a b/c", "a b/c")],
)
def test_a_key_is_what_was_sent_in_a_header_or_a_path(sent: bytes | str, key: str) -> None:
    raw = sent.encode() if isinstance(sent, str) else sent
    assert key_of_header(_request((b"x", b"y"), (b"idempotency-key", raw))) == key
    assert key_of_path(_request(path=PATH + raw)) == key
    encoded = b"".join(b"%%%02X" % each for each in raw)
    assert key_of_path(_request(path=PATH + encoded + b"?a=b")) == key


@pytest.mark.parametrize("sent", [b"", b"k" * 201, b"\xff", b"a\nb", b"a\x00"])
def test_what_is_no_key_is_refused(sent: bytes) -> None:
    for call, request in (
        (key_of_header, _request((b"idempotency-key", sent))),
        (key_of_path, _request(path=PATH + b"".join(b"%%%02X" % each for each in sent))),
    ):
        with pytest.raises(Problem, match="bad-request"):
            call(request)


def test_a_request_has_one_key_or_none() -> None:
    assert key_of_header(_request()) is None
    with pytest.raises(Problem, match="bad-request"):
        key_of_header(_request((b"idempotency-key", b"a"), (b"idempotency-key", b"a")))
    with pytest.raises(Problem, match="bad-request"):
        key_of_path(_request(path=b"/v1/forms"))
