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


class People:
    """Who begin forms, upload, and read, all the time; each refusal is kept."""

    def __init__(self, url: str, at_once: int = 3) -> None:
        self._url = url
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
                form = FormClient(self._url)
                upload = form.upload("resume", pdf(pages=number % 5 + 1), kind="application/pdf")
                form.read()
                self.uploads.append((form, upload))
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
def people(running: Deployment, *, told_to_repeat: bool = False) -> Iterator[People]:
    """Afterwards no request of theirs was refused, and all they sent is stored. With
    `told_to_repeat` some may have been answered 503, to be sent again."""
    uploading = People(running.url)
    try:
        yield uploading
    finally:
        uploading.end()
    refused = [
        each
        for each in uploading.refused
        if not (told_to_repeat and '"code":"unavailable"' in each)
    ]
    assert not refused, f"{len(refused)} of {len(uploading.uploads)}: {refused}"
    assert uploading.uploads
    for form, upload in uploading.uploads:
        assert form.final(dict(upload), STORED_SECONDS)["status"] == "stored"


def replaced(running: Deployment, service: str, count: int = 2) -> None:
    """As docs/deployment.md replaces containers: new ones beside the old, which then go."""
    common = ("up", "--detach", "--wait", "--no-build", "--no-deps")
    running(*common, "--no-recreate", f"--scale={service}={2 * count}", service)
    running(*common, f"--scale={service}={count}", service)
