"""The parts reach each other badly or not at all; what was acknowledged is stored all the same."""

import os
import signal
import time
from uuid import uuid4

import pytest

from tests.support.client import FormClient, problem
from tests.support.faulty_stack import FaultyStack, until
from tests.support.files import jpeg, png
from tests.support.ledger import Ledger, document

STORE = [
    {"status": 500, "times": 2},
    {"status": 503, "times": 2},
    {"status": 403, "times": 2},
    {"drop_answer": True, "times": 2},
    {"cut_after": 300, "times": 2},
    {"flip": True, "marker": b"%%EOF", "times": 1},
    {"delay": 0.2},
]
INTERNAL = [
    {"status": 500, "times": 2},
    {"status": 401, "times": 2},
    {"status": 404, "marker": b"/claim", "times": 2},
    {"status": 404, "marker": b"PATCH", "times": 2},
    {"drop_answer": True, "marker": b"/claim", "times": 1},
    {"drop_answer": True, "marker": b"PATCH", "times": 2},
    {"refuse": True},
]


def _named(fault: dict[str, object]) -> str:
    return "-".join(f"{name}-{value!r}" for name, value in fault.items())


@pytest.mark.parametrize("fault", STORE, ids=_named)
def test_a_store_that_misbehaves_is_tried_again_and_costs_no_attempt(
    faulty: FaultyStack, ledger: Ledger, fault: dict[str, object]
) -> None:
    with faulty.links["s3"](**fault) as link:
        upload_id = ledger.send()
        if "times" in fault:
            until(lambda: link.hits == fault["times"], "the fault met too little")
        read = ledger.wait(upload_id, "stored")
    assert read["attempts"] == 1
    ledger.settle()


def test_a_store_that_is_away_holds_nothing_up_but_the_storing(
    faulty: FaultyStack, ledger: Ledger
) -> None:
    written = len(faulty.logs("worker"))
    with faulty.links["s3"](refuse=True):
        upload_id = ledger.send()
        until(lambda: '"breaker_opened"' in faulty.logs("worker")[written:], "not noticed")
        assert ledger.read(upload_id)["status"] in {"staged", "processing"}
        assert (faulty.state_dir / "staging/staged" / upload_id).exists()
    assert ledger.wait(upload_id, "stored")["attempts"] == 1
    ledger.settle()


@pytest.mark.parametrize("fault", INTERNAL, ids=_named)
def test_calls_to_the_record_are_repeated_and_applied_once(
    faulty: FaultyStack, ledger: Ledger, fault: dict[str, object]
) -> None:
    written = len(faulty.logs("worker"))
    with faulty.links["internal"](**fault) as link:
        upload_id = ledger.send()
        repeated = '"records_call_repeated"'
        until(lambda: repeated in faulty.logs("worker")[written:], "the fault met nothing")
        if "times" in fault:
            until(lambda: link.hits == fault["times"], "the fault met too little")
    read = ledger.wait(upload_id, "stored")
    assert read["attempts"] == 1
    assert f"/{upload_id}.1/" in read["public_url"], "one claim, and one outcome"
    said = [line for line in faulty.logs("worker").splitlines() if upload_id in line]
    assert any("promotion_started" in line for line in said)
    assert not [line for line in said if "_over" in line], "nobody gave it up, to be woken later"
    ledger.settle()


def test_uploads_are_acknowledged_without_redis_and_promoted_when_it_is_back(
    faulty: FaultyStack, ledger: Ledger
) -> None:
    old = faulty.pid("redis")
    with faulty.frozen("redis"):
        began = time.monotonic()
        frozen = [ledger.send() for _ in range(3)]
        assert time.monotonic() - began < 10, "the answer doesn't wait for Redis"
    with faulty.links["api_redis"](refuse=True):
        refused = ledger.send()
    flushed = ledger.send()
    faulty.redis("FLUSHALL")
    faulty.kill("redis")
    killed = ledger.send()
    faulty.back("redis", old)
    for upload_id in (*frozen, refused, flushed, killed):
        ledger.wait(upload_id, "replaced" if upload_id != killed else "stored", 45)
    ledger.settle()


def test_a_redis_that_comes_back_empty_delays_no_upload_for_long(
    faulty: FaultyStack, ledger: Ledger
) -> None:
    with faulty.frozen("worker"):
        upload_id = ledger.send()
        second = f"ZSCORE longshore:jobs {upload_id}:2"
        until(lambda: not faulty.redis(second).startswith("$-1"), "not woken again", 20)
        faulty.redis("FLUSHALL")  # its third wake-up is 20 seconds away
    ledger.wait(upload_id, "stored", 16)
    ledger.settle()


def test_a_redis_that_is_lost_costs_the_uploads_under_way_no_attempt(
    faulty: FaultyStack, ledger: Ledger
) -> None:
    with faulty.links["s3"](freeze=True), faulty.links["internal"](delay=0.2):
        sent = [ledger.send(form=ledger.new_form()) for _ in range(8)]
        for upload_id in sent:
            ledger.wait(upload_id, "processing")
        worker = faulty.pid("worker")
        with faulty.links["worker_redis"](refuse=True):
            until(lambda: "redis_lost" in faulty.logs("worker"), "it didn't notice")
            time.sleep(2)
    for upload_id in sent:
        assert ledger.wait(upload_id, "stored", 45)["attempts"] == 1
    assert faulty.pid("worker") == worker, "it waited"
    ledger.settle()


def test_a_worker_goes_on_within_two_seconds_of_the_return_of_redis(
    faulty: FaultyStack, ledger: Ledger
) -> None:
    worker, redis = faulty.pid("worker"), faulty.kill("redis")
    faulty.back("redis", redis)
    until(faulty.redis_answers, "Redis is not back")
    _is_taken_within_two_seconds(ledger)
    with faulty.frozen("redis"):
        time.sleep(12)  # longer than a call of the worker's may take
    _is_taken_within_two_seconds(ledger)
    assert faulty.pid("worker") == worker, "without ending"
    ledger.settle()


def test_a_worker_that_is_started_or_stopped_without_redis_waits_or_ends_at_once(
    faulty: FaultyStack, ledger: Ledger
) -> None:
    with faulty.links["worker_redis"](refuse=True):
        old = faulty.kill("worker")
        faulty.back("worker", old)
        waiting = faulty.pid("worker")
        time.sleep(2)
        assert faulty.pid("worker") == waiting, "it waits"
        began = time.monotonic()
        os.kill(waiting, signal.SIGTERM)
        until(lambda: faulty.info["pids"]["worker"] != [waiting], "it doesn't end", 3)
        assert time.monotonic() - began < 3
        faulty.back("worker", waiting)
    ledger.wait(ledger.send(), "stored")
    ledger.settle()


def _is_taken_within_two_seconds(ledger: Ledger) -> None:
    """From the return of Redis, which was just now, to the claim of a new upload."""
    began = time.monotonic()
    form = ledger.new_form()
    upload_id = ledger.send(form=form)
    until(lambda: ledger.read(upload_id)["status"] != "staged", "not taken", 10)
    assert time.monotonic() - began < 2
    ledger.wait(upload_id, "stored")


def test_a_fresh_job_is_not_starved_by_those_of_killed_workers(
    faulty: FaultyStack, ledger: Ledger
) -> None:
    script = (
        "for n = 1, 150 do redis.call('ZADD', KEYS[1], n, 'stale:' .. n)"
        " redis.call('SET', 'arq:in-progress:stale:' .. n, '1', 'EX', 60) end"
    )
    faulty.redis("EVAL", f'"{script}"', "1", "longshore:jobs")
    try:
        upload_id = ledger.send()
        ledger.wait(upload_id, "stored", seconds=30)
    finally:
        faulty.redis("ZREMRANGEBYSCORE", "longshore:jobs", "1", "150")
    ledger.settle()


@pytest.mark.parametrize("faulty", ["postgresql"], indirect=True)
def test_a_database_that_is_away_is_a_503_and_nothing_is_kept(
    faulty: FaultyStack, ledger: Ledger
) -> None:
    link = faulty.links["database"]
    with link(refuse=True):
        problem(ledger.form.send("needed", png()), 503, "unavailable")
        assert not faulty.answers(), "readyz says so"
    until(faulty.answers, "the api didn't find back")
    assert ledger.form.read()["uploads"]["needed"] == []
    ledger.send()
    ledger.settle()


@pytest.mark.parametrize("faulty", ["postgresql"], indirect=True)
@pytest.mark.parametrize("how", ["one statement", "a transaction"])
def test_a_commit_whose_answer_is_lost_is_looked_up_and_counts(
    faulty: FaultyStack, ledger: Ledger, how: str
) -> None:
    """A file alone is acknowledged by one statement, which its name goes with; a section isn't."""
    content, name = document(), f"lost-{uuid4().hex}.pdf"
    marker = b"COMMIT;" if how == "a transaction" else name.encode()
    form = ledger.form
    with faulty.links["database"](drop_answer=True, marker=marker) as link:
        if how == "a transaction":
            files = {"needed": (name, content, "application/pdf")}
            answer = form.http.patch(form.path, files=files)
        else:
            answer = form.send("needed", content, filename=name, kind="application/pdf")
        assert link.hits, "the commit was met"
    assert answer.status_code in {202, 503}, "found, or nobody could tell"
    (listed,) = form.read()["uploads"]["needed"]
    ledger.wait(ledger.enter(listed, content, form), "stored")
    ledger.settle()


@pytest.mark.parametrize("faulty", ["postgresql"], indirect=True)
def test_a_database_that_fails_over_while_uploads_are_processed_has_one_result_each(
    faulty: FaultyStack, ledger: Ledger
) -> None:
    link = faulty.links["database"]
    forms = [ledger.new_form() for _ in range(6)]
    sent = [ledger.send(form=form) for form in forms]
    for _ in range(4):
        link.cut()
        time.sleep(0.3)
    for upload_id in sent:
        assert ledger.wait(upload_id, "stored")["attempts"] <= 2
    ledger.settle()


def test_twenty_innocent_files_beside_a_poisonous_one_are_stored(ledger: Ledger) -> None:
    poison = jpeg()[:-400] + b"\0" * 400
    bad = ledger.new_form().send("needed", b"%PDF-1.7\n" + poison, kind="application/pdf").json()
    sent = [ledger.send(form=ledger.new_form()) for _ in range(20)]
    for upload_id in sent:
        ledger.wait(upload_id, "stored")
    assert ledger.wait(bad["id"], "rejected")["error"]["code"] == "file-corrupt"
    ledger.settle()


def test_a_file_that_ends_two_decoders_is_rejected_and_twenty_beside_it_are_stored(
    faulty: FaultyStack, ledger: Ledger
) -> None:
    signup = FormClient(faulty.url)
    poison = signup.upload("headshot", png(9000, 9000))
    with faulty.decoders_dying_of(poison["id"]) as died:
        sent = [ledger.send(form=ledger.new_form()) for _ in range(20)]
        read = ledger.wait(poison["id"], "rejected")
        for upload_id in sent:
            ledger.wait(upload_id, "stored")
    assert len(died) == read["attempts"] == 2
    assert read["error"]["code"] == "file-corrupt"
    assert poison["id"] in faulty.staged_files(), "an operator may look at it"
    (alarm,) = [line for line in faulty.logs("api").splitlines() if "decoder_died_again" in line]
    assert poison["id"] in alarm
    assert ledger.read(sent[0])["attempts"] == 1
    ledger.settle()
