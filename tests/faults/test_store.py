"""A store that is away holds up the storing alone, and operators see it."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from dev.ports import free_port
from tests.support.faulty_stack import FaultyStack, until
from tests.support.files import jpeg
from tests.support.ledger import Ledger
from tests.support.links import links
from tests.support.stack import forms_folder

CALM = {
    "LEASE_SECONDS": "10",  # fifty that wait have their leases renewed all the time
    "HEARTBEAT_SECONDS": "3",
    "SWEEP_SECONDS": "0.5",
    "FIRST_BACKOFF_SECONDS": "0.2",
    "MAX_BACKOFF_SECONDS": "1",
    "WORK_SECONDS": "40",
    "ORPHAN_SECONDS": "2",
    "QUARANTINE_SECONDS": "2",
    "LONGSHORE_RESTART_SECONDS": "0.2",
    "LONGSHORE_WORKER_SHUTDOWN_SECONDS": "4",  # as it is by default
}
FROZEN, REFUSING, RESETTING = {"freeze": True}, {"refuse": True}, {"cut_after": 0}
SEEN_WITHIN = 15.0


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyStack]:
    """A stack whose worker reaches the store through a faulty link, on times as they are used."""
    folder = tmp_path_factory.mktemp("store")
    state, points = folder / "state", folder / "crash-points"
    state.mkdir()
    points.mkdir()
    ports = {name: free_port() for name in ("public", "internal", "s3", "redis")}
    (state / "ports.json").write_text(json.dumps(ports))
    with links(s3=ports["s3"]) as opened:
        env = CALM | {
            "FORMS_DIR": str(forms_folder(folder / "forms")),
            "LONGSHORE_WORKER_S3_ENDPOINT_URL": f"http://127.0.0.1:{opened['s3'].port}",
        }
        stack = FaultyStack(state, env, ports["public"], opened, points)
        try:
            stack.start()
            until(lambda: _store(stack) == "ok", "the worker wasn't heard of")
            yield stack
        finally:
            stack.stop()


def test_fifty_uploads_outlast_a_store_that_is_frozen_refuses_and_resets(
    faulty: FaultyStack, ledger: Ledger
) -> None:
    _fifty_outlast(faulty, ledger, seconds=15)


@pytest.mark.slow
def test_fifty_uploads_outlast_two_minutes_without_a_store(
    faulty: FaultyStack, ledger: Ledger
) -> None:
    _fifty_outlast(faulty, ledger, seconds=120)


def _fifty_outlast(faulty: FaultyStack, ledger: Ledger, *, seconds: float) -> None:
    good: list[str] = []
    with ExitStack() as outage:
        for fault in (FROZEN, REFUSING, RESETTING):
            outage.enter_context(faulty.links["s3"](**fault))
            began = time.monotonic()
            good += [ledger.send(form=ledger.new_form()) for _ in range(17)]
            bad = _bad(ledger)
            assert ledger.wait(bad, "rejected", 20)["attempts"] == 1
            time.sleep(max(0, seconds / 3 - (time.monotonic() - began)))
        assert {ledger.read(each)["status"] for each in good} <= {"staged", "processing"}
        assert ledger.wait(_bad(ledger), "rejected", 10)["attempts"] == 1
        assert _store(faulty) == "away"
    for upload_id in good:
        assert ledger.wait(upload_id, "stored", 60)["attempts"] == 1
    until(lambda: _store(faulty) == "ok", "the store's return isn't seen", SEEN_WITHIN)
    ledger.settle()


def test_a_store_that_hangs_is_seen_within_fifteen_seconds_though_nothing_is_put(
    faulty: FaultyStack, ledger: Ledger
) -> None:
    until(lambda: _store(faulty) == "ok", "the store isn't there")
    written = len(faulty.logs("worker"))
    with faulty.frozen("s3"):
        frozen_at = time.time()
        until(lambda: _store(faulty) == "away", "not seen", SEEN_WITHIN)
        assert _metric(faulty, "longshore_store_up") == 0
        assert '"breaker_opened"' in faulty.logs("worker")[written:]
        waiting = [ledger.send(form=ledger.new_form()) for _ in range(2)]
        until(lambda: _metric(faulty, "longshore_checked_uploads") == 2, "not counted")
        details = _details(faulty)
        assert details["status"] == "ready", "uploads are taken without a store"
        assert frozen_at - 1 < _moment(details["store"]["since"]) < frozen_at + SEEN_WITHIN
        public = httpx.get(f"{faulty.url}/readyz", trust_env=False)
        assert (public.status_code, public.json().keys()) == (200, {"status", "checks"})
    for upload_id in waiting:
        assert ledger.wait(upload_id, "stored")["attempts"] == 1
    until(lambda: _metric(faulty, "longshore_store_up") == 1, "its return isn't seen", SEEN_WITHIN)
    assert '"breaker_closed"' in faulty.logs("worker")[written:]
    assert _metric(faulty, "longshore_workers") >= 1
    ledger.settle()


def test_a_store_that_refuses_us_is_told_from_one_that_is_away(
    faulty: FaultyStack, ledger: Ledger
) -> None:
    with faulty.links["s3"](status=403):
        upload_id = ledger.send()
        until(lambda: _store(faulty) == "refused", "not seen", SEEN_WITHIN)
    assert ledger.wait(upload_id, "stored", 60)["attempts"] == 1
    ledger.settle()


@pytest.mark.slow
def test_a_store_that_takes_five_seconds_for_every_answer_is_given_what_it_can_take(
    faulty: FaultyStack, ledger: Ledger
) -> None:
    with faulty.links["s3"](delay=5):
        until(lambda: _store(faulty) == "away", "not seen", SEEN_WITHIN + 5)
        upload_id = ledger.send()
        assert ledger.wait(upload_id, "stored", 120)["attempts"] == 1
    ledger.settle()


def test_a_worker_that_is_told_to_stop_hands_on_all_that_waits_for_the_store(
    faulty: FaultyStack, ledger: Ledger
) -> None:
    lost, handed = _leases_lost(faulty), _handed_on(faulty)
    with faulty.links["s3"](freeze=True):
        until(lambda: _store(faulty) == "away", "not seen", SEEN_WITHIN)
        sent = [ledger.send(form=ledger.new_form()) for _ in range(64)]
        until(lambda: _metric(faulty, "longshore_checked_uploads") == 64, "not checked", 90)
        worker = faulty.pid("worker")
        os.kill(worker, signal.SIGTERM)
        faulty.back("worker", worker)
        assert _handed_on(faulty) - handed == 64
    for upload_id in sent:
        assert ledger.wait(upload_id, "stored", 90)["attempts"] == 1
    assert _leases_lost(faulty) == lost
    ledger.settle()


def _bad(ledger: Ledger) -> str:
    """A PDF by its first bytes, and nothing after them."""
    broken = b"%PDF-1.7\n" + jpeg()[:2000]
    answer = ledger.new_form().send("needed", broken, kind="application/pdf")
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def _details(faulty: FaultyStack) -> dict[str, Any]:
    answer = httpx.get(f"{faulty.info['internal_url']}/readyz", trust_env=False, timeout=10)
    return dict(answer.json())


def _store(faulty: FaultyStack) -> str | None:
    store = _details(faulty)["store"]
    return str(store["state"]) if store else None


def _metrics(faulty: FaultyStack) -> dict[str, float]:
    """Those without labels by their names, the others by name and values."""
    raw = (faulty.state_dir / "secrets.json").read_text()
    secret = {"Authorization": f"Bearer {json.loads(raw)['internal_secret']}"}
    url = f"{faulty.info['internal_url']}/metrics"
    text = httpx.get(url, headers=secret, trust_env=False, timeout=10).text
    return {
        ":".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _metric(faulty: FaultyStack, name: str) -> float:
    return _metrics(faulty)[name]


def _leases_lost(faulty: FaultyStack) -> float:
    return _metric(faulty, "longshore_leases_lost_total")


def _handed_on(faulty: FaultyStack) -> float:
    return _metrics(faulty).get("longshore_given_back_total:shutdown", 0)


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
