"""Between the last byte and the 202: nothing acknowledged is lost, nothing refused stays."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from sqlalchemy import select, update

from api import forms as use_forms
from api import idempotency
from api import uploads as use_uploads
from api.errors import Problem
from api.receive.files import Received
from api.receive.sections import FilePart
from api.records import forms, uploads
from api.records.database import CommitUnknown, Database, Transaction
from api.records.rows import UploadRow
from api.records.tables import events, running_keys
from api.sections import Edits, Saved, edits_of_json, save
from shared.form_definition import FileField
from shared.status import UploadStatus
from tests.support.services import Scene, stored


async def test_a_form_that_is_submitted_while_a_body_is_in_flight_takes_it_no_more(
    scene: Scene,
) -> None:
    await scene.stored()
    in_flight = await scene.received()
    await use_forms.submit(scene.services, scene.form)
    with pytest.raises(Problem, match="form-submitted"):
        await _acknowledge(scene, in_flight)
    assert not await scene.services.staging.exists(in_flight.staged.name)


async def test_a_form_that_is_purged_while_a_body_is_in_flight_takes_it_no_more(
    scene: Scene,
) -> None:
    in_flight = await scene.received()
    await use_forms.purge(scene.services, scene.form, always=False)
    with pytest.raises(Problem, match="not-found"):
        await _acknowledge(scene, in_flight)
    assert not await scene.services.staging.exists(in_flight.staged.name)


async def test_a_form_whose_type_was_taken_away_waits_until_it_is_back(scene: Scene) -> None:
    field = scene.services.form_types[scene.form.type].file_fields["needed"]
    del scene.services.form_types[scene.form.type]
    with pytest.raises(Problem, match="type of this form") as refused:
        await use_uploads.acknowledge(
            scene.services, scene.form.id, field, await scene.received(), request_id="req"
        )
    assert (refused.value.code, refused.value.retryable) == ("unavailable", True)


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


async def test_a_key_whose_request_is_no_more_is_free_half_a_minute_later(scene: Scene) -> None:
    request = _running(scene)
    await request.__aenter__()  # and its api is killed
    await _let_pass(scene, 29_000)
    with pytest.raises(Problem, match="upload-running") as refused:
        await _running(scene).__aenter__()
    assert int(refused.value.headers["Retry-After"]) > 0
    await _let_pass(scene, 1_001)
    async with _running(scene):
        await request.__aexit__(None, None, None)  # it was only frozen, and ends late
        with pytest.raises(Problem, match="upload-running"):
            await _running(scene).__aenter__()
    async with _running(scene):
        pass


async def test_a_key_is_held_for_as_long_as_its_body_comes(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "RENEW_SECONDS", 0.01)
    async with _running(scene), asyncio.timeout(30):
        for _ in range(3):
            left = await _let_pass(scene, 29_000)
            while await _let_pass(scene, 0) <= left:  # noqa: ASYNC110 - the database sets no event
                await asyncio.sleep(0.01)


async def test_a_commit_whose_answer_is_lost_is_looked_up(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = await scene.received()
    with monkeypatch.context() as patched:
        patched.setattr(Database, "write", _losing_the_answer(commit=True))
        row = await _acknowledge(scene, body)
    assert (await scene.now(row)).status is UploadStatus.STAGED


async def test_a_commit_that_nobody_can_tell_about_deletes_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = await scene.received()
    with monkeypatch.context() as patched:
        patched.setattr(Database, "write", _losing_the_answer(commit=False))
        with pytest.raises(CommitUnknown) as unknown:
            await _acknowledge(scene, body)
    assert unknown.value.status == 503
    assert await scene.services.staging.exists(body.staged.name)


async def test_a_section_whose_commit_is_answered_too_late_is_looked_up(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Database, "write", _losing_the_answer(commit=True))
        saved = await _save_a_file(scene, await scene.received())
    assert saved.received


async def test_a_section_that_nobody_can_tell_about_keeps_its_files(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = await scene.received()
    with monkeypatch.context() as patched:
        patched.setattr(Database, "write", _losing_the_answer(commit=False))
        with pytest.raises(CommitUnknown):
            await _save_a_file(scene, body)
    assert await scene.services.staging.exists(body.staged.name)


async def test_a_save_of_text_alone_that_nobody_can_tell_about_is_no_success(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    edits = edits_of_json(scene.services.form_types["acceptance"], {"note": "typed"})
    with monkeypatch.context() as patched:
        patched.setattr(Database, "write", _losing_the_answer(commit=False))
        with pytest.raises(CommitUnknown):
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
    async with scene.services.database.read() as conn:
        form = await forms.get(conn, scene.form.id)
        rows = await uploads.of_form(conn, scene.form.id)
    assert form
    assert form.data == {"note": "typed"}
    assert rows[0].public_url


async def test_every_change_has_its_own_version_in_the_order_of_commits(scene: Scene) -> None:
    await asyncio.gather(scene.stored(), *(scene.staged() for _ in range(5)))
    async with scene.services.database.read() as conn:
        found = await conn.execute(select(events.c.version).order_by(events.c.id))
        versions = list(found.scalars())
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
    return await use_uploads.acknowledge(
        scene.services, scene.form.id, found, received, request_id="req", key=key
    )


def _running(scene: Scene) -> AbstractAsyncContextManager[None]:
    return idempotency.running(scene.services, scene.form.id, "needed", "k")


async def _let_pass(scene: Scene, milliseconds: int) -> int:
    """On the clock of the mark of a running request; until when it holds then."""
    until = running_keys.c.until
    async with scene.services.database.write() as tx:
        await forms.lock(tx, scene.form.id)
        return int(
            (
                await tx.conn.execute(
                    update(running_keys).values(until=until - milliseconds).returning(until)
                )
            ).scalar_one()
        )


def _losing_the_answer(
    *, commit: bool
) -> Callable[[Database], AbstractAsyncContextManager[Transaction]]:
    original = Database.write

    @asynccontextmanager
    async def write(self: Database) -> AsyncIterator[Transaction]:
        if commit:
            async with original(self) as tx:
                yield tx
        else:
            async with self.engine.connect() as conn:
                begun = await conn.begin()
                yield Transaction(conn)
                await begun.rollback()
        raise CommitUnknown

    return write
