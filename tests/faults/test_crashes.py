"""Killed at a named point of the way: before the acknowledgement nothing is promised, after it
everything."""

import os
import signal

import httpx
import pytest

from tests.support.faulty_stack import FaultyStack, until
from tests.support.files import png
from tests.support.ledger import Ledger, document

BEFORE = ["api-after-write", "api-after-fsync", "api-after-rename", "api-before-group-commit"]
AFTER = ["api-after-group-commit", "api-after-commit", "api-after-enqueue"]
WORKER = [
    "worker-after-claim",
    "worker-after-check",
    "worker-before-report",
    "worker-after-report",
]


@pytest.mark.parametrize("point", [*BEFORE, *AFTER])
def test_an_api_killed_while_it_receives_or_acknowledges_loses_nothing(
    faulty: FaultyStack, ledger: Ledger, point: str
) -> None:
    if "group" in point and "DATABASE_URL" in faulty.env:
        pytest.skip("PostgreSQL groups commits itself")
    content, old = document(), faulty.pid("api")
    with faulty.crashing(point) as victim:
        try:
            answered = ledger.form.send("needed", content).status_code
        except httpx.HTTPError:
            answered = None
        assert victim() == old
    assert answered is None or point == "api-after-enqueue", "that one runs beside the answer"
    faulty.back("api", old)
    faulty.whole()
    listed = ledger.form.read()["uploads"]["needed"]
    assert len(listed) == (1 if point in AFTER else 0)
    for upload in listed:  # it was committed: whoever saw no answer is owed it all the same
        ledger.wait(ledger.enter(upload, content, ledger.form), "stored")
    ledger.settle()


def test_an_api_killed_between_the_second_name_of_a_file_and_its_row_leaves_the_first(
    faulty: FaultyStack, ledger: Ledger
) -> None:
    with faulty.frozen("worker"):
        upload_id, old = ledger.send(), faulty.pid("api")
        with faulty.crashing("api-after-link") as victim:
            with pytest.raises(httpx.HTTPError):
                ledger.form.http.post(
                    f"{ledger.form.path}/fields/pair/uploads", json={"from": upload_id}
                )
            assert victim() == old
        faulty.back("api", old)
    faulty.whole()
    assert ledger.form.read()["uploads"]["pair"] == []
    ledger.settle()


def test_a_worker_killed_while_it_uses_a_stored_file_again_is_followed_by_another(
    faulty: FaultyStack, ledger: Ledger
) -> None:
    content, old = document(), faulty.pid("worker")
    first = ledger.enter(
        ledger.form.upload("needed", content, kind="application/pdf"), content, ledger.form
    )
    ledger.wait(first, "stored")
    with faulty.crashing("worker-after-check") as victim:
        path = f"{ledger.form.path}/fields/bulk/uploads"
        again = ledger.form.http.post(path, json={"from": first}).json()
        assert victim() == old
    assert ledger.form.http.delete(f"/v1/uploads/{first}").status_code == 204
    ledger.removed(first)
    faulty.back("worker", old)
    ledger.wait(ledger.enter(again, content, ledger.form), "stored")
    ledger.settle()


@pytest.mark.slow  # a key whose holder was killed is free again after a quarter of a minute
def test_a_key_whose_api_was_killed_after_the_commit_finds_its_upload(
    faulty: FaultyStack, ledger: Ledger
) -> None:
    content, old = document(), faulty.pid("api")
    with faulty.crashing("api-after-commit") as victim:
        with pytest.raises(httpx.HTTPError):
            ledger.form.put("needed", "k", content)
        assert victim() == old
    faulty.back("api", old)
    upload_id = ledger.persist(content, "k", seconds=60)
    assert [upload_id] == [each["id"] for each in ledger.form.read()["uploads"]["needed"]]
    ledger.settle()


@pytest.mark.parametrize("point", WORKER)
def test_a_worker_killed_at_any_step_is_followed_by_another(
    faulty: FaultyStack, ledger: Ledger, point: str
) -> None:
    old = faulty.pid("worker")
    with faulty.crashing(point) as victim:
        upload_id = ledger.send()
        assert victim() == old
    faulty.back("worker", old)
    read = ledger.wait(upload_id, "stored")  # within a lease, a sweep and a worker's start
    assert read["attempts"] == (1 if point == "worker-after-report" else 2)
    ledger.settle()


def test_a_stalled_worker_that_wakes_after_its_successor_changes_nothing(
    faulty: FaultyStack, ledger: Ledger
) -> None:
    written = len(faulty.logs("worker"))
    with faulty.crashing("worker-before-report", "SIGSTOP") as victim:
        upload_id = ledger.send()
        stalled = victim()
        try:
            second = faulty.second_worker()
            read = ledger.wait(upload_id, "stored")
            assert "/" + upload_id + ".2/" in read["public_url"]
        finally:
            os.kill(stalled, signal.SIGCONT)
    until(lambda: '"outcome_over"' in faulty.logs("worker")[written:], "it isn't told")
    assert ledger.read(upload_id) == read
    second.terminate()
    second.wait(10)

    def kept() -> set[str]:
        """The folders of the upload's generations that the bucket has."""
        return {key.rpartition("/")[0] for key in faulty.bucket_keys() if upload_id in key}

    until(lambda: len(kept()) == 1, "its own prefix is left")
    assert kept().pop().endswith(f"{upload_id}.2"), "it deleted its own prefix, and that alone"
    ledger.settle()


def test_an_upload_removed_while_its_worker_stalls_leaves_no_object(
    faulty: FaultyStack, ledger: Ledger
) -> None:
    with faulty.crashing("worker-before-report", "SIGSTOP") as victim:
        upload_id = ledger.send(png())
        stalled = victim()
        assert [key for key in faulty.bucket_keys() if upload_id in key], "it was put already"
        assert ledger.form.http.delete(f"/v1/uploads/{upload_id}").status_code == 204
        ledger.removed(upload_id)
        os.kill(stalled, signal.SIGCONT)
    ledger.settle()
    assert ledger.read(upload_id)["status"] == "removed"
    faulty.until_no_key(upload_id)


def test_a_job_of_a_killed_worker_counts_as_running_for_a_minute_at_most(
    faulty: FaultyStack, ledger: Ledger
) -> None:
    with faulty.crashing("worker-after-claim") as victim:
        upload_id = ledger.send()
        old = victim()
    running = faulty.redis("KEYS", "arq:in-progress:*").split()
    keys = [key for key in running if upload_id in key]
    assert keys
    assert all(0 < int(faulty.redis("TTL", key).lstrip(":")) <= 60 for key in keys)
    faulty.back("worker", old)
    ledger.settle()
