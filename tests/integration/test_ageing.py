"""What ages: bytes of rejected and failed uploads, abandoned drafts, submitted forms."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog
from sqlalchemy import select
from structlog.typing import EventDict

from api.access.tokens import PERSON, ServiceKey
from api.forms import sections
from api.forms.expiry import expires_at
from api.records import forms
from api.records.rows import FormRow, UploadRow
from api.records.tables import events
from api.routes.deps import own_form
from api.services import Services
from api.texts.errors import Problem
from api.upkeep.backlog_figures import Backlog
from api.uploads import work
from api.uploads.retry_or_remove import remove, retry
from shared.status import UploadStatus
from tests.support.listeners import new_form, public
from tests.support.services import BACK_END, Scene, given_back, rejected, services_on
from tests.support.sql import execute, rows_of, values_of
from tests.support.sweeping import willing_sweep

DAY = 86_400_000
AGO = 1000
"""Milliseconds by which something is over its age: more than a test takes is not needed."""


async def test_bytes_of_a_rejected_upload_go_after_a_day_and_its_status_stays(
    scene: Scene,
) -> None:
    upload = await _rejected(scene)
    await _settled_ago(scene, upload, DAY - 60_000)
    await _sweep(scene)
    assert _on_volume(scene) == {upload.id}, "not yet"
    await _settled_ago(scene, upload, DAY + AGO)
    await _sweep(scene)
    row = await scene.now(upload)
    assert (row.status, row.bytes, row.version) == (UploadStatus.REJECTED, "gone", upload.version)
    assert _on_volume(scene) == set()


async def test_bytes_of_a_rejected_upload_go_as_soon_as_a_newer_one_is_acknowledged(
    scene: Scene,
) -> None:
    for _ in range(3):
        await _rejected(scene)
    newest = await scene.staged()
    await _sweep(scene)
    assert _on_volume(scene) == {newest.id}


async def test_bytes_of_a_rejected_upload_go_when_a_section_brings_one_that_is_refused(
    services: Services,
) -> None:
    async with public(services) as client:
        form = await new_form(client)
        scene = Scene(services, await own_form(services, ServiceKey("tests"), form["id"]))
        first = await _rejected(scene, "tiny")
        too_large = {"tiny": ("a.png", b"x" * 3000, "image/png")}
        assert (await client.patch(f"/v1/forms/{form['id']}", files=too_large)).status_code == 200
        assert (await scene.now(first)).bytes == "condemned"


async def test_bytes_of_an_upload_that_is_rejected_after_a_newer_one_came_are_not_kept(
    scene: Scene,
) -> None:
    first, second, third = [await scene.staged() for _ in range(3)]
    for upload in (second, first):
        await scene.report(rejected(await scene.claimed(upload)))
        assert (await scene.now(upload)).bytes == "condemned", "at once"
    await remove(scene.services, third, by=PERSON)
    last = await _rejected(scene)
    await _sweep(scene)
    assert _on_volume(scene) == {last.id}


async def test_bytes_of_a_rejected_upload_of_a_field_for_many_stay_beside_newer_ones(
    scene: Scene,
) -> None:
    first = await _rejected(scene, "pair")
    second = await scene.staged("pair")
    await _sweep(scene)
    assert _on_volume(scene) == {first.id, second.id}


async def test_a_field_for_many_keeps_the_bytes_of_as_many_rejected_ones_as_it_takes(
    scene: Scene,
) -> None:
    rejects = [await _rejected(scene, "pair") for _ in range(5)]
    await _sweep(scene)
    assert _on_volume(scene) == {each.id for each in rejects[-2:]}


async def test_bytes_of_a_failed_upload_stay_beside_a_newer_one_that_may_fail_too(
    scene: Scene,
) -> None:
    failed = await _failed(scene)
    newer = await scene.staged()
    await _sweep(scene)
    assert _on_volume(scene) == {failed.id, newer.id}


async def test_bytes_of_a_failed_upload_go_after_thirty_days_and_its_error_says_so(
    scene: Scene,
) -> None:
    upload = await _failed(scene)
    await _settled_ago(scene, upload, 30 * DAY + AGO)
    await _sweep(scene)
    row = await scene.now(upload)
    assert (row.status, row.bytes) == (UploadStatus.FAILED, "gone")
    assert row.error is not None
    assert (row.error["code"], row.error["retryable"]) == ("bytes-expired", False)
    assert row.version > upload.version, "clients that watch are told"
    with pytest.raises(Problem, match=r"not-failed: .* whose bytes are still kept"):
        await retry(scene.services, row, by=BACK_END)


async def test_a_failed_upload_is_warned_of_once_in_the_week_before_its_bytes_go(
    scene: Scene,
) -> None:
    upload = await _failed(scene)
    sweep = willing_sweep(scene.services)
    with structlog.testing.capture_logs() as logs:
        await _settled_ago(scene, upload, 22 * DAY)
        await sweep.once()
        assert not _warnings(logs)
        await _settled_ago(scene, upload, 24 * DAY)
        await sweep.once()
        await sweep.once()
    assert [each["upload_id"] for each in _warnings(logs)] == [upload.id]
    waiting = await Backlog(scene.services.database, scene.services.settings).read()
    assert waiting is not None
    assert waiting.ending_soon == 1
    assert _on_volume(scene) == {upload.id}


async def test_a_failed_upload_that_is_tried_again_while_the_sweep_looks_keeps_its_bytes(
    scene: Scene,
) -> None:
    upload = await _failed(scene)
    await _settled_ago(scene, upload, 30 * DAY + AGO)
    sweep = willing_sweep(scene.services)
    found = await scene.now(upload)
    await retry(scene.services, found, by=BACK_END)
    await scene.services.database.write(sweep.ageing._drop, found)
    row = await scene.now(upload)
    assert (row.status, row.bytes) == (UploadStatus.STAGED, "kept")


async def test_a_draft_is_purged_thirty_days_after_the_last_edit(scene: Scene) -> None:
    await scene.stored()
    await _edited_ago(scene, 30 * DAY - 60_000)
    await _sweep(scene)
    assert (await _form(scene)).status == forms.DRAFT
    await _edited_ago(scene, 30 * DAY + AGO)
    await _sweep(scene)
    assert (await _form(scene)).status == forms.PURGING
    assert len(await scene.doomed()) == 1, "its object is deleted in the ordinary way"


async def test_each_edit_moves_the_end_of_a_draft(scene: Scene) -> None:
    services = scene.services

    async def has_moved() -> None:
        form = await _form(scene)
        assert form.edited_at is not None
        assert form.edited_at >= form.created_at
        assert expires_at(form, services.settings.retention) == form.edited_at + 30 * DAY
        await _edited_ago(scene, 29 * DAY)

    await has_moved()
    edits = sections.Edits(text={"note": "something"})
    await sections.save(services, scene.form, edits, if_match=None, request_id="req")
    await has_moved()
    upload = await scene.staged()
    await has_moved()
    await remove(services, upload, by=PERSON)
    await has_moved()
    failed = await _failed(scene)
    await _edited_ago(scene, 29 * DAY)
    await retry(services, failed, by=PERSON)
    await has_moved()


async def test_what_a_worker_does_moves_no_end(scene: Scene) -> None:
    upload = await scene.staged()
    await _edited_ago(scene, 5 * DAY)
    before = (await _form(scene)).edited_at
    await scene.report(rejected(await scene.claimed(upload)))
    assert (await _form(scene)).edited_at == before


async def test_a_form_with_an_upload_on_its_way_is_not_too_old(scene: Scene) -> None:
    upload = await scene.staged()
    await _edited_ago(scene, 31 * DAY)
    await _sweep(scene)
    assert (await _form(scene)).status == forms.DRAFT
    await scene.report(rejected(await scene.claimed(upload)))
    await _sweep(scene)
    assert (await _form(scene)).status == forms.PURGING


async def test_a_person_who_comes_back_while_the_sweep_looks_keeps_the_draft(
    scene: Scene,
) -> None:
    await _edited_ago(scene, 31 * DAY)
    edits = sections.Edits(text={"note": "here again"})
    await sections.save(scene.services, scene.form, edits, if_match=None, request_id="req")
    sweep = willing_sweep(scene.services)
    await scene.services.database.write(sweep.ageing._purge, scene.form.id)  # it was found before
    assert (await _form(scene)).data == {"note": "here again"}


async def test_two_replicas_that_find_the_same_purge_it_once(
    tmp_path: Path, database_url: str
) -> None:
    async with (
        services_on(tmp_path, database_url) as one,
        services_on(tmp_path, database_url) as other,
    ):
        scene = await Scene.create(one)
        upload = await _rejected(scene)
        await _settled_ago(scene, upload, 2 * DAY)
        await _edited_ago(scene, 31 * DAY)
        await asyncio.gather(willing_sweep(one).once(), willing_sweep(other).once())
        ends = select(events).where(events.c.to_status == forms.PURGING)
        assert len(await rows_of(one.database, ends)) == 1


async def test_a_draft_of_an_earlier_version_gets_its_whole_time_from_now(scene: Scene) -> None:
    undated = "UPDATE forms SET edited_at = NULL, updated_at = 1"
    await execute(scene.services.database, undated)
    assert expires_at(await _form(scene), scene.services.settings.retention) is None
    await _sweep(scene)
    form = await _form(scene)
    assert form.status == forms.DRAFT
    assert form.edited_at is not None
    assert form.edited_at > 1


async def test_submitted_forms_are_kept_by_default(scene: Scene) -> None:
    await _submitted_ago(scene, 4000 * DAY)
    await _sweep(scene)
    form = await _form(scene)
    assert form.status == forms.SUBMITTED
    assert expires_at(form, scene.services.settings.retention) is None


@pytest.fixture
async def forgetful(tmp_path: Path, database_url: str) -> AsyncIterator[Services]:
    async with services_on(tmp_path, database_url, submitted_keep_seconds=86_400) as services:
        yield services


async def test_submitted_forms_are_purged_after_a_retention_that_is_set(
    forgetful: Services,
) -> None:
    scene = await Scene.create(forgetful)
    await _submitted_ago(scene, DAY - 60_000)
    await _sweep(scene)
    form = await _form(scene)
    assert form.status == forms.SUBMITTED
    assert form.submitted_at is not None
    assert expires_at(form, forgetful.settings.retention) == form.submitted_at + DAY
    await _submitted_ago(scene, DAY + AGO)
    await _sweep(scene)
    gone = await forgetful.database.read(forms.get, scene.form.id)
    assert gone is None, "it held nothing to wait for"


async def test_saving_again_and_again_leaves_one_event(scene: Scene) -> None:
    for number in range(5):
        edits = sections.Edits(text={"note": f"note {number}"})
        await sections.save(scene.services, scene.form, edits, if_match=None, request_id="req")
    of_form = await values_of(scene.services.database, select(events.c.version))
    assert of_form == [(await _form(scene)).version]


async def test_what_lies_on_the_volume_is_told_by_status_with_its_age(scene: Scene) -> None:
    await scene.staged("pair", b"12345")
    old = await _rejected(scene)
    earlier = f"UPDATE uploads SET created_at = created_at - {DAY} WHERE id = '{old.id}'"  # noqa: S608 - ours
    await execute(scene.services.database, earlier)
    waiting = await Backlog(scene.services.database, scene.services.settings).read()
    assert waiting is not None
    sizes = {status: each.size for status, each in waiting.on_volume.items()}
    assert sizes == {"receiving": 0, "staged": 5, "processing": 0, "rejected": 5, "failed": 0}
    assert DAY <= waiting.on_volume["rejected"].age_ms < DAY + 60_000


async def _rejected(scene: Scene, field: str = "needed") -> UploadRow:
    return await scene.report(rejected(await scene.claimed(await scene.staged(field))))


async def _failed(scene: Scene) -> UploadRow:
    upload = await scene.staged()
    row = upload
    while row.status is not UploadStatus.FAILED:
        await scene.set_all(next_attempt_at=0)
        order = await work.claim(scene.services, upload.id, f"claim-{row.generation:04}")
        row = await scene.report(given_back(order))
    return row


async def _settled_ago(scene: Scene, upload: UploadRow, milliseconds: int) -> None:
    now = (await scene.now(upload)).created_at
    aged = "UPDATE uploads SET updated_at = :at WHERE id = :id"
    await execute(scene.services.database, aged, at=now - milliseconds, id=upload.id)


async def _edited_ago(scene: Scene, milliseconds: int) -> None:
    await _set_form(scene, f"edited_at = created_at - {milliseconds}")


async def _submitted_ago(scene: Scene, milliseconds: int) -> None:
    await _set_form(scene, f"status = 'submitted', submitted_at = created_at - {milliseconds}")


async def _set_form(scene: Scene, values: str) -> None:
    changed = f"UPDATE forms SET {values} WHERE id = :id"  # noqa: S608 - ours
    await execute(scene.services.database, changed, id=scene.form.id)


async def _form(scene: Scene) -> FormRow:
    form = await scene.services.database.scan(forms.get, scene.form.id)
    assert form is not None
    return form


async def _sweep(scene: Scene) -> None:
    await willing_sweep(scene.services).once()


def _on_volume(scene: Scene) -> set[str]:
    return {path.name for path in (scene.services.staging.root / "staged").iterdir()}


def _warnings(logs: list[EventDict]) -> list[EventDict]:
    return [each for each in logs if each["event"] == "failed_bytes_end_soon"]
