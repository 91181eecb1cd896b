"""A file that the form has is given to another field without being sent again: its bytes have two
names on the volume, or are spared in the bucket for as long as they are needed."""

import errno
import hashlib
import os
from pathlib import Path

import pytest

from api.access.tokens import PERSON, ServiceKey
from api.forms import closing
from api.records import cleaning
from api.records.rows import UploadRow
from api.services import Services
from api.texts.errors import Problem
from api.uploads import outcomes
from api.uploads.admission import Admission
from api.uploads.release import release
from api.uploads.retry_or_remove import remove
from api.uploads.reuse import reuse
from shared.internal_api import Failed, Rejected, StoredObject
from shared.status import UploadStatus
from shared.volume import STAGED
from tests.support.failing_volume import fail
from tests.support.services import A_SHA, Scene, flagged, given_back, services_on, stored
from tests.support.sweeping import willing_sweep

pytestmark = pytest.mark.parametrize(
    "database_url", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)], indirect=True
)
SENT = hashlib.sha256(b"bytes").hexdigest()


async def _reuse(
    scene: Scene, upload: UploadRow, field: str = "pair", key: str | None = None
) -> UploadRow:
    services = scene.services
    target = services.form_types[scene.form.type].file_fields[field]
    admission = Admission(services, scene.form, target, request_id="req", key=key)
    return await reuse(services, admission, upload.id)


async def _refused(scene: Scene, upload: UploadRow, field: str = "pair") -> str:
    """The reason."""
    with pytest.raises(Problem) as caught:
        await _reuse(scene, upload, field)
    assert caught.value.code == "upload-not-reusable"
    return str(caught.value.params["reason"])


def _staged(scene: Scene) -> dict[str, Path]:
    return {path.name: path for path in (scene.services.staging.root / STAGED).iterdir()}


async def _due_prefixes(services: Services) -> list[str]:
    return [each.prefix for each in await services.database.write(cleaning.claim, 100)]


async def test_a_file_on_the_volume_gets_a_second_name_that_outlives_the_first(
    scene: Scene,
) -> None:
    first = await scene.staged()
    second = await _reuse(scene, first)
    assert (second.field, second.status, second.generation) == ("pair", UploadStatus.STAGED, 0)
    assert (second.sha256, second.size, second.filename) == (SENT, 5, "a.png")
    assert second.policy["max_files"] == 2
    assert second.key_base.endswith("/pair")
    await remove(scene.services, first, by=PERSON)
    await willing_sweep(scene.services).clear_volume()
    assert {name: path.read_bytes() for name, path in _staged(scene).items()} == {
        second.id: b"bytes"
    }
    order = await scene.claimed(second)
    assert order.from_key is None
    assert order.staged_path == f"staged/{second.id}"


async def test_a_stored_file_is_found_in_the_bucket_and_spared_until_it_is_stored_again(
    scene: Scene,
) -> None:
    first = await scene.stored()
    second = await _reuse(scene, first)
    assert (second.sha256, second.size, second.declared_type) == (A_SHA, 6, "image/png")
    assert second.id not in _staged(scene)
    order = await scene.claimed(second)
    prefix = f"{first.key_base}/{first.id}.1/"
    assert order.from_key == f"{prefix}object.png"
    await remove(scene.services, first, by=PERSON)
    assert await _due_prefixes(scene.services) == [], "its bytes are still needed"
    await scene.report(given_back(order))
    assert prefix not in await _due_prefixes(scene.services)
    await scene.set_all(next_attempt_at=0)
    await scene.report(stored(await scene.claimed(second)))
    assert await _due_prefixes(scene.services) == [prefix]


async def test_the_bytes_as_they_were_sent_are_preferred_where_the_bucket_has_them(
    scene: Scene,
) -> None:
    upload = await scene.staged()
    order = await scene.claimed(upload)
    as_it_came = stored(order).model_copy(update={"detected_type": "image/png"})
    as_it_came.object = StoredObject(
        key=f"{order.key_prefix}needed.png", content_type="image/png", size=5, sha256=SENT
    )
    again = await _reuse(scene, await scene.report(as_it_came))
    assert (again.from_name, again.sha256, again.size) == ("needed.png", SENT, 5)

    upload = await scene.staged("pair")
    await scene.set_all(policy={**upload.policy, "keep_original": True})
    converted = stored(await scene.claimed(upload)).model_copy(
        update={"detected_type": "image/png"}
    )
    again = await _reuse(scene, await scene.report(converted), "needed")
    assert (again.from_name, again.sha256, again.size) == ("original.png", SENT, 5)


async def test_an_upload_that_reuses_a_stored_one_can_be_used_again_itself(scene: Scene) -> None:
    first = await scene.stored()
    second = await _reuse(scene, first)
    third = await _reuse(scene, second, "needed")
    assert (third.from_id, third.from_prefix) == (second.id, second.from_prefix)
    await remove(scene.services, first, by=PERSON)
    await remove(scene.services, second, by=PERSON)
    assert await _due_prefixes(scene.services) == []
    await remove(scene.services, third, by=PERSON)
    assert await _due_prefixes(scene.services) == [second.from_prefix]


async def test_an_upload_stored_between_the_look_and_the_link_is_found_in_the_bucket(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await scene.staged()
    link = scene.services.staging.link

    async def late(name: str, to: str) -> bool:
        await scene.report(stored(await scene.claimed(first)))
        await willing_sweep(scene.services).clear_volume()
        return await link(name, to)

    monkeypatch.setattr(scene.services.staging, "link", late)
    assert (await _reuse(scene, first)).from_name == "object.png"
    assert _staged(scene) == {}


async def test_a_file_that_is_removed_after_its_link_was_made_is_not_used_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await scene.staged()
    link = scene.services.staging.link

    async def early(name: str, to: str) -> bool:
        made = await link(name, to)
        await remove(scene.services, first, by=PERSON)
        return made

    monkeypatch.setattr(scene.services.staging, "link", early)
    assert await _refused(scene, first) == "gone"
    assert list(_staged(scene)) == [first.id], "its own second name is gone"


async def test_a_link_without_a_record_is_no_orphan_while_it_is_young_and_is_one_later(
    tmp_path: Path, database_url: str
) -> None:
    async with services_on(tmp_path, database_url, orphan_seconds=3600) as services:
        scene = await Scene.create(services)
        first = await scene.staged()
        path = _staged(scene)[first.id]
        os.utime(path, (1, 1))
        assert await services.staging.link(first.id, "upl_second")
        await willing_sweep(services).clear_volume()
        assert set(_staged(scene)) == {first.id, "upl_second"}
        os.utime(path, (1, 1))
        await willing_sweep(services).clear_volume()
        assert set(_staged(scene)) == {first.id}


async def test_what_was_rejected_for_another_fields_rules_can_be_used_again(scene: Scene) -> None:
    first = await scene.staged()
    order = await scene.claimed(first)
    await scene.report(
        Rejected(upload_id=first.id, generation=order.generation, code="file-invalid-type")
    )
    assert (await _reuse(scene, first)).status is UploadStatus.STAGED


@pytest.mark.parametrize(
    ("code", "reason"), [("file-corrupt", "damaged"), ("file-infected", "infected")]
)
async def test_what_no_field_would_take_is_refused(scene: Scene, code: str, reason: str) -> None:
    first = await scene.staged()
    order = await scene.claimed(first)
    await scene.report(Rejected(upload_id=first.id, generation=order.generation, code=code))
    assert await _refused(scene, first) == reason


async def test_what_failed_or_is_gone_or_kept_aside_is_refused(services: Services) -> None:
    scene = await Scene.create(services, "flagging")
    failed = await scene.staged()
    order = await scene.claimed(failed)
    await outcomes.apply(
        services,
        scene.form.id,
        Failed(upload_id=failed.id, generation=order.generation, code="bytes-changed"),
    )
    assert await _refused(scene, failed) == "failed"
    await remove(services, failed, by=PERSON)
    assert await _refused(scene, failed) == "gone"
    withheld = await scene.report(flagged(await scene.claimed(await scene.staged())))
    assert await _refused(scene, withheld) == "flagged"
    await release(services, withheld, by=ServiceKey("backend"))
    assert (await _reuse(scene, withheld)).from_prefix == (
        f"flagged/{withheld.key_base}/{withheld.id}.1/"
    )


async def test_what_is_another_forms_does_not_exist(scene: Scene) -> None:
    other = await Scene.create(scene.services)
    with pytest.raises(Problem, match="not-found"):
        await _reuse(scene, await other.staged())


async def test_the_field_and_the_form_have_room_for_it_as_for_a_sent_one(
    tmp_path: Path, database_url: str
) -> None:
    async with services_on(tmp_path, database_url, max_form_bytes=22) as services:
        scene = await Scene.create(services)
        first = await scene.stored()
        await _reuse(scene, first)
        await _reuse(scene, first)
        with pytest.raises(Problem, match="too-many-files"):
            await _reuse(scene, first)
        with pytest.raises(Problem, match="form-full"):
            await _reuse(scene, first, "needed")


async def test_a_file_over_the_fields_size_is_refused_at_once(scene: Scene) -> None:
    first = await scene.staged("needed", b"x" * 3000)
    with pytest.raises(Problem, match="file-too-large"):
        await _reuse(scene, first, "tiny")


async def test_a_submitted_form_takes_none(scene: Scene) -> None:
    first = await scene.stored()
    await closing.submit(scene.services, scene.form)
    with pytest.raises(Problem, match="form-submitted"):
        await _reuse(scene, first)


async def test_a_key_names_one_upload_however_far_the_other_has_come(scene: Scene) -> None:
    first = await scene.staged()
    second = await _reuse(scene, first, key="k")
    assert (await _reuse(scene, first, key="k")).id == second.id
    await scene.report(stored(await scene.claimed(first)))
    assert (await _reuse(scene, first, key="k")).id == second.id
    await remove(scene.services, first, by=PERSON)
    assert (await _reuse(scene, first, key="k")).id == second.id
    other = await scene.staged("needed", b"other")
    with pytest.raises(Problem, match="key-reused"):
        await _reuse(scene, other, key="k")


async def test_a_volume_that_fails_refuses_it_and_nothing_is_left(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await scene.staged()
    with monkeypatch.context() as patched:
        fail(patched, "fsync folder", errno.EIO)
        with pytest.raises(Problem, match="unavailable"):
            await _reuse(scene, first)
    assert list(_staged(scene)) == [first.id]


async def test_a_purge_takes_all_of_it_with_it(scene: Scene) -> None:
    first = await scene.stored()
    await _reuse(scene, first)
    await closing.purge(scene.services, scene.form, by=PERSON)
    assert await _due_prefixes(scene.services) == [f"{first.key_base}/{first.id}.1/"]


async def test_what_a_purge_takes_meanwhile_is_told_as_a_form_that_is_gone(scene: Scene) -> None:
    first = await scene.staged()
    await closing.purge(scene.services, scene.form, by=PERSON)
    with pytest.raises(Problem, match="not-found"):
        await _reuse(scene, first)


async def test_a_worker_of_before_reuse_that_finds_no_file_gives_it_back(scene: Scene) -> None:
    second = await _reuse(scene, await scene.stored())
    order = await scene.claimed(second)
    ids = {"upload_id": second.id, "generation": order.generation}
    row = await outcomes.apply(
        scene.services, scene.form.id, Failed.model_validate({**ids, "code": "bytes-lost"})
    )
    assert row.status is UploadStatus.STAGED
    await scene.set_all(next_attempt_at=0)
    order = await scene.claimed(second)
    ids = {"upload_id": second.id, "generation": order.generation}
    row = await outcomes.apply(
        scene.services, scene.form.id, Failed.model_validate({**ids, "code": "object-lost"})
    )
    assert row.status is UploadStatus.FAILED
    assert row.error
    assert row.error["code"] == "object-lost"
