"""A file that ends its decoder twice is rejected, and nothing else is (protocol P3)."""

import pytest
import structlog

from api.access.tokens import PERSON
from api.records.rows import UploadRow
from api.uploads.outcomes import DECODER
from api.uploads.retry_or_remove import retry
from shared.status import UploadStatus
from tests.support.services import Scene, given_back, stored
from tests.support.sweeping import willing_sweep


async def _dies(scene: Scene, upload: UploadRow, cause: str = DECODER) -> UploadRow:
    await scene.set_all(next_attempt_at=0)
    return await scene.report(given_back(await scene.claimed(upload), cause=cause))


async def test_the_second_death_rejects_the_file_keeps_its_bytes_and_tells_the_operator(
    scene: Scene,
) -> None:
    upload = await scene.staged()
    with structlog.testing.capture_logs() as logs:
        first = await _dies(scene, upload)
        assert (first.status, first.attempts) == (UploadStatus.STAGED, 1)
        assert not [line for line in logs if line["log_level"] == "error"]
        second = await _dies(scene, upload)
    assert (second.status, second.bytes) == (UploadStatus.REJECTED, "kept")
    assert second.error
    assert (second.error["code"], second.error["retryable"]) == ("file-corrupt", False)
    (alarm,) = [line for line in logs if line["log_level"] == "error"]
    assert (alarm["event"], alarm["upload_id"]) == ("decoder_died_again", upload.id)
    assert await scene.services.staging.exists(upload.id)


async def test_the_outcome_that_rejected_it_may_be_repeated(scene: Scene) -> None:
    upload = await scene.staged()
    await _dies(scene, upload)
    await scene.set_all(next_attempt_at=0)
    outcome = given_back(await scene.claimed(upload), cause=DECODER)
    first = await scene.report(outcome)
    assert await scene.report(outcome) == first


@pytest.mark.parametrize("cause", ["memory", "unexpected", "deadline", "store"])
async def test_other_attempts_are_no_deaths(scene: Scene, cause: str) -> None:
    upload = await scene.staged()
    row = await _dies(scene, upload)
    for _ in range(2):
        row = await _dies(scene, upload, cause)
        assert row.status is UploadStatus.STAGED
    assert row.decoder_deaths == 1


async def test_a_decoder_that_could_not_be_started_is_no_death(scene: Scene) -> None:
    upload = row = await scene.staged()
    for _ in range(3):
        await scene.set_all(next_attempt_at=0)
        outcome = given_back(await scene.claimed(upload), cause=DECODER, counted=False)
        row = await scene.report(outcome)
    assert (row.status, row.decoder_deaths) == (UploadStatus.STAGED, 0)


async def test_a_worker_that_was_killed_is_no_death(scene: Scene) -> None:
    upload = await scene.staged()
    await _dies(scene, upload)
    await scene.set_all(next_attempt_at=0)
    await scene.claimed(upload)
    await scene.set_all(lease_until=1)
    await willing_sweep(scene.services).take_back_lost_leases()
    row = await scene.now(upload)
    assert (row.status, row.attempts, row.decoder_deaths) == (UploadStatus.STAGED, 2, 1)


async def test_a_retry_by_a_person_forgets_a_death(scene: Scene) -> None:
    upload = await scene.staged()
    await _dies(scene, upload)
    await scene.set_all(attempts=4)
    failed = await _dies(scene, upload, "unexpected")
    assert failed.status is UploadStatus.FAILED
    await retry(scene.services, upload, by=PERSON)
    assert (await _dies(scene, upload)).status is UploadStatus.STAGED
    await scene.set_all(next_attempt_at=0)
    assert (await scene.report(stored(await scene.claimed(upload)))).status is UploadStatus.STORED
