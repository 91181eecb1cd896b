"""People who upload all the time, while a deployment is changed under them."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from tests.support.client import FormClient
from tests.support.engine import Deployment
from tests.support.files import pdf

STORED_SECONDS = 90
ATTEMPTS = 5
"""Of one request; our own module for pages makes ten."""


class Repeating(httpx.HTTPTransport):
    """What is answered 503 is sent again after `Retry-After`, as clients of ours do."""

    def __init__(self) -> None:
        super().__init__()
        self.repeated = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        for _ in range(ATTEMPTS - 1):
            answer = super().handle_request(request)
            if answer.status_code != 503:
                return answer
            answer.close()
            self.repeated += 1
            time.sleep(float(answer.headers["Retry-After"]))
        return super().handle_request(request)


class People:
    """Who begin forms, upload under keys, and read, all the time; each refusal is kept.

    With a `transport` all they send passes through that."""

    def __init__(
        self, url: str, transport: httpx.BaseTransport | None = None, at_once: int = 3
    ) -> None:
        self._url = url
        self._transport = transport
        self.refused: list[str] = []
        self.uploads: list[tuple[FormClient, dict[str, str]]] = []
        self._told = 0
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._go) for _ in range(at_once)]
        for each in self._threads:
            each.start()

    def _go(self) -> None:
        number = 0
        while not self._over.wait(0.05):
            number += 1
            try:
                form = FormClient(self._url, transport=self._transport)
                answer = form.put("resume", "k", pdf(pages=number % 5 + 1))
                assert answer.status_code == 202, answer.text
                form.read()
                self.uploads.append((form, answer.json()))
            except (httpx.HTTPError, AssertionError) as error:
                self.refused.append(f"{time.strftime('%X')} {error!r}")

    def more(self) -> bool:
        """Whether some more were acknowledged since this was last asked and true."""
        if len(self.uploads) < self._told + 5:
            return False
        self._told = len(self.uploads)
        return True

    def end(self) -> None:
        self._over.set()
        for each in self._threads:
            each.join()


@contextmanager
def people(url: str, transport: httpx.BaseTransport | None = None) -> Iterator[People]:
    """Afterwards no request of theirs was refused, and all they sent is stored."""
    uploading = People(url, transport)
    try:
        yield uploading
    finally:
        uploading.end()
    sent, refused = len(uploading.uploads), uploading.refused
    assert not refused, f"{len(refused)} of {sent}: {refused}"
    assert sent
    for form, upload in uploading.uploads:
        assert form.final(dict(upload), STORED_SECONDS)["status"] == "stored"


def replaced(running: Deployment, service: str, count: int = 2) -> None:
    """As docs/deployment.md replaces containers: new ones beside the old, which then go."""
    common = ("up", "--detach", "--wait", "--no-build", "--no-deps")
    running(*common, "--no-recreate", f"--scale={service}={2 * count}", service)
    running(*common, f"--scale={service}={count}", service)
