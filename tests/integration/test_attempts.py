"""An attempt that was no worker's death is given back, once (protocol P3)."""

import pytest

from api.access.tokens import PERSON
from api.records.rows import UploadRow
from api.texts.errors import Problem
from api.uploads import work
from api.uploads.retry_or_remove import retry
from shared.internal_api import WorkOrder
from shared.status import UploadStatus
from tests.support.services import Scene, given_back, stored
from tests.support.sweeping import willing_sweep


async def _lost(scene: Scene, upload: UploadRow) -> WorkOrder:
    """Claim it, and let the lease be taken for lost."""
    await scene.set_all(next_attempt_at=0)
    order = await scene.claimed(upload)
    await scene.set_all(lease_until=1)
    await willing_sweep(scene.services).take_back_lost_leases()
    return order


async def _heartbeat(scene: Scene, order: WorkOrder) -> None:
    with pytest.raises(Problem, match="stale-generation"):
        await work.heartbeat(scene.services, order.upload_id, order.generation, "storing")


async def test_a_worker_that_is_heard_of_late_gives_its_attempt_back_once(scene: Scene) -> None:
    upload = await scene.staged()
    order = await _lost(scene, upload)
    before = await scene.now(upload)
    assert (before.status, before.attempts) == (UploadStatus.STAGED, 1)
    for _ in range(2):
        await _heartbeat(scene, order)
        with pytest.raises(Problem, match="stale-generation"):
            await scene.report(stored(order))
    after = await scene.now(upload)
    assert (after.status, after.attempts) == (UploadStatus.STAGED, 0)
    assert after.version > before.version, "clients see it"


async def test_the_attempt_of_who_took_over_still_counts(scene: Scene) -> None:
    upload = await scene.staged()
    first = await _lost(scene, upload)
    await scene.set_all(next_attempt_at=0)
    second = await scene.claimed(upload)
    with pytest.raises(Problem, match="stale-generation"):
        await scene.report(stored(first))
    assert (await scene.now(upload)).attempts == 1
    row = await scene.report(stored(second))
    assert (row.status, row.attempts) == (UploadStatus.STORED, 1)


async def test_several_that_were_silenced_are_each_given_back(scene: Scene) -> None:
    upload = await scene.staged()
    orders = [await _lost(scene, upload) for _ in range(3)]
    assert (await scene.now(upload)).attempts == 3
    for order in orders:
        await _heartbeat(scene, order)
    assert (await scene.now(upload)).attempts == 0


async def test_what_failed_for_such_an_attempt_goes_on(scene: Scene) -> None:
    upload = await scene.staged()
    await scene.set_all(attempts=4)
    order = await _lost(scene, upload)
    failed = await scene.now(upload)
    assert (failed.status, failed.error and failed.error["code"]) == (
        UploadStatus.FAILED,
        "attempts-exhausted",
    )
    await _heartbeat(scene, order)
    row = await scene.now(upload)
    assert (row.status, row.attempts, row.error) == (UploadStatus.STAGED, 4, None)
    assert row.deadline == failed.deadline
    await scene.set_all(next_attempt_at=0)
    assert (await scene.report(stored(await scene.claimed(upload)))).status is UploadStatus.STORED


async def test_what_failed_and_has_no_bytes_left_stays_failed(scene: Scene) -> None:
    upload = await scene.staged()
    await scene.set_all(attempts=4)
    order = await _lost(scene, upload)
    await scene.set_all(bytes="gone")
    await _heartbeat(scene, order)
    assert (await scene.now(upload)).status is UploadStatus.FAILED


async def test_a_retry_by_a_person_leaves_nothing_to_give_back(scene: Scene) -> None:
    upload = await scene.staged()
    await scene.set_all(attempts=4)
    order = await _lost(scene, upload)
    await retry(scene.services, upload, by=PERSON)
    await _heartbeat(scene, order)
    assert (await scene.now(upload)).attempts == 0


async def test_a_generation_that_gave_its_upload_back_has_no_second_attempt_to_give(
    scene: Scene,
) -> None:
    upload = await scene.staged()
    order = await scene.claimed(upload)
    await scene.report(given_back(order))
    await _heartbeat(scene, order)
    assert (await scene.now(upload)).attempts == 1


async def test_an_upload_that_always_silences_its_worker_runs_out_of_attempts(
    scene: Scene,
) -> None:
    upload = await scene.staged()
    most = 2 * scene.services.settings.max_attempts
    for _ in range(most):
        await _heartbeat(scene, await _lost(scene, upload))
    row = await scene.now(upload)
    assert (row.status, row.generation) == (UploadStatus.FAILED, most)
