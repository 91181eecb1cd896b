"""Claims, generations and outcomes: who may change an upload (protocol P2, P3, P8)."""

import asyncio

import pytest
from pydantic import TypeAdapter, ValidationError

from api.access.tokens import PERSON
from api.services import Services
from api.texts.errors import Problem
from api.uploads import outcomes, work
from api.uploads.retry_or_remove import remove, retry
from shared.internal_api import Failed, Outcome, Rejected, Retry, StoredObject
from shared.keys import FLAGGED
from shared.status import UploadStatus
from shared.volume import MARKER
from tests.support.services import A_SHA, BACK_END, Scene, given_back, rejected, stored


async def test_a_claim_takes_the_next_generation_and_a_lease(scene: Scene) -> None:
    upload = await scene.staged()
    order = await scene.claimed(upload)
    assert order.generation == 1
    assert order.attempt == 1
    assert order.key_prefix == f"acceptance/{scene.form.id}/needed/{upload.id}.1/"
    row = await scene.now(upload)
    assert row.status is UploadStatus.PROCESSING
    assert row.lease_until
    assert row.work_until
    assert row.lease_until - row.updated_at == pytest.approx(20_000, abs=100)
    assert row.work_until - row.updated_at == pytest.approx(900_000, abs=100)


async def test_a_repeated_claim_gets_the_same_order(scene: Scene) -> None:
    upload = await scene.staged()
    first = await work.claim(scene.services, upload.id, "same-claim")
    assert await work.claim(scene.services, upload.id, "same-claim") == first
    assert (await scene.now(upload)).attempts == 1


async def test_of_five_claims_at_once_one_wins(scene: Scene) -> None:
    upload = await scene.staged()
    answers = await asyncio.gather(
        *(work.claim(scene.services, upload.id, f"claim-{n:04}") for n in range(5)),
        return_exceptions=True,
    )
    lost = [each for each in answers if isinstance(each, Problem)]
    assert len(lost) == 4
    assert {each.code for each in lost} == {"upload-held"}
    assert all(each.retry_after for each in lost)


async def test_what_is_final_cant_be_claimed(scene: Scene) -> None:
    upload = await scene.stored()
    with pytest.raises(Problem) as refused:
        await scene.claimed(upload)
    assert (refused.value.code, refused.value.status) == ("upload-final", 410)
    with pytest.raises(Problem, match="not-found"):
        await work.claim(scene.services, "upl_none", "claim-0000")


async def test_a_stored_outcome_sets_the_attribute_and_condemns_the_bytes(scene: Scene) -> None:
    upload = await scene.staged()
    row = await scene.report(stored(await scene.claimed(upload)))
    assert row.status is UploadStatus.STORED
    assert row.public_url == (
        f"http://store.example/bucket/acceptance/{scene.form.id}/needed/{upload.id}.1/object.png"
    )
    assert row.bytes == "condemned"
    assert row.applied_generation == 1
    assert await scene.doomed() == {}


async def test_a_repeated_outcome_changes_nothing_whatever_came_after(scene: Scene) -> None:
    upload = await scene.staged()
    order = await scene.claimed(upload)
    first = await scene.report(stored(order))
    assert await scene.report(stored(order)) == first
    await remove(scene.services, upload, by=PERSON)
    assert (await scene.report(stored(order))).status is UploadStatus.REMOVED


async def test_a_late_outcome_of_an_older_generation_is_refused(scene: Scene) -> None:
    upload = await scene.staged()
    late = await scene.claimed(upload)
    await scene.report(given_back(late))
    await _make_due(scene)
    again = await scene.claimed(upload)
    assert again.generation == 2
    for outcome in (stored(late), rejected(late), given_back(late)):
        with pytest.raises(Problem, match="stale-generation"):
            await scene.report(outcome)
    with pytest.raises(Problem, match="stale-generation"):
        await work.heartbeat(scene.services, upload.id, 1, "storing")
    assert (await scene.report(stored(again))).status is UploadStatus.STORED


async def test_an_expired_lease_alone_takes_nothing_away(scene: Scene) -> None:
    upload = await scene.staged()
    order = await scene.claimed(upload)
    await scene.set_all(lease_until=1)
    await work.heartbeat(scene.services, upload.id, order.generation, "storing")
    row = await scene.now(upload)
    assert row.stage == "storing"
    assert (row.lease_until or 0) > 1
    assert (await scene.report(stored(order))).status is UploadStatus.STORED


async def test_an_outcome_must_name_its_own_form_upload_and_prefix(scene: Scene) -> None:
    upload = await scene.staged()
    order = await scene.claimed(upload)
    other = await Scene.create(scene.services)
    with pytest.raises(Problem, match="stale-generation"):
        await other.report(stored(order))
    prefix, later = order.key_prefix, order.key_prefix.replace(".1/", ".2/")
    for key in (
        "elsewhere/object.png",
        prefix,
        f"{prefix}.",
        f"{prefix}..",
        f"{prefix}../x/y",
        f"{prefix}folder/object.png",
        f"{later}object.png",
        f"{FLAGGED}{prefix}object.png",
    ):
        theirs = StoredObject(key=key, content_type="image/png", size=1, sha256=A_SHA)
        own = stored(order)
        for outcome in (
            own.model_copy(update={"object": theirs}),
            own.model_copy(update={"derivatives": {"thumb": theirs}}),
            own.model_copy(update={"derivatives": {"large": own.object, "thumb": theirs}}),
        ):
            with pytest.raises(Problem, match="invalid-request"):
                await scene.report(outcome)
    assert (await scene.now(upload)).status is UploadStatus.PROCESSING


@pytest.mark.parametrize(
    "change",
    [
        {"upload_id": "../../etc/passwd"},
        {"generation": 10**30},
        {"code": "file-corrupt", "params": {"b": "\ud800"}},
        {"params": {"b": float("nan")}},
        {"params": {"b": "x" * 501}},
        {"detected_type": "text/html\x00"},
        {
            "outcome": "stored",
            "object": {"key": "k", "content_type": "x", "size": -5, "sha256": A_SHA},
        },
    ],
)
def test_an_outcome_that_nobody_could_read_is_no_outcome(change: dict[str, object]) -> None:
    whole = {"upload_id": "upl_" + "a" * 26, "generation": 1, "outcome": "rejected", "code": "x-y"}
    TypeAdapter[object](Outcome).validate_python(whole)
    with pytest.raises(ValidationError):
        TypeAdapter[object](Outcome).validate_python({**whole, **change})


async def test_a_rejected_outcome_keeps_the_bytes_and_dooms_the_prefix(scene: Scene) -> None:
    order = await scene.claimed(await scene.staged())
    row = await scene.report(rejected(order))
    assert row.status is UploadStatus.REJECTED
    assert row.bytes == "kept"
    assert row.error == {
        "code": "file-corrupt",
        "detail": "The selected file is damaged and can't be read: "
        "save it again, or choose another one",
        "params": {},
        "retryable": False,
    }
    (not_before, _) = (await scene.doomed())[order.key_prefix]
    assert not_before == (row.work_until or 0) + 60_000


async def test_backoff_doubles_and_the_last_attempt_fails_with_the_bytes_kept(
    scene: Scene,
) -> None:
    upload = row = await scene.staged()
    pauses = []
    for attempt in range(1, 6):
        order = await scene.claimed(upload)
        assert order.attempt == attempt
        row = await scene.report(given_back(order))
        pauses.append(row.next_attempt_at - row.updated_at)
        await _make_due(scene)
    for pause, seconds in zip(pauses[:4], [1, 2, 4, 8], strict=True):
        assert 0.89 * seconds <= pause / 1000 <= seconds
    assert row.status is UploadStatus.FAILED
    assert row.bytes == "kept"
    assert row.error
    assert row.error["code"] == "attempts-exhausted"
    assert row.error["retryable"] is True


@pytest.mark.parametrize("earlier", [20, 5_000])
async def test_however_often_an_upload_was_given_back_its_pause_has_a_longest(
    scene: Scene, earlier: int
) -> None:
    upload = await scene.staged()
    await scene.set_all(backoffs=earlier)
    row = await scene.report(given_back(await scene.claimed(upload), counted=False))
    longest = scene.services.settings.max_backoff_seconds
    assert 0.89 * longest <= (row.next_attempt_at - row.updated_at) / 1000 <= longest
    assert row.backoffs == earlier + 1


async def test_what_is_nobodys_attempt_is_not_counted(scene: Scene) -> None:
    upload = row = await scene.staged()
    for _ in range(8):
        row = await scene.report(given_back(await scene.claimed(upload), counted=False))
        await _make_due(scene)
    assert row.status is UploadStatus.STAGED
    assert row.attempts == 0
    assert row.backoffs == 8


async def test_what_a_stopping_worker_hands_on_is_due_at_once_and_no_attempt(
    scene: Scene,
) -> None:
    upload = row = await scene.staged()
    for _ in range(10):  # ten deploys in a row
        order = await scene.claimed(upload)
        ids = {"upload_id": upload.id, "generation": order.generation}
        row = await scene.report(Retry(**ids, cause="shutdown", counted=False))
        assert (row.status, row.attempts, row.backoffs) == (UploadStatus.STAGED, 0, 0)
    assert row.wake == 11, "each with a fresh wake-up"


async def test_the_outcome_of_the_last_attempt_may_be_repeated(scene: Scene) -> None:
    upload = await scene.staged()
    await scene.set_all(attempts=4)
    outcome = given_back(await scene.claimed(upload))
    assert (await scene.report(outcome)).status is UploadStatus.FAILED
    assert (await scene.report(outcome)).status is UploadStatus.FAILED


async def test_a_snapshot_of_another_version_can_still_be_worked_on(scene: Scene) -> None:
    upload = await scene.staged()
    policy = {**upload.policy, "newer_rule": 1, "accept": ["image/x-newer"]}
    await scene.set_all(policy={**policy, "image": {**policy["image"], "newer": True}})
    order = await scene.claimed(upload)
    assert order.policy.accept == ("image/x-newer",)
    bad = Rejected(upload_id=upload.id, generation=1, code="file-invalid-type")
    row = await scene.report(bad)
    assert row.error
    assert row.error["detail"] == "The selected file must be an image/x-newer"


async def test_an_upload_thats_not_due_says_when_it_is(scene: Scene) -> None:
    upload = await scene.staged()
    await scene.report(given_back(await scene.claimed(upload)))
    with pytest.raises(Problem) as refused:
        await scene.claimed(upload)
    assert refused.value.code == "upload-not-due"
    assert refused.value.retry_after == 1


async def test_a_failed_upload_that_is_retried_starts_anew(scene: Scene) -> None:
    upload = row = await scene.staged()
    for _ in range(5):
        row = await scene.report(given_back(await scene.claimed(upload)))
        await _make_due(scene)
    assert row.status is UploadStatus.FAILED
    fresh = await retry(scene.services, upload, by=PERSON)
    assert (fresh.status, fresh.attempts, fresh.error) == (UploadStatus.STAGED, 0, None)
    assert fresh.wake > upload.wake
    assert (await scene.report(stored(await scene.claimed(upload)))).status is UploadStatus.STORED


async def test_a_missing_file_is_failed_only_when_the_api_misses_it_too(scene: Scene) -> None:
    upload = await scene.staged()
    order = await scene.claimed(upload)
    lost = Failed(upload_id=upload.id, generation=order.generation, code="bytes-lost")
    row = await outcomes.apply(scene.services, scene.form.id, lost)
    assert row.status is UploadStatus.STAGED, "the api sees it: the worker's mount is wrong"
    await _make_due(scene)
    await scene.services.staging.delete(upload.id)
    order = await scene.claimed(upload)
    lost = Failed(upload_id=upload.id, generation=order.generation, code="bytes-lost")
    row = await outcomes.apply(scene.services, scene.form.id, lost)
    assert row.status is UploadStatus.FAILED


@pytest.mark.parametrize("code", ["bytes-lost", "bytes-changed", "object-lost"])
async def test_what_failed_for_good_is_not_tried_again(scene: Scene, code: str) -> None:
    upload = await scene.staged()
    if code == "bytes-lost":
        await scene.services.staging.delete(upload.id)
    order = await scene.claimed(upload)
    failed = Failed(upload_id=upload.id, generation=order.generation, code=code)
    row = await outcomes.apply(scene.services, scene.form.id, failed)
    assert row.error
    assert (row.status, row.error["retryable"]) == (UploadStatus.FAILED, False)
    for by in (PERSON, BACK_END):
        with pytest.raises(Problem, match="not-failed"):
            await retry(scene.services, row, by=by)
    assert await scene.now(upload) == row


@pytest.mark.parametrize("marker", ["vol_another", None])
async def test_a_missing_file_is_no_failure_while_the_apis_own_mount_is_wrong(
    scene: Scene, marker: str | None
) -> None:
    upload = await scene.staged()
    order = await scene.claimed(upload)
    await scene.services.staging.delete(upload.id)
    path = scene.services.staging.root / MARKER
    if marker:
        path.write_text(marker)
    else:
        path.unlink()
    lost = Failed(upload_id=upload.id, generation=order.generation, code="bytes-lost")
    row = await outcomes.apply(scene.services, scene.form.id, lost)
    assert (row.status, row.attempts) == (UploadStatus.STAGED, 0)


async def test_only_what_failed_by_our_fault_and_has_its_bytes_can_be_tried_again(
    scene: Scene,
) -> None:
    upload = await scene.staged()
    error = {"code": "deadline-passed", "retryable": True}
    failed: dict[str, object] = {"status": UploadStatus.FAILED, "error": error, "bytes": "kept"}
    changes: list[dict[str, object]] = [
        {"error": {**error, "retryable": False}},
        {"error": None},
        {"bytes": "condemned"},
        {"bytes": "gone"},
        {"status": UploadStatus.REJECTED},
    ]
    for change in changes:
        await scene.set_all(**failed | change)
        with pytest.raises(Problem, match="not-failed"):
            await retry(scene.services, upload, by=BACK_END)
    await scene.set_all(**failed)
    retried = await retry(scene.services, upload, by=BACK_END)
    assert retried.status is UploadStatus.STAGED


async def test_a_newer_stored_upload_replaces_every_older_one_of_its_slot(scene: Scene) -> None:
    kept_back = await scene.staged()
    processing = await scene.staged()
    order = await scene.claimed(processing)
    bad = await scene.staged()
    await scene.report(rejected(await scene.claimed(bad)))
    old = await scene.stored()
    newest = await scene.stored()
    for older in (kept_back, processing, bad, old):
        row = await scene.now(older)
        assert row.status is UploadStatus.REPLACED
        assert row.bytes == "condemned"
    assert (await scene.now(newest)).status is UploadStatus.STORED
    with pytest.raises(Problem, match="stale-generation"):
        await scene.report(stored(order))
    assert order.key_prefix in await scene.doomed()


async def test_an_older_upload_that_is_stored_late_replaces_nothing_newer(scene: Scene) -> None:
    older, newer = await scene.staged(), await scene.staged()
    order = await scene.claimed(newer)
    assert (await scene.report(stored(await scene.claimed(older)))).status is UploadStatus.STORED
    assert (await scene.now(newer)).status is UploadStatus.PROCESSING
    assert (await scene.report(stored(order))).status is UploadStatus.STORED
    assert (await scene.now(older)).status is UploadStatus.REPLACED


async def test_a_removed_upload_leaves_its_worker_nothing(scene: Scene) -> None:
    upload = await scene.staged()
    order = await scene.claimed(upload)
    await remove(scene.services, upload, by=PERSON)
    with pytest.raises(Problem, match="stale-generation"):
        await work.heartbeat(scene.services, upload.id, order.generation, "storing")
    with pytest.raises(Problem, match="stale-generation"):
        await scene.report(stored(order))
    assert (await scene.doomed())[order.key_prefix][0] > (await scene.now(upload)).updated_at


async def test_a_definition_that_changed_later_doesnt_touch_what_was_acknowledged(
    scene: Scene, services: Services
) -> None:
    upload = await scene.staged()
    services.form_types.clear()
    order = await scene.claimed(upload)
    assert order.policy.max_bytes == 100_000
    assert (await scene.report(stored(order))).status is UploadStatus.STORED


async def _make_due(scene: Scene) -> None:
    await scene.set_all(next_attempt_at=0)
