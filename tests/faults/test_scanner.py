"""What is to be scanned waits for the scanner, good and bad alike, and no attempt is counted."""

import json
import os
import signal
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from dev.ports import free_port
from tests.support.clamd import EICAR, RunningClamd, running_clamd
from tests.support.faulty_stack import FaultyStack, until
from tests.support.files import pdf
from tests.support.ledger import Ledger
from tests.support.stack import forms_folder

QUICK = {
    "SWEEP_SECONDS": "0.5",
    "FIRST_BACKOFF_SECONDS": "0.2",
    "MAX_BACKOFF_SECONDS": "1",
    "LONGSHORE_RESTART_SECONDS": "0.2",
}
MANY = 12


@pytest.fixture(scope="module")
def clamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningClamd]:
    with running_clamd(tmp_path_factory.mktemp("clamd")) as running:
        yield running


@pytest.fixture(scope="module")
def faulty(clamd: RunningClamd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyStack]:
    """A stack whose worker is told of a scanner that isn't there yet: it starts, and waits."""
    folder = tmp_path_factory.mktemp("scanner")
    env = QUICK | {
        "FORMS_DIR": str(forms_folder(folder / "forms")),
        "CLAMD_ADDRESS": clamd.address,
    }
    stack = FaultyStack(folder / "state", env, free_port(), {}, folder)
    try:
        with clamd.gone():
            stack.start()
            until(lambda: "nothing listens at" in stack.logs("worker"), "its absence isn't told")
        yield stack
    finally:
        stack.stop()


def send_infected(ledger: Ledger) -> str:
    answer = ledger.new_form().send("needed", pdf() + b"\n%" + EICAR, kind="application/pdf")
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def test_an_infected_file_is_rejected_and_the_good_one_beside_it_is_stored(
    faulty: FaultyStack, ledger: Ledger
) -> None:
    bad, good = send_infected(ledger), ledger.send(form=ledger.new_form())
    rejected, stored = ledger.wait(bad, "rejected"), ledger.wait(good, "stored")
    assert rejected["error"]["code"] == "file-infected"
    assert rejected["error"]["params"] == {}
    assert (rejected["attempts"], rejected["scan"]["verdict"]) == (1, "infected")
    assert stored["scan"]["verdict"] == "clean"
    assert faulty.bucket_keys()
    assert not [key for key in faulty.bucket_keys() if bad in key]
    counted = _scans(faulty)
    assert counted["infected"] >= 1
    assert counted["clean"] >= 1
    ledger.settle()


@pytest.mark.parametrize("how", ["gone", "frozen"])
def test_good_and_bad_wait_for_a_scanner_that_is_away_and_no_attempt_is_counted(
    faulty: FaultyStack, clamd: RunningClamd, ledger: Ledger, how: str
) -> None:
    written = len(faulty.logs("worker"))
    with getattr(clamd, how)():
        bad = [send_infected(ledger) for _ in range(MANY)]
        good = [ledger.send(form=ledger.new_form()) for _ in range(MANY)]
        until(lambda: '"breaker_opened"' in faulty.logs("worker")[written:], "not noticed")
        given_back = '"promotion_given_back"'
        until(
            lambda: faulty.logs("worker")[written:].count(given_back) > 3 * len(bad + good),
            "not some rounds of giving back and claiming again",
        )
        waiting = {ledger.read(each)["status"] for each in bad + good}
        assert waiting <= {"staged", "processing"}
    for upload_id in good:
        assert ledger.wait(upload_id, "stored", 60)["attempts"] == 1
    for upload_id in bad:
        ended = ledger.wait(upload_id, "rejected", 60)
        assert (ended["error"]["code"], ended["attempts"]) == ("file-infected", 1)
    assert '"breaker_closed"' in faulty.logs("worker")[written:]
    ledger.settle()


def test_a_worker_whose_scanner_is_frozen_stops_in_time_and_hands_on_what_it_had(
    faulty: FaultyStack, clamd: RunningClamd, ledger: Ledger
) -> None:
    with clamd.frozen():
        sent = [ledger.send(form=ledger.new_form()) for _ in range(4)]
        until(lambda: {ledger.read(each)["stage"] for each in sent} & {"scanning"}, "not scanned")
        worker = faulty.pid("worker")
        os.kill(worker, signal.SIGTERM)
        faulty.back("worker", worker)
    for upload_id in sent:
        assert ledger.wait(upload_id, "stored", 60)["attempts"] == 1
    ledger.settle()


def _scans(faulty: FaultyStack) -> dict[str, float]:
    raw = (faulty.state_dir / "secrets.json").read_text()
    secret = {"Authorization": f"Bearer {json.loads(raw)['internal_secret']}"}
    url = f"{faulty.info['internal_url']}/metrics"
    text = httpx.get(url, headers=secret, trust_env=False, timeout=10).text
    return {
        sample.labels["verdict"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "longshore_scans_total"
    }
