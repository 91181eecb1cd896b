"""What a field keeps and flags is withheld until a back end releases it (protocol P8)."""

from collections.abc import Sequence

import pytest
from sqlalchemy import select

from api.forms import closing
from api.forms.completeness import judge
from api.outside.links import link_of
from api.pages.files import file_line
from api.records import forms
from api.records.rows import FormRow, UploadRow
from api.records.tables import events
from api.services import Services
from api.texts.errors import Problem
from api.uploads.release import release
from api.uploads.retry_or_remove import remove, retry
from api.views.rows import FormView, form_view, upload_view
from shared.internal_api import Flag, StoredObject
from shared.status import UploadStatus
from tests.support.services import A_SHA, BACK_END, Scene, flagged, given_back, rejected, stored
from tests.support.sql import uploads_of, values_of
from tests.support.sweeping import willing_sweep


@pytest.fixture
async def scene(services: Services) -> Scene:
    return await Scene.create(services, "flagging")


async def _flagged(scene: Scene, field: str = "needed") -> UploadRow:
    return await scene.report(flagged(await scene.claimed(await scene.staged(field))))


async def _now(scene: Scene) -> tuple[FormRow, list[UploadRow]]:
    form = await scene.services.database.read(forms.get, scene.form.id)
    rows = await scene.services.database.read(uploads_of, scene.form.id)
    assert form is not None
    return form, rows


async def _view(scene: Scene) -> FormView:
    form, rows = await _now(scene)
    return form_view(scene.services.form_types[form.type], form, rows, "http://api")


async def _release(scene: Scene, upload: UploadRow) -> UploadRow:
    return await release(scene.services, upload, by=BACK_END)


async def test_an_order_has_a_prefix_for_flagged_files_only_where_the_field_keeps_some(
    scene: Scene,
) -> None:
    order = await scene.claimed(await scene.staged())
    assert order.flagged_prefix == f"flagged/{order.key_prefix}"
    assert order.filename == "a.png"
    other = await Scene.create(scene.services)
    assert (await other.claimed(await other.staged())).flagged_prefix is None


async def test_a_flagged_upload_is_stored_and_no_value_of_its_field(scene: Scene) -> None:
    row = await _flagged(scene)
    shown = upload_view(row, "http://api")
    assert (shown.status, shown.public_url, shown.released_at) == ("stored", None, None)
    assert [flag.model_dump() for flag in shown.flags] == [
        {
            "code": "image-too-small",
            "detail": "Please send a larger one",
            "params": {"width": 30, "height": 30},
        }
    ]
    view = await _view(scene)
    assert "needed" not in view.data
    assert row.bytes == "condemned", "they are in the bucket"
    assert file_line(row).state == "We have this file and are checking it. You can go on."
    assert file_line(await _release(scene, row)).state == "Stored"


async def test_a_release_makes_it_the_value_and_says_when_once(scene: Scene) -> None:
    row = await _flagged(scene)
    before = (await _view(scene)).version
    released = await _release(scene, row)
    assert released.public_url == (
        f"http://store.example/bucket/flagged/flagging/{scene.form.id}/needed/{row.id}.1/original.png"
    )
    view = await _view(scene)
    assert view.data["needed"] == released.public_url
    assert view.complete
    assert view.version == before + 1
    assert upload_view(released, "http://api").released_at
    assert [flag["code"] for flag in released.flags] == ["image-too-small"], "it stays flagged"
    assert await _release(scene, row) == released
    assert (await _view(scene)).version == before + 1
    versions = select(events.c.version).where(events.c.upload_id == row.id)
    found = await values_of(scene.services.database, versions)
    assert before + 1 in found, "clients that follow the form hear of it"


async def test_there_is_nothing_to_release_of_what_is_good_pending_rejected_or_gone(
    scene: Scene,
) -> None:
    gone = await _flagged(scene)
    await remove(scene.services, gone, by=BACK_END)
    pending = await scene.staged("pair")
    bad = await scene.report(rejected(await scene.claimed(await scene.staged("pair"))))
    for row in (gone, pending, bad, await scene.stored()):
        with pytest.raises(Problem, match="not-flagged"):
            await _release(scene, row)


async def test_the_good_file_keeps_the_field_until_the_flagged_one_is_released(
    scene: Scene,
) -> None:
    good = await scene.stored()
    doubtful = await _flagged(scene)
    assert (await scene.now(good)).status is UploadStatus.STORED
    assert (await _view(scene)).data["needed"] == good.public_url
    released = await _release(scene, doubtful)
    assert (await scene.now(good)).status is UploadStatus.REPLACED
    assert (await _view(scene)).data["needed"] == released.public_url


async def test_a_newer_good_file_replaces_a_flagged_one(scene: Scene) -> None:
    doubtful = await _flagged(scene)
    good = await scene.stored()
    assert (await scene.now(doubtful)).status is UploadStatus.REPLACED
    assert (await _view(scene)).data["needed"] == good.public_url
    with pytest.raises(Problem, match="not-flagged"):
        await _release(scene, doubtful)


async def test_of_two_flagged_ones_the_back_end_takes_which_it_likes(scene: Scene) -> None:
    first, second = await _flagged(scene), await _flagged(scene)
    older = await _release(scene, first)
    assert (await _view(scene)).data["needed"] == older.public_url
    newer = await _release(scene, second)
    assert (await _view(scene)).data["needed"] == newer.public_url
    assert (await scene.now(first)).status is UploadStatus.REPLACED


async def test_an_older_upload_that_is_stored_late_stands_beside_a_flagged_one(
    scene: Scene,
) -> None:
    older, newer = await scene.staged(), await scene.staged()
    await scene.report(flagged(await scene.claimed(newer)))
    late = await scene.report(stored(await scene.claimed(older)))
    assert (await scene.now(newer)).status is UploadStatus.STORED
    assert (await _view(scene)).data["needed"] == late.public_url
    await _release(scene, newer)
    assert (await scene.now(older)).status is UploadStatus.REPLACED


async def test_in_a_field_for_many_only_what_is_not_withheld_counts_as_a_value(
    scene: Scene,
) -> None:
    good, doubtful = await scene.stored("pair"), await _flagged(scene, "pair")
    assert (await _view(scene)).data["pair"] == [good.public_url]
    released = await _release(scene, doubtful)
    assert (await _view(scene)).data["pair"] == [good.public_url, released.public_url]


async def test_a_person_whose_file_is_flagged_may_submit_and_the_form_is_complete_later(
    scene: Scene,
) -> None:
    doubtful = await _flagged(scene)
    await closing.submit(scene.services, scene.form)
    view = await _view(scene)
    assert (view.status, view.complete) == ("submitted", False)
    await _release(scene, doubtful)
    assert (await _view(scene)).complete


async def test_a_form_with_a_failed_upload_may_be_submitted_and_is_complete_later(
    scene: Scene,
) -> None:
    failed = await scene.staged()
    while failed.status is not UploadStatus.FAILED:
        await scene.set_all(next_attempt_at=0)
        failed = await scene.report(given_back(await scene.claimed(failed)))
    await closing.submit(scene.services, scene.form)
    view = await _view(scene)
    assert (view.status, view.complete) == ("submitted", False)
    again = await retry(scene.services, failed, by=BACK_END)
    await scene.report(stored(await scene.claimed(again)))
    assert (await _view(scene)).complete


async def test_a_rejected_file_after_a_flagged_one_leaves_the_flagged_one_standing(
    scene: Scene,
) -> None:
    await _flagged(scene)
    await scene.report(rejected(await scene.claimed(await scene.staged())))
    form, rows = await _now(scene)
    verdict = judge(scene.services.form_types["flagging"], form, rows)
    assert not verdict.errors
    assert [notice["code"] for notice in verdict.notices] == ["upload-rejected"]
    assert not verdict.complete


async def test_a_form_whose_flagged_file_was_taken_away_is_incomplete(scene: Scene) -> None:
    doubtful = await _flagged(scene)
    await remove(scene.services, doubtful, by=BACK_END)
    with pytest.raises(Problem, match="form-incomplete"):
        await closing.submit(scene.services, scene.form)


async def test_only_who_may_release_may_read_what_is_withheld(scene: Scene) -> None:
    row = await _flagged(scene)
    links = scene.services.links
    with pytest.raises(Problem, match="not-released"):
        link_of(links, row, None, inline=False)
    for url in (
        link_of(links, row, None, inline=True, even_withheld=True),
        link_of(links, await _release(scene, row), None, inline=True),
    ):
        assert "response-content-disposition=attachment" in url


@pytest.mark.parametrize("codes", [["file-infected"], ["image-too-small", "file-infected"]])
async def test_what_the_field_would_not_keep_is_no_outcome(
    scene: Scene, codes: Sequence[str]
) -> None:
    outcome = flagged(await scene.claimed(await scene.staged()))
    outcome.flags = [Flag(code=code) for code in codes]
    with pytest.raises(Problem, match="invalid-request"):
        await scene.report(outcome)


async def test_flagged_objects_lie_under_their_own_prefix_and_good_ones_never(
    scene: Scene,
) -> None:
    order = await scene.claimed(await scene.staged())
    doubtful, good = flagged(order), stored(order)
    doubtful.object, good.object = good.object, doubtful.object
    for outcome in (doubtful, good):
        with pytest.raises(Problem, match="invalid-request"):
            await scene.report(outcome)
    good.object = StoredObject(
        key=f"{order.key_prefix}a.png", content_type="image/png", size=6, sha256=A_SHA
    )
    assert (await scene.report(good)).status is UploadStatus.STORED


async def test_both_prefixes_of_whatever_ends_are_cleaned(scene: Scene) -> None:
    retried = await scene.staged()
    order = await scene.claimed(retried)
    both = {order.key_prefix, order.flagged_prefix}
    await scene.report(given_back(order))
    assert set(await scene.doomed()) == both, "of a generation that came to nothing"
    lost = await scene.claimed(await scene.staged("pair"))
    await scene.set_all(lease_until=1)
    await willing_sweep(scene.services).lost_leases.take_back_lost_leases()
    both |= {lost.key_prefix, lost.flagged_prefix}
    assert set(await scene.doomed()) == both, "of a lost lease"
    kept = await _flagged(scene, "pair")
    await closing.purge(scene.services, scene.form, by=BACK_END)
    doomed = await scene.doomed()
    flagged_key = str((kept.object or {})["key"])
    (prefix,) = [each for each in doomed if flagged_key.startswith(each)]
    assert doomed[prefix][0] <= (await scene.now(kept)).updated_at, "at once: nobody puts there"
    assert (await scene.now(kept)).flags == [], "what was found says something of the person"
