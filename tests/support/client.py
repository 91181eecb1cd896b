"""A client of the HTTP contract: what a front end would do."""

import contextlib
import socket
import time
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import httpx

STORED_SECONDS = 60.0
Files = dict[str, tuple[str, bytes, str]]


class FormClient:
    """One form and its token."""

    def __init__(
        self,
        url: str,
        form_type: str = "therapist_signup",
        *,
        reference: str | None = None,
        timeout: float = 60,
        transport: httpx.BaseTransport | None = None,
        **data: Any,
    ) -> None:
        self.http = httpx.Client(
            base_url=url, timeout=timeout, transport=transport, trust_env=False
        )
        answer = self.http.post(
            "/v1/forms", json={"type": form_type, "data": data, "reference": reference}
        )
        assert answer.status_code == 201, answer.text
        self.created: dict[str, Any] = answer.json()
        self.id: str = self.created["id"]
        self.token: str = self.created["token"]
        self.http.headers["Authorization"] = f"Bearer {self.token}"
        self.path = f"/v1/forms/{self.id}"

    def read(self) -> dict[str, Any]:
        answer = self.http.get(self.path)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def send(
        self, field: str, content: bytes, filename: str = "file", kind: str = "image/png"
    ) -> httpx.Response:
        files = {"file": (filename, content, kind)}
        return self.http.post(f"{self.path}/fields/{field}/uploads", files=files)

    def put(
        self, field: str, key: str, content: bytes | Iterable[bytes], **headers: str
    ) -> httpx.Response:
        path = f"{self.path}/fields/{field}/uploads/{key}"
        return self.http.put(path, content=content, headers=headers)

    def upload(
        self, field: str, content: bytes, filename: str = "file", kind: str = "image/png"
    ) -> dict[str, Any]:
        """Send a file that is acknowledged."""
        answer = self.send(field, content, filename, kind)
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    def final(self, upload: dict[str, Any], seconds: float = STORED_SECONDS) -> dict[str, Any]:
        """The upload once it is final."""
        deadline = time.monotonic() + seconds
        while True:
            answer = self.http.get(f"/v1/uploads/{upload['id']}", headers={"Prefer": "wait=10"})
            assert answer.status_code == 200, answer.text
            read: dict[str, Any] = answer.json()
            if read["poll_after_ms"] is None:
                return read
            assert time.monotonic() < deadline, f"still {read['status']}: {read}"

    def stored(self, field: str, content: bytes, **how: Any) -> dict[str, Any]:
        read = self.final(self.upload(field, content, **how))
        assert read["status"] == "stored", read
        return read


def exchange(url: str, request: bytes, *, half_close: bool = False, seconds: float = 10) -> bytes:
    """Send raw bytes and read until the server closes or says no more."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=seconds) as connection:
        answer = b""
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            connection.sendall(request)  # who is refused meanwhile reads why all the same
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        try:
            while chunk := connection.recv(65536):
                answer += chunk
        except (TimeoutError, ConnectionResetError):
            pass
        return answer


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem of an answer, after checking its form (RFC 9457)."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    body: dict[str, Any] = answer.json()
    assert body["code"] == code, body
    assert body["status"] == status
    assert body["type"]
    assert body["title"]
    assert body["detail"]
    assert isinstance(body["retryable"], bool)
    return body
