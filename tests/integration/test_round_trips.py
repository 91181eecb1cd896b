"""On PostgreSQL each statement is a round trip: how many an acknowledgement takes, and that nothing
is lost where it takes but one."""

import asyncio
import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest
from sqlalchemy import make_url

from api.access.tokens import PERSON
from api.forms import closing
from api.records import forms, one_statement, staged, uploads
from api.records.database import CommitUnknown, DatabaseUnavailable, Transaction
from api.records.postgresql import PostgresDatabase
from api.records.rows import UploadRow
from api.texts.errors import Problem
from api.uploads.admission import Admission
from dev.faulty_link import FaultyLink
from shared.status import UploadStatus
from tests.support.commits import held_before_the_commit
from tests.support.round_trips import counted
from tests.support.services import Scene, rejected, services_on
from tests.support.sql import execute, rows_of, uploads_of

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


class Sent:
    """A file on its way: let in, with its bytes on the volume, and not acknowledged yet."""

    def __init__(
        self, scene: Scene, field: str = "needed", key: str | None = None, content: bytes = b"bytes"
    ) -> None:
        form_type = scene.services.form_types[scene.form.type]
        self._scene = scene
        self._content = content
        self.admission = Admission(
            scene.services, scene.form, form_type.file_fields[field], request_id="req", key=key
        )
        self._open = self.admission.open(least=len(content), most=len(content))

    async def __aenter__(self) -> Self:
        await self._open.__aenter__()
        self._received = await self._scene.received(self._content, self.admission.upload_id)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._open.__aexit__(*error)  # type: ignore[arg-type] # passed on as they come

    async def acknowledge(self) -> UploadRow:
        return await self.admission.acknowledge(self._received)


@pytest.mark.parametrize("key", [None, "k"])
async def test_an_acknowledgement_is_one_round_trip_and_what_is_before_it_another(
    tmp_path: Path, database_url: str, key: str | None
) -> None:
    async with (
        counted(database_url) as (address, turns),
        services_on(tmp_path, address) as services,
    ):
        taken = []
        for _ in range(3):  # the first one connects, and has its statements prepared
            scene = await Scene.create(services)
            before = turns.taken
            async with Sent(scene, key=key) as sent:
                let_in = turns.taken
                await sent.acknowledge()
            taken.append((let_in - before, turns.taken - let_in))
    assert taken[-1] == (1, 1)


async def test_it_is_the_same_upload_as_one_that_is_looked_at_under_the_lock(scene: Scene) -> None:
    async with Sent(scene, "pair", "one") as sent:
        quick = await sent.acknowledge()
    slow = await scene.staged("pair")
    own = {"id", "slot", "seq", "version", "key", "key_base", "created_at", "updated_at"}
    times = {"next_attempt_at", "deadline", "wake_at"}
    for name in UploadRow.__dataclass_fields__.keys() - own - times:
        assert getattr(quick, name) == getattr(slow, name), name
    for name in times:
        assert getattr(slow, name) - getattr(quick, name) < 60_000
    assert (quick.seq, quick.version, slow.seq) == (quick.version, slow.version - 1, slow.version)
    first, second = await rows_of(
        scene.services.database,
        "SELECT from_status, to_status, stage, generation, version FROM events "
        "WHERE upload_id IS NOT NULL ORDER BY id",
    )
    assert tuple(first)[:4] == tuple(second)[:4]
    assert (first.version, second.version) == (quick.version, slow.version)


async def test_what_came_meanwhile_is_seen(scene: Scene) -> None:
    async with Sent(scene, "pair") as one, Sent(scene, "pair") as two, Sent(scene, "pair") as three:
        assert (await one.acknowledge()).seq < (await two.acknowledge()).seq
        with pytest.raises(Problem, match="too-many-files"):
            await three.acknowledge()
    async with Sent(scene) as late:
        await closing.purge(scene.services, scene.form, by=PERSON)
        with pytest.raises(Problem, match="not-found"):
            await late.acknowledge()


async def test_of_two_with_one_key_at_two_replicas_one_is_the_upload(
    tmp_path: Path, database_url: str
) -> None:
    async with (
        services_on(tmp_path, database_url) as here,
        services_on(tmp_path, database_url) as there,
    ):
        scene = await Scene.create(here)
        other = Scene(there, scene.form)
        async with Sent(scene, key="k") as one, Sent(other, key="k") as two:
            first = await one.acknowledge()
            assert (await two.acknowledge()).id == first.id
        assert not await there.staging.exists(two.admission.upload_id)
        async with Sent(other, key="k", content=b"others") as third:
            with pytest.raises(Problem, match="key-reused"):
                await third.acknowledge()


async def test_a_name_that_the_sweep_took_for_an_orphans_is_nobodys_upload(scene: Scene) -> None:
    async with Sent(scene) as sent:
        await scene.services.database.write(staged.condemn, [sent.admission.upload_id])
        with pytest.raises(Problem, match="unavailable"):
            await sent.acknowledge()
    assert not await scene.services.database.scan(uploads_of, scene.form.id)


async def test_what_was_rejected_in_the_slot_before_needs_no_bytes(scene: Scene) -> None:
    order = await scene.claimed(await scene.staged())
    bad = await scene.report(rejected(order))
    form = await scene.services.database.read(forms.get, scene.form.id)
    assert form
    async with Sent(Scene(scene.services, form)) as sent:
        await sent.acknowledge()
    assert (await scene.now(bad)).bytes == "condemned"


@pytest.mark.parametrize("is_carried_out", [True, False])
async def test_a_statement_whose_answer_is_lost_is_settled_by_who_has_its_name(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, *, is_carried_out: bool
) -> None:
    monkeypatch.setattr(one_statement, "create", _lost(is_carried_out=is_carried_out))
    async with Sent(scene) as sent:
        if is_carried_out:
            assert (await sent.acknowledge()).status is UploadStatus.STAGED
        else:
            with pytest.raises(DatabaseUnavailable):
                await sent.acknowledge()
    there = await scene.services.staging.exists(sent.admission.upload_id)
    assert there is is_carried_out


@pytest.mark.parametrize("is_carried_out", [True, False])
async def test_where_the_database_stays_away_nobody_knows_and_the_file_stays(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, *, is_carried_out: bool
) -> None:
    async def away(*_: object, **__: object) -> None:
        raise DatabaseUnavailable

    database = scene.services.database
    async with Sent(scene, key="k") as sent:
        with monkeypatch.context() as patched:
            patched.setattr(one_statement, "create", _lost(is_carried_out=is_carried_out))
            patched.setattr(database, "_write", away)
            with pytest.raises(CommitUnknown):
                await sent.acknowledge()
    name = sent.admission.upload_id
    assert await scene.services.staging.exists(name)
    assert (await database.read(uploads.get, name) is not None) is is_carried_out
    async with Sent(scene, key="k") as again:  # as a client does that was told 503
        assert await scene.services.staging.exists((await again.acknowledge()).id)


async def test_a_statement_that_is_carried_out_late_finds_its_name_taken(
    tmp_path: Path, database_url: str
) -> None:
    """It waits for the form's lock while its client's link breaks; the server notices nothing."""
    async with (
        FaultyLink(make_url(database_url).port or 5432).open() as link,
        services_on(tmp_path, _through(database_url, link)) as services,
        services_on(tmp_path, database_url) as other,
    ):
        scene = await Scene.create(services)
        waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        async with Sent(scene, "pair") as sent:
            with held_before_the_commit() as (held, go_on):
                locking = asyncio.create_task(other.database.write(forms.lock, scene.form.id))
                await held.wait()
                sending = asyncio.create_task(sent.acknowledge())
                async with asyncio.timeout(20):
                    while not await rows_of(other.database, waiting):  # noqa: ASYNC110 - no bell
                        await asyncio.sleep(0.01)
                link.cut()
                with pytest.raises(DatabaseUnavailable):
                    await sending
                go_on.set()
                await locking
        async with asyncio.timeout(20):
            while await rows_of(other.database, waiting):  # noqa: ASYNC110 - the same
                await asyncio.sleep(0.01)
        await other.database.write(forms.lock, scene.form.id)  # behind it
        assert not await other.database.read(uploads_of, scene.form.id)
        assert not await services.staging.exists(sent.admission.upload_id)


async def test_what_the_server_refuses_is_certain_and_leaves_no_file(
    tmp_path: Path, database_url: str
) -> None:
    async with services_on(tmp_path, database_url) as services:
        scene = await Scene.create(services)
        named = make_url(database_url).database
        async with Sent(scene) as sent:
            read_only = f'ALTER DATABASE "{named}" SET default_transaction_read_only = on'
            await execute(services.database, read_only)
            assert isinstance(services.database, PostgresDatabase)
            await services.database.close()  # what is opened from now on knows it
            with pytest.raises(DatabaseUnavailable):
                await sent.acknowledge()
        assert not await services.staging.exists(sent.admission.upload_id)


async def test_a_body_under_way_holds_none_of_its_forms_rows(scene: Scene) -> None:
    """A form may have hundreds, and a slow body takes an hour."""
    for _ in range(2):
        await scene.staged("pair")
    gc.collect()
    before = sum(type(each) is UploadRow for each in gc.get_objects())
    async with Sent(scene):
        gc.collect()
        assert sum(type(each) is UploadRow for each in gc.get_objects()) <= before


def _through(database_url: str, link: FaultyLink) -> str:
    return make_url(database_url).set(port=link.port).render_as_string(hide_password=False)


def _lost(*, is_carried_out: bool) -> Callable[..., None]:
    """A statement whose answer doesn't come."""
    create = one_statement.create

    def lost(tx: Transaction, *args: Any, **values: Any) -> None:
        if is_carried_out:
            create(tx, *args, **values)
        raise ConnectionResetError

    return lost
