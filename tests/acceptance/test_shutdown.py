"""A worker that is told to stop hands its uploads to the next one."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from tests.support.client import FormClient
from tests.support.faulty_stack import descendants
from tests.support.files import jpeg
from tests.support.stack import Stack


def test_a_stopping_worker_gives_back_what_it_holds_and_counts_no_attempt(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "state", {"LEASE_SECONDS": "300", "DECODE_SECONDS": "60"})
    try:
        stack.start()
        client = FormClient(stack.url)
        photos = [_named(jpeg(4000, 4000), n) for n in range(6)]  # made once: it takes a second
        os.kill(stack.pid("worker"), signal.SIGSTOP)  # so that it has them all before it
        sent = [client.upload("certificates", each, kind="image/jpeg") for each in photos]
        os.kill(stack.pid("worker"), signal.SIGCONT)
        for _ in range(2):
            deadline = time.monotonic() + 10
            while not any(status == "processing" for status in _statuses(client)):
                assert time.monotonic() < deadline, _statuses(client)
                time.sleep(0.05)
            old = stack.pid("worker")
            for decoder in descendants(old):  # or a quick machine is done before the worker is
                with suppress(ProcessLookupError):
                    os.kill(decoder, signal.SIGSTOP)
            os.kill(old, signal.SIGTERM)
            while stack.info["pids"]["worker"] in ([], [old]):
                assert time.monotonic() < deadline + 20
                time.sleep(0.1)
        for upload in sent:
            final = client.final(upload, seconds=240)  # less than the lease
            assert final["status"] == "stored", "with a lease of 300 s it was given back"
            assert final["attempts"] == 1
    finally:
        stack.stop()


def _statuses(client: FormClient) -> list[str]:
    return [upload["status"] for upload in client.read()["uploads"]["certificates"]]


def _named(photo: bytes, number: int) -> bytes:
    """The photo with a comment, so that none is another's bytes."""
    return photo[:2] + b"\xff\xfe\0\3" + bytes([number]) + photo[2:]
