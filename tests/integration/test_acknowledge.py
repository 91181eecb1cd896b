"""Between the last byte and the 202: nothing acknowledged is lost, nothing refused stays."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from sqlalchemy import select, update

from api.access.tokens import PERSON
from api.forms import closing
from api.forms.sections import Edits, Saved, edits_of_json, save
from api.receive.files import Received
from api.receive.sections import FilePart
from api.records import forms
from api.records.database import Change, CommitUnknown, Transaction
from api.records.rows import UploadRow
from api.records.tables import events, running_keys
from api.services import Services
from api.texts.errors import Problem
from api.uploads import idempotency
from api.uploads.acknowledge import acknowledge
from shared.form_definition import FileField
from shared.status import UploadStatus
from tests.support.commits import commits_that, held_before_the_commit
from tests.support.services import Scene, services_on, stored
from tests.support.sql import uploads_of, values_of


async def test_a_form_that_is_submitted_while_a_body_is_in_flight_takes_it_no_more(
    scene: Scene,
) -> None:
    await scene.stored()
    in_flight = await scene.received()
    await closing.submit(scene.services, scene.form)
    with pytest.raises(Problem, match="form-submitted"):
        await _acknowledge(scene, in_flight)
    assert not await scene.services.staging.exists(in_flight.staged.name)


async def test_a_form_that_is_purged_while_a_body_is_in_flight_takes_it_no_more(
    scene: Scene,
) -> None:
    in_flight = await scene.received()
    await closing.purge(scene.services, scene.form, by=PERSON)
    with pytest.raises(Problem, match="not-found"):
        await _acknowledge(scene, in_flight)
    assert not await scene.services.staging.exists(in_flight.staged.name)


async def test_a_form_whose_type_was_taken_away_waits_until_it_is_back(scene: Scene) -> None:
    field = scene.services.form_types[scene.form.type].file_fields["needed"]
    del scene.services.form_types[scene.form.type]
    with pytest.raises(Problem, match="type of this form") as refused:
        await acknowledge(
            scene.services, scene.form.id, field, await scene.received(), request_id="req"
        )
    assert (refused.value.code, refused.value.retryable) == ("unavailable", True)
    assert refused.value.retry_after == 60


async def test_a_key_names_one_upload_even_when_both_come_at_once(scene: Scene) -> None:
    one, two = await scene.received(b"same"), await scene.received(b"same")
    rows = await asyncio.gather(
        _acknowledge(scene, one, key="k"), _acknowledge(scene, two, key="k")
    )
    assert rows[0].id == rows[1].id
    left = {path.name for path in (scene.services.staging.root / "staged").iterdir()}
    assert left == {rows[0].id}
    with pytest.raises(Problem, match="key-reused"):
        await _acknowledge(scene, await scene.received(b"other"), key="k")


async def test_a_field_is_full_at_commit_too(scene: Scene) -> None:
    bodies = [await scene.received(bytes([n])) for n in range(4)]
    answers = await asyncio.gather(
        *(_acknowledge(scene, body, field="pair") for body in bodies), return_exceptions=True
    )
    refused = [each for each in answers if isinstance(each, Problem)]
    assert [each.code for each in refused] == ["too-many-files"] * 2
    left = {path.name for path in (scene.services.staging.root / "staged").iterdir()}
    assert left == {each.id for each in answers if isinstance(each, UploadRow)}


@pytest.fixture
async def other(scene: Scene, database_url: str, tmp_path: Path) -> AsyncIterator[Services]:
    """Another replica: it knows of a key what the records say."""
    async with services_on(tmp_path, database_url) as opened:
        assert await opened.database.read(forms.get, scene.form.id)
        yield opened


async def test_a_slow_body_marks_its_key_for_the_other_replicas_and_a_quick_one_doesnt(
    scene: Scene, other: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _running(scene.services, scene):
        assert await _marks(scene) == []
        with pytest.raises(Problem, match="upload-running"):
            await _running(scene.services, scene).__aenter__()
    monkeypatch.setattr(idempotency, "SLOW_SECONDS", 0.01)
    async with _running(scene.services, scene):
        await _marked(scene)
        with pytest.raises(Problem, match="upload-running") as refused:
            await _running(other, scene).__aenter__()
        assert refused.value.retry_after
    assert await _marks(scene) == []
    async with _running(other, scene):
        pass


async def test_a_key_whose_request_is_no_more_is_free_a_quarter_of_a_minute_later(
    scene: Scene, other: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "SLOW_SECONDS", 0.01)
    request = _running(scene.services, scene)
    await request.__aenter__()  # and its api is killed
    await _marked(scene)
    await _let_pass(scene, 14_000)
    with pytest.raises(Problem, match="upload-running"):
        await _running(other, scene).__aenter__()
    await _let_pass(scene, 1_001)
    async with _running(other, scene):
        pass
    await request.__aexit__(None, None, None)


async def test_a_key_is_held_for_as_long_as_its_body_comes(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "SLOW_SECONDS", 0.01)
    monkeypatch.setattr(idempotency, "RENEW_SECONDS", 0.01)
    async with _running(scene.services, scene), asyncio.timeout(30):
        await _marked(scene)
        for _ in range(3):
            left = await _let_pass(scene, 14_000)
            while await _let_pass(scene, 0) <= left:  # noqa: ASYNC110 - the database sets no event
                await asyncio.sleep(0.01)


async def test_of_two_requests_with_a_key_that_begin_together_one_is_told_to_wait(
    scene: Scene,
) -> None:
    both = [_running(scene.services, scene) for _ in range(2)]
    begun = await asyncio.gather(*(each.__aenter__() for each in both), return_exceptions=True)
    (refused,) = [each for each in begun if each]
    assert isinstance(refused, Problem)
    assert refused.code == "upload-running"
    await both[begun.index(None)].__aexit__(None, None, None)


async def test_a_mark_that_is_being_set_when_its_request_ends_doesnt_outlast_it(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "SLOW_SECONDS", 0.01)
    request = _running(scene.services, scene)
    with held_before_the_commit() as (held, go_on):
        await request.__aenter__()
        await held.wait()
        ending = asyncio.ensure_future(request.__aexit__(None, None, None))
        await asyncio.wait([ending], timeout=0.1)  # in which it would be done
        assert not ending.done(), "its mark might come after its end"
        go_on.set()
        await ending
    assert await _marks(scene) == []


async def test_who_listens_to_commits_and_fails_takes_nothing_back(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: list[Change]) -> None:
        raise RuntimeError

    monkeypatch.setattr(scene.services.metrics, "committed", broken)
    rows = await asyncio.gather(scene.staged("pair"), scene.staged("needed"))
    for row in rows:
        assert (await scene.now(row)).status is UploadStatus.STAGED
        assert await scene.services.staging.exists(row.id)


async def test_a_commit_whose_answer_is_lost_is_looked_up(
    scene: Scene,
) -> None:
    body = await scene.received()
    with commits_that("is answered too late"):
        row = await _acknowledge(scene, body)
    assert (await scene.now(row)).status is UploadStatus.STAGED


async def test_a_commit_that_nobody_can_tell_about_deletes_nothing(
    scene: Scene,
) -> None:
    body = await scene.received()
    with commits_that("is lost"), pytest.raises(CommitUnknown) as unknown:
        await _acknowledge(scene, body)
    assert unknown.value.status == 503
    assert await scene.services.staging.exists(body.staged.name)


async def test_a_section_whose_commit_is_answered_too_late_is_looked_up(scene: Scene) -> None:
    with commits_that("is answered too late"):
        saved = await _save_a_file(scene, await scene.received())
    assert saved.received


async def test_a_section_that_nobody_can_tell_about_keeps_its_files(scene: Scene) -> None:
    body = await scene.received()
    with commits_that("is lost"), pytest.raises(CommitUnknown):
        await _save_a_file(scene, body)
    assert await scene.services.staging.exists(body.staged.name)


async def test_a_save_of_text_alone_that_nobody_can_tell_about_is_no_success(
    scene: Scene,
) -> None:
    edits = edits_of_json(scene.services.form_types["acceptance"], {"note": "typed"})
    with commits_that("is lost"), pytest.raises(CommitUnknown):
        await save(scene.services, scene.form, edits, if_match=None, request_id="r")


async def test_a_saved_section_and_an_outcome_at_once_lose_neither(scene: Scene) -> None:
    upload = await scene.staged()
    order = await scene.claimed(upload)
    form_type = scene.services.form_types["acceptance"]
    edits = edits_of_json(form_type, {"note": "typed"})
    await asyncio.gather(
        save(scene.services, scene.form, edits, if_match=None, request_id="r"),
        scene.report(stored(order)),
    )
    form = await scene.services.database.read(forms.get, scene.form.id)
    rows = await scene.services.database.read(uploads_of, scene.form.id)
    assert form
    assert form.data == {"note": "typed"}
    assert rows[0].public_url


async def test_every_change_has_its_own_version_in_the_order_of_commits(scene: Scene) -> None:
    await asyncio.gather(scene.stored(), *(scene.staged() for _ in range(5)))
    in_order = select(events.c.version).order_by(events.c.id)
    versions = await values_of(scene.services.database, in_order)
    assert versions == sorted(set(versions))
    assert len(versions) == len(range(2, versions[-1] + 1))


async def _save_a_file(scene: Scene, body: Received) -> Saved:
    name, size = body.staged.name, body.staged.size
    edits = Edits(files=[FilePart("needed", name, "a.png", "image/png", size, body)])
    return await save(scene.services, scene.form, edits, if_match=None, request_id="r")


async def _acknowledge(
    scene: Scene, received: Received, *, field: str = "needed", key: str | None = None
) -> UploadRow:
    found = scene.services.form_types[scene.form.type].file_fields[field]
    assert isinstance(found, FileField)
    return await acknowledge(
        scene.services, scene.form.id, found, received, request_id="req", key=key
    )


def _running(services: Services, scene: Scene) -> AbstractAsyncContextManager[None]:
    return idempotency.holding_key(services, scene.form.id, "needed", "k")


async def _marks(scene: Scene) -> list[str]:
    return await values_of(scene.services.database, select(running_keys.c.key))


async def _marked(scene: Scene) -> None:
    async with asyncio.timeout(10):
        while not await _marks(scene):  # noqa: ASYNC110 - the database sets no event
            await asyncio.sleep(0.01)


async def _let_pass(scene: Scene, milliseconds: int) -> int:
    """On the clock of the mark of a running request; until when it holds then."""
    until = running_keys.c.until

    def passed(tx: Transaction) -> int:
        forms.lock(tx, scene.form.id)
        earlier = update(running_keys).values(until=until - milliseconds).returning(until)
        return int(tx.conn.execute(earlier).scalar_one())

    return await scene.services.database.write(passed)
