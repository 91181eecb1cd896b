"""Of two apis the one that a worker talks to hangs: that is no attempt of the upload's."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from dev.ports import free_port
from tests.support.faulty_stack import FaultyStack, until
from tests.support.ledger import Ledger
from tests.support.stack import CHECKOUT


def test_a_hung_replica_costs_an_upload_that_is_worked_on_no_attempt(
    faulty: FaultyStack, ledger: Ledger
) -> None:
    """The worker knows one address. The other api's sweep takes the lease for lost and counts it;
    heard of, the worker gets the attempt back."""
    with _second_api(faulty) as log, faulty.crashing("worker-before-report", "SIGSTOP") as victim:
        time.sleep(4)  # it is patient for one lease after its start
        upload_id = ledger.send()
        worker = victim()
        with faulty.frozen("api"):
            os.kill(worker, signal.SIGCONT)
            until(lambda: "lease_lost" in log.read_text(), "the other sweep didn't look", 15)
        assert '"counted": true' in log.read_text()
        read = ledger.wait(upload_id, "stored")
        until(lambda: ledger.read(upload_id)["attempts"] == 1, "it is not given back", 10)
    assert read["status"] == "stored"
    ledger.settle()


@contextmanager
def _second_api(faulty: FaultyStack) -> Iterator[Path]:
    """One more, with the environment of the first. Gives its log."""
    raw = Path(f"/proc/{faulty.pid('api')}/environ").read_text()
    env = dict(entry.split("=", 1) for entry in raw.split("\0") if entry)
    port = str(free_port())
    env |= {"PORT": port, "INTERNAL_PORT": str(free_port())}
    log = faulty.state_dir / "logs/second-api.log"
    with log.open("wb") as output:
        second = subprocess.Popen(
            [CHECKOUT / ".venvs/run/bin/python", "-m", "api"],
            cwd=CHECKOUT,
            env=env,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        until(lambda: _answers(port), "the second api doesn't answer")
        yield log
    finally:
        second.terminate()
        second.wait(20)


def _answers(port: str) -> bool:
    try:
        answer = httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False, timeout=2)
    except httpx.HTTPError:
        return False
    return answer.status_code == 200
