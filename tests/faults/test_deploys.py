"""Releases: api and worker are told to stop and replaced, again and again, while people upload."""

import os
import signal
import time
from contextlib import nullcontext

import pytest

from tests.support.faulty_stack import FaultyStack
from tests.support.ledger import Ledger

PATIENCE = 120
"""Seconds: two processes start anew at each deploy, and a busy machine takes its time for that."""
HAND_IN_SECONDS = 4.5
"""For so long a stopping worker tries to hand on what it has; then it costs an attempt."""


@pytest.mark.parametrize("deploys", [2, pytest.param(10, marks=pytest.mark.slow)])
def test_deploys_in_a_row_lose_nothing_and_cost_most_uploads_no_attempt(
    faulty: FaultyStack, ledger: Ledger, deploys: int
) -> None:
    sent: list[str] = []
    slowest = 0.0
    for deploy in range(deploys):
        # Every other time the store is frozen: the worker can't finish within its grace, and has to
        # hand on. Before that, everything earlier has to be stored: the worker has few places, and
        # the newest would not be begun while others wait in them. The next deploy comes at once.
        for upload_id in sent if deploy % 2 else ():
            ledger.wait(upload_id, "stored", PATIENCE)
        stuck = faulty.links["s3"](freeze=True) if deploy % 2 else nullcontext()
        with stuck:
            newest = [ledger.send(form=ledger.new_form()) for _ in range(3)]
            for upload_id in newest if deploy % 2 else ():
                ledger.wait(upload_id, "processing", PATIENCE)
            sent += newest
            old = {name: faulty.pid(name) for name in ("worker", "api")}
            began = time.monotonic()
            for pid in old.values():
                os.kill(pid, signal.SIGTERM)
            faulty.back("api", old["api"])
            slowest = max(slowest, time.monotonic() - began)
            faulty.back("worker", old["worker"])
            faulty.whole()
    attempts = sorted(ledger.wait(upload_id, "stored", PATIENCE)["attempts"] for upload_id in sent)
    if slowest < HAND_IN_SECONDS:  # a busy machine's api may take longer to come back
        assert attempts[len(attempts) // 2] == 1
    assert attempts[-1] <= 2
    ledger.settle()
