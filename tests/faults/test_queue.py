"""What the queue's library does on its own, and must not do to an upload."""

import pickle
import time
from pathlib import Path

from tests.support.faulty_stack import FaultyStack, until
from tests.support.ledger import Ledger

QUEUE = "longshore:jobs"


def test_a_job_that_a_killed_worker_seems_to_run_is_followed_by_one_with_another_id(
    faulty: FaultyStack, ledger: Ledger
) -> None:
    """The library takes neither the same id nor an in-progress one, for as long as a job may run."""
    with faulty.frozen("worker"):
        upload_id = ledger.send()
        first = f"{upload_id}:1"
        until(lambda: not faulty.redis("ZSCORE", QUEUE, first).startswith("$-1"), "not enqueued")
        faulty.redis("SET", f"arq:in-progress:{first}", "1", "EX", "300")
    assert ledger.wait(upload_id, "stored", 20)["attempts"] == 1
    ledger.settle()


def test_a_job_that_would_run_code_as_a_pickle_runs_none(
    faulty: FaultyStack, ledger: Ledger
) -> None:
    proof = faulty.state_dir / "code-was-run"

    class Code:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return (Path.touch, (proof,))

    job = {"t": 1, "f": "promote", "a": (Code(),), "k": {}, "et": int(time.time() * 1000)}
    octets = "".join(f"\\x{octet:02x}" for octet in pickle.dumps(job))
    faulty.redis("SET", "arq:job:evil", f'"{octets}"')
    faulty.redis("ZADD", QUEUE, "1", "evil")
    until(lambda: faulty.redis("ZSCORE", QUEUE, "evil").startswith("$-1"), "nobody took it")
    assert not proof.exists()
    ledger.send()
    ledger.settle()
