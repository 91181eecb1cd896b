"""Clients, volumes and processes that behave badly."""

import os
import signal
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.client import FormClient
from tests.support.faulty_stack import FaultyStack, until
from tests.support.files import pdf
from tests.support.ledger import Ledger, document


def test_an_api_told_to_stop_while_it_receives_finishes_or_promises_nothing(
    faulty: FaultyStack, ledger: Ledger
) -> None:
    content, old = document(), faulty.pid("api")
    with _connection(faulty) as connection:
        connection.sendall(_head(ledger.form, len(content)))
        assert connection.recv(65536).startswith(b"HTTP/1.1 100 "), "it waits for the body"
        connection.sendall(content[:300])
        os.kill(old, signal.SIGTERM)
        until(lambda: not faulty.answers(), "it takes no notice")
        connection.sendall(content[300:])
        answer = connection.recv(65536)
    faulty.back("api", old)
    faulty.whole()
    listed = ledger.form.read()["uploads"]["needed"]
    assert answer.startswith(b"HTTP/1.1 202"), "so little is within its grace"
    assert len(listed) == 1
    ledger.enter(listed[0], content, ledger.form)
    ledger.settle()


def test_a_volume_that_the_worker_misses_is_waited_for(
    faulty: FaultyStack, ledger: Ledger, tmp_path: Path
) -> None:
    mount = faulty.state_dir / "worker-volume"
    _mount(mount, tmp_path)
    try:
        upload_id = ledger.send()
        until(lambda: "no marker" in faulty.logs("worker"), "the worker didn't look")
        assert ledger.read(upload_id)["status"] in {"staged", "processing"}
    finally:
        _mount(mount, faulty.state_dir / "staging")
    assert ledger.wait(upload_id, "stored")["attempts"] == 1
    ledger.settle()


@pytest.mark.parametrize("change", ["deleted", "changed"])
def test_a_staged_file_that_is_lost_is_a_visible_failure_and_never_put(
    faulty: FaultyStack, ledger: Ledger, change: str
) -> None:
    with faulty.frozen("worker"):
        upload = ledger.form.upload("needed", document())  # not in the ledger: the volume lost it
        path = faulty.state_dir / "staging/staged" / upload["id"]
        if change == "deleted":
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[:-1] + b"?")
    final = ledger.form.final(upload)
    assert final["status"] == "failed"
    assert final["error"]["code"] == ("bytes-lost" if change == "deleted" else "bytes-changed")
    assert [key for key in faulty.bucket_keys() if upload["id"] in key] == []


def test_a_worker_killed_within_a_multipart_is_followed_by_one_that_stores(
    faulty: FaultyStack, ledger: Ledger
) -> None:
    content, old = pdf() + b"%" * 9_000_000, faulty.pid("worker")
    with faulty.crashing("worker-in-multipart") as victim:
        answer = ledger.form.send("bulk", content, kind="application/pdf")
        upload_id = ledger.enter(answer.json(), content, ledger.form)
        assert victim() == old
    faulty.back("worker", old)
    ledger.wait(upload_id, "stored")
    ledger.settle()


@pytest.mark.slow
def test_an_api_that_is_frozen_for_three_leases_costs_no_attempt(
    faulty: FaultyStack, ledger: Ledger
) -> None:
    with faulty.crashing("worker-before-report", "SIGSTOP") as victim:
        upload_id = ledger.send()
        worker = victim()
        with faulty.frozen("api"):
            os.kill(worker, signal.SIGCONT)
            time.sleep(10)  # three leases
    assert ledger.wait(upload_id, "stored")["attempts"] == 1
    ledger.settle()


@pytest.mark.slow
def test_a_minute_without_an_answer_of_redis_delays_no_acknowledgement_by_a_second(
    faulty: FaultyStack, ledger: Ledger
) -> None:
    usual = _acknowledgements(ledger, 100)
    with faulty.frozen("redis"):
        frozen = _acknowledgements(ledger, 200, pause=0.3)
    assert _p99(frozen) <= _p99(usual) + 1
    ledger.settle(120)


@pytest.mark.slow
def test_after_all_that_nothing_is_left_in_the_bucket(ledger: Ledger) -> None:
    """The work time, a margin of a minute, and a minute between two orders to clean."""
    ledger.send()
    assert ledger.settle(bucket=True).bucket_orphans == []


def _acknowledgements(ledger: Ledger, number: int, pause: float = 0) -> list[float]:
    """Seconds until each of so many uploads was acknowledged."""
    took = []
    for _ in range(number):
        form = ledger.new_form()
        began = time.monotonic()
        ledger.send(form=form)
        took.append(time.monotonic() - began)
        form.http.close()
        time.sleep(pause)
    return took


def _p99(took: list[float]) -> float:
    return sorted(took)[len(took) * 99 // 100 - 1]


def _connection(faulty: FaultyStack) -> socket.socket:
    address = urlsplit(faulty.url)
    return socket.create_connection((address.hostname, address.port), timeout=20)


def _head(form: FormClient, length: int) -> bytes:
    return (
        f"PUT {form.path}/fields/needed/uploads/k HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {form.token}\r\nContent-Type: application/pdf\r\n"
        f"Content-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
    ).encode()


def _mount(point: Path, target: Path) -> None:
    new = point.with_name("worker-volume.new")
    new.symlink_to(target)
    new.rename(point)
