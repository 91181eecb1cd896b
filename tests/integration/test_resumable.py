"""What becomes of the bytes of a resumable upload when requests, replicas and volumes fail."""

import asyncio
import base64
import errno
import hashlib
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import update
from starlette.requests import ClientDisconnect

from api.forms.closing import submit
from api.receive import turns
from api.receive.body import Body
from api.records import uploads as upload_rows
from api.records.rows import UploadRow
from api.records.tables import forms, uploads
from api.services import Services
from api.staging import segments
from api.staging.folders import INCOMING, SEGMENTS
from api.staging.space import Free
from api.texts.errors import Problem
from api.upkeep import receiving
from api.uploads import appending, finishing, resumable
from api.uploads.admission import Admission
from api.uploads.resumable import Announced, append, begin, stand
from shared.status import UploadStatus
from shared.volume import MARKER, STAGED
from tests.support.commits import commits_that, held_before_the_commit
from tests.support.listeners import new_form, public
from tests.support.services import Scene, rejected, services_on, stored
from tests.support.sql import execute
from tests.support.sweeping import willing_sweep
from tests.support.tus import CONTENT, TUS, begun, code_of, pieces, send, stands


class Broken(AsyncIterator[bytes]):
    """A body that brings some bytes, and then its connection breaks."""

    def __init__(self, content: bytes) -> None:
        self.content: bytes | None = content

    async def __anext__(self) -> bytes:
        content, self.content = self.content, None
        if content is None:
            raise ClientDisconnect
        return content


async def test_what_came_before_a_connection_broke_is_kept(services: Services) -> None:
    async with public(services) as client:
        url = await begun(client)
        await send(client, url, 0, Broken(CONTENT[:150_000]))
        assert (await stands(client, url)).headers["upload-offset"] == "150000"
        assert (await send(client, url, 150_000, CONTENT[150_000:])).status_code == 204
        assert (await client.get(url)).json()["sha256"] == hashlib.sha256(CONTENT).hexdigest()


# --- pre-emption


class Held(AsyncIterator[bytes]):
    """A body that brings some bytes, and then nothing for as long as nobody says so."""

    def __init__(self, content: bytes) -> None:
        self.content: bytes | None = content
        self.brought = asyncio.Event()
        self.go_on = asyncio.Event()

    async def __anext__(self) -> bytes:
        content, self.content = self.content, None
        if content is not None:
            return content
        self.brought.set()
        await self.go_on.wait()
        raise StopAsyncIteration


async def test_a_stalled_request_keeps_what_it_has_and_yields_to_a_head(services: Services) -> None:
    async with public(services) as client:
        url, body = await begun(client), Held(CONTENT[:1000])
        stalled = asyncio.create_task(send(client, url, 0, body))
        await body.brought.wait()
        assert (await stands(client, url)).headers["upload-offset"] == "1000"
        assert code_of(await stalled) == (423, "upload-locked")
        assert (await send(client, url, 1000, CONTENT[1000:])).status_code == 204


async def test_a_request_that_still_gets_bytes_is_not_disturbed(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def alive() -> AsyncIterator[bytes]:
        for at in range(0, 1000, 10):
            yield CONTENT[at : at + 10]
            came.set()
            await asyncio.sleep(0.01)
            if over.is_set():
                return

    came, over = asyncio.Event(), asyncio.Event()
    monkeypatch.setattr(turns, "STALLED_SECONDS", 0.3)
    async with public(services) as client:
        url = await begun(client)
        sending = asyncio.create_task(send(client, url, 0, alive()))
        await came.wait()
        assert (await stands(client, url)).status_code == 423
        assert code_of(await send(client, url, 0, b"x")) == (423, "upload-locked")
        over.set()
        assert (await sending).status_code == 204


async def test_a_request_on_another_replica_takes_the_upload_from_a_stalled_one(
    services: Services, tmp_path: Path, database_url: str
) -> None:
    async with (
        services_on(tmp_path, database_url) as other,
        public(services) as client,
        public(other) as elsewhere,
    ):
        url, body = await begun(client), Held(CONTENT[:200_000])
        await send(client, url, 0, CONTENT[:1000])
        stalled = asyncio.create_task(send(client, url, 1000, body))
        await body.brought.wait()
        assert (await stands(elsewhere, url)).headers["upload-offset"] == "1000"
        assert (await send(elsewhere, url, 1000, CONTENT[1000:5000])).status_code == 204
        body.go_on.set()
        assert code_of(await stalled) == (423, "upload-locked")
        for at, by in ((5000, client), (100_000, elsewhere), (300_000, client)):
            end = {5000: 100_000, 100_000: 300_000}.get(at, len(CONTENT))
            answer = await send(by, url, at, CONTENT[at:end])
            assert answer.headers["upload-offset"] == str(end)
        found = (await client.get(url)).json()
    assert found["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert (services.settings.staging_dir / STAGED / found["id"]).read_bytes() == CONTENT


async def test_of_two_requests_with_one_number_one_moves_the_offset(
    services: Services, tmp_path: Path, database_url: str
) -> None:
    """As when a database has forgotten the last number that it gave: none is waited for on disk."""
    async with (
        services_on(tmp_path, database_url) as other,
        public(services) as client,
        public(other) as elsewhere,
    ):
        url, first, second = await begun(client), Held(CONTENT[:1000]), Held(CONTENT[:5000])
        older = asyncio.create_task(send(client, url, 0, first))
        await first.brought.wait()
        forgotten = update(uploads).where(uploads.c.id == url.rpartition("/")[2]).values(writer=0)
        await execute(services.database, forgotten)
        newer = asyncio.create_task(send(elsewhere, url, 0, second))
        await second.brought.wait()
        first.go_on.set()
        assert (await older).headers["upload-offset"] == "1000"
        second.go_on.set()
        assert code_of(await newer) == (423, "upload-locked")
        assert (await send(elsewhere, url, 1000, CONTENT[1000:])).status_code == 204
        assert (await client.get(url)).json()["sha256"] == hashlib.sha256(CONTENT).hexdigest()


# --- what dies in the middle


async def test_bytes_are_acknowledged_while_more_come(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appending, "EVERY_SECONDS", 0)
    async with public(services) as client:
        url, body = await begun(client), Held(CONTENT[:1000])
        sending = asyncio.create_task(send(client, url, 0, body))
        async with asyncio.timeout(30):
            while (await client.get(url)).json()["progress"]["received"] < 1000:  # noqa: ASYNC110 - no event is told of it
                await asyncio.sleep(0.01)
        assert not sending.done()
        body.go_on.set()
        assert (await sending).headers["upload-offset"] == "1000"
        await send(client, url, 1000, CONTENT[1000:])
        assert (await client.get(url)).json()["sha256"] == hashlib.sha256(CONTENT).hexdigest()


async def test_the_last_bytes_are_acknowledged_once_those_before_them_are(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def until_the_commit() -> AsyncIterator[bytes]:
        held, go_on = commits.enter_context(held_before_the_commit())
        yield CONTENT[:1000]
        await held.wait()
        asyncio.get_running_loop().call_soon(go_on.set)
        yield CONTENT[1000:2000]

    monkeypatch.setattr(appending, "EVERY_SECONDS", 0)
    with ExitStack() as commits:
        async with public(services) as client:
            url = await begun(client)
            answer = await send(client, url, 0, until_the_commit())
            assert answer.headers["upload-offset"] == "2000"


async def test_a_request_whose_bytes_could_not_be_acknowledged_on_the_way_says_so(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def until_the_commit() -> AsyncIterator[bytes]:
        faults.enter_context(commits_that("is lost"))
        yield CONTENT[:1000]

    monkeypatch.setattr(appending, "EVERY_SECONDS", 0)
    with ExitStack() as faults:
        async with public(services) as client:
            url = await begun(client)
            answer = await send(client, url, 0, until_the_commit())
            assert code_of(answer) == (503, "unavailable")
            assert (await stands(client, url)).headers["upload-offset"] == "0"


async def test_what_came_before_the_service_stopped_is_kept(services: Services) -> None:
    async with public(services) as client:
        url, body = await begun(client), Held(CONTENT[:1000])
        cut_off = asyncio.create_task(send(client, url, 0, body))
        await body.brought.wait()
        cut_off.cancel()
        await asyncio.wait([cut_off])
        assert (await stands(client, url)).headers["upload-offset"] == "1000"


async def test_what_is_being_acknowledged_while_the_service_stops_is_there(
    services: Services,
) -> None:
    async def until_the_commit() -> AsyncIterator[bytes]:
        yield CONTENT[:1000]
        held, go_on = commits.enter_context(held_before_the_commit())
        stopping.append(asyncio.create_task(stop(held, go_on)))

    async def stop(held: asyncio.Event, go_on: asyncio.Event) -> None:
        await held.wait()
        cut_off.cancel()
        await asyncio.sleep(0)  # what waits for the request begins to end it
        go_on.set()

    stopping: list[asyncio.Task[None]] = []
    with ExitStack() as commits:
        async with public(services) as client:
            url = await begun(client)
            cut_off = asyncio.create_task(send(client, url, 0, until_the_commit()))
            await asyncio.wait([cut_off])
            await asyncio.gather(*stopping)
            at = int((await stands(client, url)).headers["upload-offset"])
            assert (await send(client, url, at, CONTENT[at:])).status_code == 204
            assert (await client.get(url)).json()["sha256"] == hashlib.sha256(CONTENT).hexdigest()


@pytest.mark.parametrize("fault", ["is lost", "is answered too late"])
async def test_an_offset_whose_commit_nobody_knows_of_is_asked_for(
    services: Services, fault: str
) -> None:
    async def until_the_commit() -> AsyncIterator[bytes]:
        yield CONTENT[1000:5000]
        faults.enter_context(commits_that(fault))

    with ExitStack() as faults:
        async with public(services) as client:
            url = await begun(client)
            await send(client, url, 0, CONTENT[:1000])
            answer = await send(client, url, 1000, until_the_commit())
            assert code_of(answer) == (503, "unavailable")
            faults.close()
            at = 1000 if fault == "is lost" else 5000
            assert (await stands(client, url)).headers["upload-offset"] == str(at)
            assert (await send(client, url, at, CONTENT[at:])).status_code == 204
            found = (await client.get(url)).json()
    assert found["sha256"] == hashlib.sha256(CONTENT).hexdigest()


# --- what the sweep does


async def test_an_abandoned_upload_expires_and_leaves_nothing(services: Services) -> None:
    async with public(services) as client:
        url = await begun(client)
        await send(client, url, 0, CONTENT[:1000])
        upload_id = url.rpartition("/")[2]
        past = update(uploads).where(uploads.c.id == upload_id).values(deadline=1)
        await execute(services.database, past)
        sweep = willing_sweep(services)
        await sweep.once()
        assert (await stands(client, url)).status_code == 410
        assert (await client.get(url)).json()["status"] == "expired"
        await sweep.once()
    assert not list((services.settings.staging_dir / SEGMENTS).iterdir())
    row = await services.database.scan(upload_rows.get, upload_id)
    assert row is not None
    assert row.bytes == "gone"


async def test_an_upload_that_expires_while_bytes_of_it_come_takes_none_and_leaves_nothing(
    services: Services,
) -> None:
    async with public(services) as client:
        url = await begun(client)
        await send(client, url, 0, CONTENT[:1000])
        sweep = willing_sweep(services)

        async def expiring() -> AsyncIterator[bytes]:
            yield CONTENT[1000:2000]
            past = update(uploads).where(uploads.c.id == url.rpartition("/")[2]).values(deadline=1)
            await execute(services.database, past)
            await sweep.once()
            yield CONTENT[2000:]

        assert code_of(await send(client, url, 1000, expiring())) == (410, "upload-gone")
        assert (await client.get(url)).json()["status"] == "expired"
        await sweep.once()
    for folder in (SEGMENTS, STAGED, INCOMING):
        assert not list((services.settings.staging_dir / folder).iterdir())


async def test_an_upload_whose_api_died_at_its_last_byte_is_finished(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with public(services) as client:
        url = await begun(client)
        with nobody_finishes(monkeypatch):
            assert (await send(client, url, 0, CONTENT)).status_code == 503
        assert (await client.get(url)).json()["status"] == "receiving"
        monkeypatch.setattr(receiving, "IDLE_MS", 0)
        await willing_sweep(services).once()
        found = (await client.get(url)).json()
    assert (found["status"], found["sha256"]) == ("staged", hashlib.sha256(CONTENT).hexdigest())


async def test_finishing_what_is_all_here_leaves_time_for_the_rest_of_the_sweep(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "IDLE_MS", 0)
    monkeypatch.setattr(receiving, "ENOUGH_SECONDS", 0)
    async with public(services) as client:
        urls = [await begun(client) for _ in range(2)]
        with nobody_finishes(monkeypatch):
            for url in urls:
                await send(client, url, 0, CONTENT)
    ids = [url.rpartition("/")[2] for url in urls]
    for left in ("receiving", "staged"):
        await willing_sweep(services).once()
        rows = [await services.database.scan(upload_rows.get, each) for each in ids]
        assert {"staged", left} == {row.status for row in rows if row}


# --- a form that is submitted


SMALL = CONTENT[:2000]


def body_of(content: bytes) -> Callable[[int], Body]:
    """Makes the body of a request that brings these bytes."""
    return lambda _: cast(Body, pieces(content))


async def begun_before_another(scene: Scene) -> UploadRow:
    """A resumable upload whose field has a file, and a newer one that was rejected: so it doesn't
    keep the form from being submitted."""
    await scene.stored()
    needed = scene.services.form_types[scene.form.type].file_fields["needed"]
    admission = Admission(scene.services, scene.form, needed, request_id="req")
    upload = await begin(scene.services, admission, Announced(len(SMALL)))
    await scene.report(rejected(await scene.claimed(await scene.staged())))
    return upload


async def test_a_submitted_form_has_nothing_left_that_is_being_received(services: Services) -> None:
    scene = await Scene.create(services)
    upload = await begun_before_another(scene)
    await append(services, upload.id, 0, body_of(SMALL[:1000]))
    await submit(services, scene.form)
    assert (await scene.now(upload)).status is UploadStatus.EXPIRED
    with pytest.raises(Problem, match="upload-gone"):
        await append(services, upload.id, 1000, body_of(SMALL[1000:]))


async def test_what_is_all_here_is_a_file_before_its_form_is_submitted(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = await Scene.create(services)
    upload = await begun_before_another(scene)
    with nobody_finishes(monkeypatch), pytest.raises(Problem, match="unavailable"):
        await append(services, upload.id, 0, body_of(SMALL))
    with pytest.raises(Problem, match="uploads-pending"):
        await submit(services, scene.form)
    assert (await stand(services, upload.id)).status is UploadStatus.STAGED
    await scene.report(stored(await scene.claimed(upload)))
    await submit(services, scene.form)
    assert (await scene.now(upload)).status is UploadStatus.STORED


async def test_an_upload_in_too_many_segments_takes_no_more_bytes(
    services: Services, tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them is a file on the volume: a client of two replicas could fill it with them."""
    monkeypatch.setattr(resumable, "MOST", 2)
    async with services_on(tmp_path, database_url) as other, public(services) as client:
        url = await begun(client)
        async with public(other) as elsewhere:
            for at, by in ((0, client), (1, elsewhere)):
                assert (await send(by, url, at, CONTENT[at : at + 1])).status_code == 204
            assert code_of(await send(client, url, 2, CONTENT[2:])) == (422, "piece-mismatch")


async def test_segments_of_a_whole_file_and_those_of_nobody_go(
    services: Services, tmp_path: Path, database_url: str
) -> None:
    folder = services.settings.staging_dir / SEGMENTS
    async with services_on(tmp_path, database_url) as other, public(services) as client:
        async with public(other) as elsewhere:
            url = await begun(client)
            await send(client, url, 0, CONTENT[:1000])
            await send(elsewhere, url, 1000, CONTENT[1000:])
        (folder / "seg_nobodys").write_bytes(b"x")
        os.utime(folder / "seg_nobodys", (1, 1))
        assert len(list(folder.iterdir())) == 3
        await willing_sweep(services).once()
        assert not list(folder.iterdir())
        assert (await client.get(url)).json()["status"] == "staged"


# --- the end


@contextmanager
def nobody_finishes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if each api died with the last byte acknowledged."""

    async def dies(*_: object) -> None:
        raise Problem("unavailable")

    with monkeypatch.context() as patched:
        patched.setattr(resumable, "finish", dies)
        yield


async def test_a_file_that_is_joined_when_nobody_wants_it_any_more_is_taken_back(
    services: Services, tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(path: Path, target: Path) -> Path:
        if path.parent.name == INCOMING:
            about_to.set()
            assert go_on.wait(30)
        return rename(path, target)

    rename, about_to, go_on = Path.rename, threading.Event(), threading.Event()
    async with (
        services_on(tmp_path, database_url) as other,
        public(services) as client,
        public(other) as elsewhere,
    ):
        url = await begun(client)
        await send(client, url, 0, CONTENT[:1000])
        monkeypatch.setattr(Path, "rename", late)
        last = asyncio.create_task(send(elsewhere, url, 1000, CONTENT[1000:]))
        assert await asyncio.to_thread(about_to.wait, 30)
        assert (await client.delete(url)).status_code == 204
        await willing_sweep(services).once()
        go_on.set()
        assert code_of(await last) == (410, "upload-gone")
    volume = services.settings.staging_dir
    assert not [*(volume / STAGED).iterdir(), *(volume / SEGMENTS).iterdir()]


async def test_a_form_that_is_submitted_while_a_file_is_joined_takes_it_no_more(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def join(*given: Any) -> None:
        joined(*given)
        about_to.set()
        assert go_on.wait(30)

    joined, about_to, go_on = segments.join, threading.Event(), threading.Event()
    monkeypatch.setattr(finishing, "join", join)
    async with public(services) as client:
        url = await begun(client)
        last = asyncio.create_task(send(client, url, 0, CONTENT))
        assert await asyncio.to_thread(about_to.wait, 30)
        await execute(services.database, update(forms).values(status="submitted"))
        go_on.set()
        assert code_of(await last) == (409, "form-submitted")
        assert (await client.get(url)).json()["status"] == "receiving"


async def test_segments_are_joined_once_however_many_ask(
    services: Services, tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with services_on(tmp_path, database_url) as other, public(services) as client:
        async with public(other) as elsewhere:
            url = await begun(client)
            await send(client, url, 0, CONTENT[:1000])
            with nobody_finishes(monkeypatch):
                await send(elsewhere, url, 1000, CONTENT[1000:])
        joins: list[str] = []
        real = segments._copy

        def copy(root: Path, name: str, *rest: Any) -> None:
            joins.append(name)
            real(root, name, *rest)

        monkeypatch.setattr(segments, "_copy", copy)
        answers = await asyncio.gather(*(stands(client, url) for _ in range(5)))
        assert {each.headers["upload-offset"] for each in answers} == {str(len(CONTENT))}
        assert len(joins) == 1
        assert (await client.get(url)).json()["status"] == "staged"


async def test_where_an_upload_stands_is_not_told_of_one_that_ends_by_being_asked(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = base64.b64encode(b"0" * 64).decode()
    async with public(services) as client:
        url = await begun(client, **{"Upload-Metadata": f"sha256 {other}"})
        with nobody_finishes(monkeypatch):
            await send(client, url, 0, CONTENT)
        assert (await stands(client, url)).status_code == 410


# --- a volume that loses something


def lose(segment: Path, how: str) -> None:
    segment.unlink() if how == "missing" else os.truncate(segment, 10)


@pytest.mark.parametrize("how", ["missing", "truncated"])
@pytest.mark.parametrize("when", ["in the middle", "at the end", "of another replica"])
async def test_an_upload_whose_acknowledged_bytes_are_lost_fails_visibly_and_is_begun_anew(
    services: Services,
    tmp_path: Path,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
    when: str,
) -> None:
    async with services_on(tmp_path, database_url) as other, public(services) as client:
        url = await begun(client)
        with nobody_finishes(monkeypatch):
            await send(client, url, 0, CONTENT if when == "at the end" else CONTENT[:1000])
        (segment,) = (services.settings.staging_dir / SEGMENTS).iterdir()
        lose(segment, how)
        if when == "at the end":
            monkeypatch.setattr(receiving, "IDLE_MS", 0)
            await willing_sweep(services).once()
        else:
            async with public(services if when == "in the middle" else other) as goes_on:
                answer = await send(goes_on, url, 1000, CONTENT[1000:])
            assert code_of(answer) == (410, "upload-gone")
        found = (await client.get(url)).json()
        assert (found["status"], found["error"]["code"]) == ("failed", "bytes-lost")
        assert (await stands(client, url)).status_code == 410
        assert (await client.post(f"{url}/retry")).status_code == 409
        await willing_sweep(services).once()
    volume = services.settings.staging_dir
    assert not [*(volume / STAGED).iterdir(), *(volume / SEGMENTS).iterdir()]


async def test_a_volume_that_is_another_one_is_given_no_bytes_and_has_lost_none(
    services: Services,
) -> None:
    volume = services.settings.staging_dir
    async with public(services) as client:
        url, new = await begun(client), await begun(client)
        await send(client, url, 0, CONTENT[:1000])
        (volume / SEGMENTS).rename(volume / "elsewhere")
        (volume / SEGMENTS).mkdir()
        marker = (volume / MARKER).read_text()
        (volume / MARKER).write_text("vol_another")
        for each, at in ((url, 1000), (new, 0)):
            assert code_of(await send(client, each, at, CONTENT[at:])) == (503, "unavailable")
        assert not list((volume / SEGMENTS).iterdir())
        (volume / SEGMENTS).rmdir()
        (volume / "elsewhere").rename(volume / SEGMENTS)
        (volume / MARKER).write_text(marker)
        assert (await stands(client, url)).headers["upload-offset"] == "1000"
        assert (await send(client, url, 1000, CONTENT[1000:])).status_code == 204


async def test_room_that_is_promised_is_not_promised_twice(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with public(services) as client:
        await begun(client)
        left = Free(len(CONTENT) + 1000, None, of_bytes=1 << 40)
        monkeypatch.setattr(services.staging.space, "free", lambda: left)
        form = await new_form(client)
        path, headers = f"/v1/forms/{form['id']}/fields/bulk", {**TUS, "Upload-Length": "1001"}
        assert code_of(await client.post(f"{path}/tus", headers=headers)) == (507, "storage-full")
        plain = await client.put(f"{path}/uploads/k", content=b"x" * 1001)
        assert code_of(plain) == (507, "storage-full")
        headers["Upload-Length"] = "999"
        assert (await client.post(f"{path}/tus", headers=headers)).status_code == 201


async def test_a_full_volume_keeps_what_it_has_taken(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, written = os.write, 0

    def full(fd: int, data: bytes) -> int:
        nonlocal written
        written += len(data)
        if written > 300_000 and len(data) > 1000:
            raise OSError(errno.ENOSPC, "full")
        return write(fd, data)

    async with public(services) as client:
        url = await begun(client)
        with monkeypatch.context() as patched:
            patched.setattr(segments, "BATCH", 262_144)
            patched.setattr(os, "write", full)
            answer = await send(client, url, 0, pieces(CONTENT[:262_144], CONTENT[262_144:]))
        assert code_of(answer) == (507, "storage-full")
        at = int((await stands(client, url)).headers["upload-offset"])
        assert at == 262_144
        assert (await send(client, url, at, CONTENT[at:])).status_code == 204
        assert (await client.get(url)).json()["sha256"] == hashlib.sha256(CONTENT).hexdigest()


async def test_nothing_is_written_behind_bytes_that_could_not_be(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, calls = os.write, 0

    def full_for_a_moment(fd: int, data: bytes) -> int:
        nonlocal calls
        calls += len(data) == len(CONTENT) // 4
        if calls != 2:
            return write(fd, data)
        calls += 1
        write(fd, data[:100])
        raise OSError(errno.ENOSPC, "full")

    quarter = len(CONTENT) // 4
    monkeypatch.setattr(segments, "BATCH", quarter)
    async with public(services) as client:
        url = await begun(client)
        with monkeypatch.context() as patched:
            patched.setattr(os, "write", full_for_a_moment)
            parts = pieces(*(CONTENT[at : at + quarter] for at in range(0, 4 * quarter, quarter)))
            assert code_of(await send(client, url, 0, parts)) == (507, "storage-full")
        assert (await stands(client, url)).headers["upload-offset"] == str(quarter)
        assert (await send(client, url, quarter, CONTENT[quarter:])).status_code == 204
        found = (await client.get(url)).json()
    assert found["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert (services.settings.staging_dir / STAGED / found["id"]).read_bytes() == CONTENT


async def test_after_an_fsync_that_failed_a_segment_is_not_written_to_again(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: int) -> None:
        raise OSError(errno.EIO, "no more")

    async with public(services) as client:
        url = await begun(client)
        await send(client, url, 0, CONTENT[:1000])
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", broken)
            assert (await send(client, url, 1000, CONTENT[1000:5000])).status_code == 503
        assert (await stands(client, url)).headers["upload-offset"] == "1000"
        await send(client, url, 1000, CONTENT[1000:2000])
        assert len(list((services.settings.staging_dir / SEGMENTS).iterdir())) == 2
        await send(client, url, 2000, CONTENT[2000:])
        assert (await client.get(url)).json()["sha256"] == hashlib.sha256(CONTENT).hexdigest()
