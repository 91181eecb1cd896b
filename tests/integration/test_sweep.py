"""The sweep: what nobody is driving on is driven on (protocol P3–P5, P7, P10)."""

import asyncio
import math
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import structlog.testing
from sqlalchemy import select, update

from api.access.tokens import PERSON
from api.forms import closing
from api.records import cleaning, forms, migrate, stalled
from api.records.database import CommitUnknown, Database, DatabaseUnavailable, Transaction, clock
from api.records.rows import UploadRow
from api.records.tables import staged_names
from api.services import Services
from api.texts.errors import Problem
from api.upkeep import lost_leases
from api.upkeep.lost_leases import LostLeases
from api.upkeep.sweep import Sweep
from api.uploads import work
from api.uploads.acknowledge import acknowledge
from api.uploads.retry_or_remove import remove, retry
from shared.ids import new_id
from shared.internal_api import Cleaning
from shared.status import UploadStatus
from tests.support.many_rows import Work, fill
from tests.support.services import Scene, given_back, services_on, stored
from tests.support.sql import execute, uploads_of, values_of


class Woken:
    """Stands where the queue is, and remembers what the sweep asked it to wake: any wake-up after
    the first, which the acknowledgement itself sends."""

    def __init__(self, services: Services, *, length: int | None = 0) -> None:
        self.wakes: list[tuple[str, int]] = []
        self.cleanings = 0
        self.forgotten = False
        services.queue.wake = self._wake  # type: ignore[method-assign] # a stand-in
        services.queue.length = self._length  # type: ignore[method-assign] # a stand-in
        services.queue.holds = self._holds  # type: ignore[method-assign] # a stand-in
        services.queue.order_cleaning = self._clean  # type: ignore[method-assign] # a stand-in
        self._long = length

    async def _wake(self, wakes: Sequence[tuple[str, int]]) -> bool:
        self.wakes += [each for each in wakes if each[1] > 1]
        return True

    async def _length(self) -> int | None:
        return self._long

    async def _holds(self, wakes: Sequence[tuple[str, int]]) -> set[tuple[str, int]]:
        return set() if self.forgotten else set(wakes)

    async def _clean(self, minute: int) -> bool:  # noqa: ARG002 - the seam's signature
        self.cleanings += 1
        return True


def patient(services: Services) -> Sweep:
    """A sweep whose first lease after its start is over."""
    sweep = Sweep(services)
    sweep.patience.hearing_since = -math.inf
    return sweep


def once_found(
    patch: pytest.MonkeyPatch, name: str, happens: Callable[[], Awaitable[object]]
) -> None:
    """Let something happen between a look of the sweep and what it does about it."""
    look, scan = getattr(stalled, name), Database.scan

    async def scanned(self: Database, body: Any, *arguments: Any) -> object:
        found = await scan(self, body, *arguments)
        if body is look:
            with patch.context() as unpatched:
                unpatched.setattr(Database, "scan", scan)
                await happens()
        return found

    patch.setattr(Database, "scan", scanned)


async def test_a_staged_upload_whose_wake_up_was_lost_is_woken_again_and_again(
    scene: Scene,
) -> None:
    woken = Woken(scene.services)
    upload = await scene.staged()
    sweep = patient(scene.services)
    await sweep.waking.wake_due()
    assert woken.wakes == [], "its first wake-up was a moment ago"
    pauses = []
    for _ in range(8):
        await scene.set_all(wake_at=0)
        await sweep.waking.wake_due()
        row = await scene.now(upload)
        pauses.append(round((row.wake_at - await _clock(scene)) / 1000))
    assert [wake for _, wake in woken.wakes] == list(range(2, 10)), "each with a fresh job id"
    assert pauses == [20, 40, 80, 160, 320, 600, 600, 600]


async def test_what_another_replica_woke_while_the_sweep_looked_is_not_woken_twice(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken = Woken(scene.services)
    upload = await scene.staged()
    await scene.set_all(wake_at=0)
    once_found(monkeypatch, "due", patient(scene.services).waking.wake_due)
    await patient(scene.services).waking.wake_due()
    assert woken.wakes == [(upload.id, 2)]
    assert (await scene.now(upload)).wakes_unanswered == 1


async def test_what_a_worker_claims_while_the_sweep_looks_is_not_woken(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken = Woken(scene.services)
    upload = await scene.staged()
    await scene.set_all(wake_at=0)
    once_found(monkeypatch, "due", lambda: scene.claimed(upload))
    await patient(scene.services).waking.wake_due()
    assert woken.wakes == []


async def test_what_a_worker_gives_back_while_the_sweep_looks_keeps_the_time_of_its_next_attempt(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken = Woken(scene.services)
    upload = await scene.staged()
    await scene.set_all(wake_at=0, wakes_unanswered=9)

    async def tried() -> None:
        await scene.report(given_back(await scene.claimed(upload)))

    once_found(monkeypatch, "due", tried)
    await patient(scene.services).waking.wake_due()
    row = await scene.now(upload)
    assert woken.wakes == []
    assert row.wakes_unanswered == 0
    assert row.wake_at == row.next_attempt_at


async def test_what_the_queue_has_forgotten_is_woken_without_waiting_for_its_turn(
    scene: Scene,
) -> None:
    woken = Woken(scene.services)
    upload = await scene.staged("pair")
    sweep = patient(scene.services)
    await scene.set_all(wake_at=0)
    await sweep.waking.wake_due()
    fresh = await scene.staged("pair")  # its first wake-up may be on its way
    await sweep.waking.wake_forgotten()
    woken.forgotten = True
    await sweep.waking.wake_forgotten()
    assert woken.wakes == [(upload.id, 2)], "the queue holds it, or it was woken just now"
    await _let_pass(scene, 10_000)
    woken.forgotten = False
    await sweep.waking.wake_forgotten()
    assert woken.wakes == [(upload.id, 2)], "the queue holds it"
    woken.forgotten = True
    await sweep.waking.wake_forgotten()
    assert woken.wakes == [(upload.id, 2), (upload.id, 3)]
    assert (await scene.now(fresh)).wake == 1


async def test_the_queue_is_asked_for_all_that_was_woken_a_batch_at_a_time(
    scene: Scene,
) -> None:
    woken = Woken(scene.services)
    await fill(scene.services.database, 400, Work(waiting=stalled.BATCH + 50))
    now = await _clock(scene)
    soon = (
        "UPDATE uploads SET wakes_unanswered = 6,"
        " wake_at = :soon + CAST(substr(id, 10) AS BIGINT) WHERE status = 'staged'"
    )
    await execute(scene.services.database, soon, soon=now + 60_000)
    sweep = patient(scene.services)
    asked: set[str] = set()

    async def holds(wakes: Sequence[tuple[str, int]]) -> set[tuple[str, int]]:
        asked.update(upload_id for upload_id, _ in wakes)
        return set(wakes)

    scene.services.queue.holds = holds  # type: ignore[method-assign] # a stand-in
    await sweep.waking.wake_forgotten()
    assert len(asked) == stalled.BATCH
    await sweep.waking.wake_forgotten()
    assert len(asked) == stalled.BATCH + 50
    assert woken.wakes == []


@pytest.mark.parametrize("length", [None, 5000])
async def test_nothing_is_enqueued_while_redis_is_away_or_the_queue_is_long(
    scene: Scene, length: int | None
) -> None:
    woken = Woken(scene.services, length=length)
    upload = await scene.staged()
    await scene.set_all(wake_at=0)
    await patient(scene.services).waking.wake_due()
    assert woken.wakes == []
    assert (await scene.now(upload)).wake == 1


async def test_an_upload_that_was_given_back_is_woken_when_it_is_due(scene: Scene) -> None:
    woken = Woken(scene.services)
    upload = await scene.staged()
    await scene.report(given_back(await scene.claimed(upload)))
    sweep = patient(scene.services)
    await sweep.waking.wake_due()
    assert woken.wakes == []
    await scene.set_all(next_attempt_at=0, wake_at=0)
    await sweep.waking.wake_due()
    assert [each for each, _ in woken.wakes] == [upload.id]


async def test_a_lost_lease_gives_the_upload_to_the_next_worker(scene: Scene) -> None:
    upload = await scene.staged()
    order = await scene.claimed(upload)
    sweep = patient(scene.services)
    await sweep.lost_leases.take_back_lost_leases()
    assert (await scene.now(upload)).status is UploadStatus.PROCESSING
    await scene.set_all(lease_until=1)
    await sweep.lost_leases.take_back_lost_leases()
    row = await scene.now(upload)
    assert (row.status, row.attempts) == (UploadStatus.STAGED, 1)
    assert order.key_prefix in await scene.doomed()
    with pytest.raises(Problem, match="stale-generation"):
        await scene.report(stored(order))


async def test_a_lease_that_is_renewed_while_the_sweep_looks_is_not_lost(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await scene.staged()
    order = await scene.claimed(upload)
    await scene.set_all(lease_until=1)

    async def renew() -> None:
        await work.heartbeat(scene.services, upload.id, order.generation, "storing")

    once_found(monkeypatch, "lost_leases", renew)
    await patient(scene.services).lost_leases.take_back_lost_leases()
    assert (await scene.now(upload)).status is UploadStatus.PROCESSING
    assert (await scene.report(stored(order))).status is UploadStatus.STORED


async def test_an_upload_that_is_claimed_anew_while_the_sweep_looks_is_its_new_workers(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await scene.staged()
    order = await scene.claimed(upload)
    await scene.set_all(lease_until=1)

    async def claim_anew() -> None:
        await scene.report(given_back(order))
        await scene.set_all(next_attempt_at=0)
        await scene.claimed(upload)
        await scene.set_all(lease_until=1)  # of the same moment, by chance

    once_found(monkeypatch, "lost_leases", claim_anew)
    await patient(scene.services).lost_leases.take_back_lost_leases()
    row = await scene.now(upload)
    assert (row.status, row.generation) == (UploadStatus.PROCESSING, 2)


async def test_a_lease_that_ran_out_while_no_api_was_there_counts_no_attempt(
    tmp_path: Path, database_url: str
) -> None:
    quick = {"lease_seconds": 0.4, "heartbeat_seconds": 0.1}
    async with services_on(tmp_path, database_url, **quick) as services:
        scene = await Scene.create(services)
        silent, renewed = await scene.staged("pair"), await scene.staged("pair")
        await scene.claimed(silent)
        order = await scene.claimed(renewed)
        sweep = Sweep(services)  # as after a start
        await asyncio.sleep(0.1)
        await work.heartbeat(services, renewed.id, order.generation, "storing")
        await asyncio.sleep(0.5)
        await sweep.lost_leases.take_back_lost_leases()
        rows = [await scene.now(silent), await scene.now(renewed)]
        assert [row.status for row in rows] == [UploadStatus.STAGED, UploadStatus.STAGED]
        assert [row.attempts for row in rows] == [0, 1]


async def test_an_upload_that_ends_worker_and_api_together_runs_out_of_attempts(
    tmp_path: Path, database_url: str
) -> None:
    quick = {"lease_seconds": 0.2, "heartbeat_seconds": 0.1, "max_attempts": 2}
    async with services_on(tmp_path, database_url, **quick) as services:
        scene = await Scene.create(services)
        upload = await scene.staged()
        for _ in range(4):
            await scene.set_all(next_attempt_at=0)
            await scene.claimed(upload)
            # and not in the millisecond in which the api starts, which would count as heard
            await scene.set_all(lease_until=await _clock(scene) + 150)
            sweep = Sweep(services)  # after a start, and nobody renews
            await asyncio.sleep(0.3)
            await sweep.lost_leases.take_back_lost_leases()
        assert (await scene.now(upload)).status is UploadStatus.FAILED


async def test_a_lease_further_ahead_than_two_lengths_is_over(scene: Scene) -> None:
    upload = await scene.staged()
    await scene.claimed(upload)
    await scene.set_all(lease_until=await _clock(scene) + 3_600_000)
    await patient(scene.services).lost_leases.take_back_lost_leases()
    assert (await scene.now(upload)).status is UploadStatus.STAGED


async def test_no_lease_is_lost_in_the_first_lease_after_a_start(scene: Scene) -> None:
    upload = await scene.staged()
    await scene.claimed(upload)
    await scene.set_all(lease_until=1)
    await Sweep(scene.services).lost_leases.take_back_lost_leases()
    assert (await scene.now(upload)).status is UploadStatus.PROCESSING


async def test_two_apis_that_sweep_at_once_count_one_attempt_and_doom_one_prefix(
    tmp_path: Path, database_url: str
) -> None:
    async with (
        services_on(tmp_path, database_url) as one,
        services_on(tmp_path, database_url) as other,
    ):
        scene = await Scene.create(one)
        sent = [await scene.staged("pair") for _ in range(2)]
        for upload in sent:
            await scene.claimed(upload)
        await scene.set_all(lease_until=1)
        await asyncio.gather(patient(one).once(), patient(other).once())
        for upload in sent:
            row = await scene.now(upload)
            assert (row.status, row.attempts, row.backoffs) == (UploadStatus.STAGED, 1, 1)
        assert len(await scene.doomed()) == 2


async def test_a_worker_lost_at_the_last_attempt_ends_the_upload_failed(scene: Scene) -> None:
    upload = await scene.staged()
    await scene.claimed(upload)
    await scene.set_all(lease_until=1, attempts=5)
    await patient(scene.services).lost_leases.take_back_lost_leases()
    row = await scene.now(upload)
    assert (row.status, row.bytes) == (UploadStatus.FAILED, "kept")


async def test_an_upload_past_its_deadline_ends_failed_with_its_bytes_kept(scene: Scene) -> None:
    upload = await scene.staged()
    sweep = patient(scene.services)
    await sweep.overdue.fail_overdue()
    assert (await scene.now(upload)).status is UploadStatus.STAGED
    await scene.set_all(deadline=1)
    await sweep.overdue.fail_overdue()
    row = await scene.now(upload)
    assert (row.status, row.bytes) == (UploadStatus.FAILED, "kept")
    assert row.error
    assert row.error["code"] == "deadline-passed"
    assert await scene.services.staging.exists(upload.id)


async def test_an_upload_that_is_tried_again_has_its_whole_time_from_then(scene: Scene) -> None:
    upload = await scene.staged()
    tomorrow = await _clock(scene) + 86_400_000
    await scene.set_all(deadline=1, next_attempt_at=tomorrow, backoffs=9)
    sweep = patient(scene.services)
    await sweep.overdue.fail_overdue()
    fresh = await retry(scene.services, upload, by=PERSON)
    settings = scene.services.settings
    assert fresh.deadline - fresh.updated_at == pytest.approx(
        settings.deadline_seconds * 1000, abs=1000
    )
    await sweep.overdue.fail_overdue()
    assert (await scene.claimed(upload)).attempt == 1
    assert fresh.backoffs == 0


async def test_an_upload_that_is_tried_again_while_the_sweep_looks_is_not_overdue(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await scene.staged()
    await scene.set_all(deadline=1)

    async def fail_and_try_again() -> None:
        await patient(scene.services).overdue.fail_overdue()  # of another replica
        await retry(scene.services, upload, by=PERSON)

    once_found(monkeypatch, "overdue", fail_and_try_again)
    await patient(scene.services).overdue.fail_overdue()
    assert (await scene.now(upload)).status is UploadStatus.STAGED


async def test_an_upload_that_is_claimed_while_the_sweep_looks_is_not_overdue(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await scene.staged()
    await scene.set_all(deadline=1)
    once_found(monkeypatch, "overdue", lambda: scene.claimed(upload))
    await patient(scene.services).overdue.fail_overdue()
    assert (await scene.now(upload)).status is UploadStatus.PROCESSING


async def test_condemned_bytes_are_unlinked_and_kept_ones_are_not(scene: Scene) -> None:
    kept = await scene.staged()
    gone = await scene.stored()
    await scene.services.staging.exists(gone.id)
    await patient(scene.services).clearing.unlink_condemned()
    assert (await scene.now(gone)).bytes == "gone"
    assert not await scene.services.staging.exists(gone.id)
    # kept was replaced by the stored one; a fresh one stays
    fresh = await scene.staged()
    await patient(scene.services).clearing.unlink_condemned()
    assert await scene.services.staging.exists(fresh.id)
    assert (await scene.now(kept)).bytes == "gone"


async def test_bytes_that_cant_be_unlinked_are_tried_again_and_hold_nothing_up(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stalled, "BATCH", 2)
    *stuck, last = sorted([(await scene.stored()).id for _ in range(4)])
    rows = {row.id: row for row in await _uploads(scene)}
    staged = scene.services.staging.root / "staged"
    for name in stuck:
        (staged / name).unlink()
        (staged / name).mkdir()
    sweep = patient(scene.services)
    await sweep.clearing.unlink_condemned()
    assert not (staged / last).exists()
    assert [(await scene.now(rows[name])).bytes for name in stuck] == ["condemned"] * 3
    for name in stuck:
        (staged / name).rmdir()
    await sweep.clearing.unlink_condemned()
    assert [(await scene.now(rows[name])).bytes for name in stuck] == ["gone"] * 3


async def test_an_orphan_whose_sweep_was_killed_is_moved_by_the_next(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    orphan = (await scene.received()).staged.name
    root = scene.services.staging.root
    _age(root / "staged" / orphan, 7200)

    async def killed(name: str) -> None:
        raise RuntimeError(name)

    with monkeypatch.context() as patched:
        patched.setattr(scene.services.staging, "quarantine", killed)
        await patient(scene.services).once()
    assert (root / "staged" / orphan).exists()
    await patient(scene.services).once()
    assert not (root / "staged" / orphan).exists()
    assert (root / "quarantine" / orphan).exists()


async def test_an_orphan_goes_to_quarantine_and_later_for_good(scene: Scene) -> None:
    owned = await scene.staged()
    orphan = await scene.received()
    root = scene.services.staging.root
    half = root / "incoming" / new_id("upl")
    half.write_bytes(b"half")
    sweep = patient(scene.services)
    await sweep.clearing.quarantine_orphans()
    assert half.exists(), "it may still be arriving"
    for path in (half, root / "staged" / owned.id, root / "staged" / orphan.staged.name):
        _age(path, 7200)
    await sweep.clearing.quarantine_orphans()
    assert not half.exists()
    assert (root / "staged" / owned.id).exists()
    assert not (root / "staged" / orphan.staged.name).exists()
    aside = root / "quarantine" / orphan.staged.name
    assert aside.exists()
    _age(aside, 8 * 86400)
    await sweep.clearing.quarantine_orphans()
    assert not aside.exists()


async def test_a_receiver_that_meets_the_sweeps_verdict_backs_off(scene: Scene) -> None:
    late = await scene.received()
    _age(scene.services.staging.root / "staged" / late.staged.name, 7200)
    await patient(scene.services).clearing.quarantine_orphans()
    await patient(scene.services).forgetting.forget_done()
    field = scene.services.form_types["acceptance"].file_fields["needed"]
    with pytest.raises(Problem, match="unavailable"):
        await acknowledge(scene.services, scene.form.id, field, late, request_id="req")
    names = await values_of(scene.services.database, select(staged_names.c.condemned))
    assert names == [True]


async def test_the_name_of_an_orphan_is_kept_a_day_longer_than_its_file(scene: Scene) -> None:
    late = await scene.received()
    _age(scene.services.staging.root / "staged" / late.staged.name, 7200)
    sweep = patient(scene.services)
    await sweep.clearing.quarantine_orphans()
    kept = scene.services.settings.quarantine_seconds
    for over, names in ((-60, [late.staged.name]), (60, [])):
        at = int((time.time() - kept - 86_400 - over) * 1000)
        await execute(scene.services.database, update(staged_names).values(at=at))
        await sweep.forgetting.forget_done()
        found = await values_of(scene.services.database, select(staged_names.c.name))
        assert found == names


async def test_doomed_prefixes_are_ordered_cleaned_when_their_time_has_come(
    scene: Scene,
) -> None:
    woken = Woken(scene.services)
    database = scene.services.database
    upload = await scene.stored()
    await remove(scene.services, upload, by=PERSON)
    await patient(scene.services).erasing.order_cleaning()
    assert woken.cleanings == 1
    (order,) = await database.write(cleaning.claim, 10)
    assert order.prefix == f"acceptance/{scene.form.id}/needed/{upload.id}.1/"
    assert await database.write(cleaning.claim, 10) == [], "it is being worked on"
    await database.write(cleaning.confirm, order.id, order.passes)
    first = await scene.doomed()
    for _ in range(2):  # its answer was lost: it is repeated
        await database.write(cleaning.confirm, order.id, order.passes)
    assert await scene.doomed() == first
    not_before, passes = (await scene.doomed())[order.prefix]
    assert passes == 1
    assert not_before - await _clock(scene) == pytest.approx(86_400_000, abs=5_000)
    await patient(scene.services).forgetting.forget_done()
    assert order.prefix in await scene.doomed()

    async def left() -> tuple[list[int], list[Cleaning]]:
        return await database.scan(cleaning.done), await database.write(cleaning.claim, 10)

    await database.write(cleaning.confirm, order.id, 1)
    assert await left() == ([order.id], []), "cleaned twice, a day apart"
    await database.write(cleaning.confirm, order.id, order.passes)  # that of the first pass, late
    assert await left() == ([order.id], [])
    await patient(scene.services).forgetting.forget_done()
    assert await scene.doomed() == {}


async def test_a_purged_form_is_erased_once_bytes_and_objects_are_gone(scene: Scene) -> None:
    sweep = patient(scene.services)
    Woken(scene.services)
    await scene.stored()
    await closing.purge(scene.services, scene.form, by=PERSON)
    await sweep.erasing.erase_purged()
    assert await _exists(scene), "its bytes are still on the volume"
    await sweep.clearing.unlink_condemned()
    await sweep.erasing.erase_purged()
    assert await _exists(scene), "its object is still in the bucket"
    database = scene.services.database
    for order in await database.write(cleaning.claim, 10):
        await database.write(cleaning.confirm, order.id, order.passes)
    await sweep.erasing.erase_purged()
    assert not await _exists(scene)
    for table in ("uploads", "events", "forms"):
        count = f"SELECT count(*) FROM {table}"  # noqa: S608 - ours
        assert await values_of(database, count) == [0]


async def test_a_purged_form_that_has_bytes_and_no_object_is_erased_behind_them(
    scene: Scene,
) -> None:
    sweep = patient(scene.services)
    await scene.staged()
    await closing.purge(scene.services, scene.form, by=PERSON)
    await sweep.erasing.erase_purged()
    assert await _exists(scene)
    await sweep.clearing.unlink_condemned()
    await sweep.erasing.erase_purged()
    assert not await _exists(scene)


async def test_a_step_that_fails_doesnt_stop_the_others(scene: Scene) -> None:
    sweep = patient(scene.services)
    upload = await scene.staged()
    await scene.set_all(deadline=1)

    async def broken() -> None:
        raise RuntimeError("no")

    sweep.waking.wake_due = broken  # type: ignore[method-assign] # a stand-in
    await sweep.once()
    assert (await scene.now(upload)).status is UploadStatus.FAILED


async def test_a_row_nobody_can_handle_doesnt_hold_up_the_others(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = await scene.staged(), await scene.staged()
    await scene.claimed(bad)
    await scene.claimed(good)
    await scene.set_all(lease_until=1)
    original = LostLeases._take_back

    def picky(self: LostLeases, tx: Transaction, row: UploadRow, hearing_since: float) -> None:
        original(self, tx, row, hearing_since)
        if row.id == bad.id:
            raise ValueError("what is this")

    monkeypatch.setattr(LostLeases, "_take_back", picky)
    with structlog.testing.capture_logs() as logs:
        await patient(scene.services).lost_leases.take_back_lost_leases()
    assert [each["id"] for each in logs if each["event"] == "sweep_row_failed"] == [bad.id]
    assert (await scene.now(good)).status is UploadStatus.STAGED
    assert (await scene.now(bad)).status is UploadStatus.PROCESSING, "nothing of it is committed"


async def test_a_failing_step_doesnt_make_the_sweep_patient_with_lost_leases(
    scene: Scene,
) -> None:
    upload = await scene.staged()
    await scene.claimed(upload)
    await scene.set_all(lease_until=1)
    sweep = patient(scene.services)

    async def broken() -> None:
        raise OSError("no")

    sweep.clearing.clear_volume = broken  # type: ignore[method-assign] # a stand-in
    await sweep.once()
    await sweep.once()
    assert (await scene.now(upload)).status is UploadStatus.STAGED


@pytest.mark.parametrize("outage", [DatabaseUnavailable, CommitUnknown])
async def test_a_database_that_was_away_makes_it_patient(
    scene: Scene, outage: type[DatabaseUnavailable] | type[CommitUnknown]
) -> None:
    upload = await scene.staged()
    await scene.claimed(upload)
    sweep = patient(scene.services)

    async def away() -> None:
        raise outage()

    real, sweep.waking.wake_due = sweep.waking.wake_due, away  # type: ignore[method-assign] # a stand-in
    await sweep.once()
    await scene.set_all(lease_until=1)
    sweep.waking.wake_due = real  # type: ignore[method-assign] # a stand-in
    await sweep.once()
    assert (await scene.now(upload)).status is UploadStatus.PROCESSING


async def test_a_process_that_hung_takes_no_lease_back_for_one_lease(scene: Scene) -> None:
    upload = await scene.staged()
    await scene.claimed(upload)
    await scene.set_all(lease_until=1)
    sweep = patient(scene.services)
    sweep.patience._last_alive -= 60
    await sweep.once()
    assert (await scene.now(upload)).status is UploadStatus.PROCESSING
    sweep.patience.hearing_since = -math.inf
    await sweep.once()
    assert (await scene.now(upload)).status is UploadStatus.STAGED


@pytest.mark.parametrize("hangs", ["wake_due", "as_found"])
async def test_a_sweep_that_hung_itself_takes_no_lease_for_lost(
    tmp_path: Path, database_url: str, hangs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = {"lease_seconds": 0.4, "heartbeat_seconds": 0.1, "sweep_seconds": 0.1}
    async with services_on(tmp_path, database_url, **quick) as services:
        scene = await Scene.create(services)
        upload = await scene.staged()
        await scene.claimed(upload)
        await scene.set_all(lease_until=1)
        sweep = patient(services)
        hanging: object = lost_leases if hangs == "as_found" else sweep.waking
        real = getattr(hanging, hangs)

        async def hangs_before() -> object:
            await asyncio.sleep(0.4)  # as on a database that is frozen, and then answers
            return await real()

        def hangs_within(*arguments: object) -> object:
            time.sleep(0.4)
            return real(*arguments)

        within = hangs == "as_found"
        monkeypatch.setattr(hanging, hangs, hangs_within if within else hangs_before)
        await sweep.once()
        row = await scene.now(upload)
        assert (row.status, row.attempts) == (UploadStatus.PROCESSING, 1)


async def test_a_marker_that_is_no_text_is_a_mismatch(scene: Scene) -> None:
    (scene.services.staging.root / ".longshore-volume").write_bytes(bytes([255, 254]))
    await patient(scene.services).once()
    assert not await scene.services.mount.matches()


async def test_two_first_starts_at_once_agree_on_the_volume(
    tmp_path: Path, database_url: str
) -> None:
    await migrate.upgrade(database_url)
    async with (
        services_on(tmp_path, database_url) as one,
        services_on(tmp_path, database_url) as other,
    ):
        await execute(one.database, "DELETE FROM volume")
        (one.staging.root / ".longshore-volume").unlink()
        await asyncio.gather(one.mount.open(), other.mount.open())
        assert one.mount.id == other.mount.id
        assert await one.mount.matches()


async def test_a_volume_that_is_not_the_records_own_is_neither_filled_nor_swept(
    tmp_path: Path, database_url: str
) -> None:
    async with services_on(tmp_path, database_url) as services:
        scene = await Scene.create(services)
        orphan = await scene.received()
        path = services.staging.root / "staged" / orphan.staged.name
        _age(path, 7200)
        (services.staging.root / ".longshore-volume").write_text("vol_other")
        assert not await services.mount.matches()
        with pytest.raises(Problem, match="unavailable"):
            await services.mount.require()
        await patient(services).once()
        assert path.exists()


async def test_an_empty_database_beside_a_used_volume_is_not_taken_for_its_own(
    tmp_path: Path, database_url: str
) -> None:
    async with services_on(tmp_path, database_url) as services:
        await Scene.create(services)
        assert await services.mount.matches()
    async with services_on(tmp_path, f"sqlite:///{tmp_path}/empty.db") as services:
        assert not await services.mount.matches()
    async with services_on(tmp_path, database_url) as services:
        assert await services.mount.matches()


def _age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


async def _clock(scene: Scene) -> int:
    return await scene.services.database.scan(clock)


async def _uploads(scene: Scene) -> list[UploadRow]:
    return await scene.services.database.scan(uploads_of, scene.form.id)


async def _exists(scene: Scene) -> bool:
    return await scene.services.database.read(forms.get, scene.form.id) is not None


async def _let_pass(scene: Scene, milliseconds: int) -> None:
    """On the clock of the wake-ups."""
    earlier = "UPDATE uploads SET wake_at = wake_at - :ms"
    await execute(scene.services.database, earlier, ms=milliseconds)
