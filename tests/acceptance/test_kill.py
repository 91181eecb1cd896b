"""What was acknowledged is stored, whichever process is killed in the middle of it."""

import hashlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.support.client import FormClient
from tests.support.files import jpeg, pdf
from tests.support.stack import Stack

UPLOADS = 40
STORED_WITHIN = 60.0


@pytest.fixture
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of its own, with nothing tuned for the test."""
    running = Stack(tmp_path_factory.mktemp("kill") / "state")
    try:
        yield running.start()
    finally:
        running.stop()


def test_forty_uploads_survive_the_killing_of_worker_redis_and_api(victim: Stack) -> None:
    named = ["worker", "redis", "api"]
    ledger: list[tuple[FormClient, str, str]] = []
    at_work = threading.Lock()
    kills = {UPLOADS // 4 * (number + 1): name for number, name in enumerate(named)}

    def send(number: int) -> None:
        content = jpeg(400 + number, 400) if number % 2 else pdf(pages=number + 1)
        field = "headshot" if number % 2 else "resume"
        client, answer = _persist(victim, field, content)
        with at_work:
            ledger.append((client, answer.json()["id"], hashlib.sha256(content).hexdigest()))
            if len(ledger) in kills:
                victim.kill(kills.pop(len(ledger)))

    with ThreadPoolExecutor(6) as senders:
        list(senders.map(send, range(UPLOADS)))
    last_kill = time.monotonic()
    assert not kills, "every part that was to be killed was"
    assert len(ledger) == UPLOADS

    waiting = list(ledger)
    while waiting:
        waiting = [entry for entry in waiting if not _is_stored(*entry)]
        assert time.monotonic() - last_kill < STORED_WITHIN, [
            (entry[1], _status(*entry[:2])) for entry in waiting
        ]
        time.sleep(0.5)
    for client, upload_id, _ in ledger:
        link = client.http.get(f"/v1/uploads/{upload_id}/content", follow_redirects=True)
        assert link.status_code == 200


def _persist(stack: Stack, field: str, content: bytes) -> tuple[FormClient, httpx.Response]:
    """Send as a person would: again, until it is acknowledged."""
    deadline = time.monotonic() + 30
    while True:
        try:
            client = FormClient(stack.url)
            answer = client.send(field, content, "f", "application/octet-stream")
            if answer.status_code == 202:
                return client, answer
            assert answer.status_code == 503, answer.text
        except (httpx.HTTPError, OSError):
            assert time.monotonic() < deadline
        time.sleep(0.5)


def _is_stored(client: FormClient, upload_id: str, sha256: str) -> bool:
    read = _status(client, upload_id)
    if read is None or read["status"] != "stored":
        return False
    assert read["sha256"] == sha256
    form = client.read()
    assert form["data"][read["field"]] == read["public_url"]
    return True


def _status(client: FormClient, upload_id: str) -> dict[str, object] | None:
    try:
        answer = client.http.get(f"/v1/uploads/{upload_id}")
    except (httpx.HTTPError, OSError):
        return None  # the api is being started again
    return dict(answer.json()) if answer.status_code == 200 else None
