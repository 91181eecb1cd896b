"""Streams of events on real processes: told by any replica, resumed at any, bounded, let go."""

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest

from api.news.streams import Snapshot
from api.records import uploads
from api.routes import events as route
from api.services import Services
from shared.status import UploadStatus
from tests.support.api_process import ApiProcess
from tests.support.client import FormClient, problem
from tests.support.events import following
from tests.support.plans import heard
from tests.support.services import Scene, stored

SOON = 10.0
"""Less than a heartbeat's pause, on a machine that is busy."""
IMPATIENT = {
    "receive_head_seconds": 0.5,
    "receive_idle_seconds": 0.5,
    "receive_rate_seconds": 0.5,
    "send_idle_seconds": 1,
}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    """One that has no patience with slow clients, and lets few follow."""
    limits = {"max_streams_per_form": 3, "max_waiting_per_client": 5}
    with ApiProcess(tmp_path_factory.mktemp("events"), **IMPATIENT, **limits) as running:
        yield running


def shared_by(api: ApiProcess) -> dict[str, object]:
    """Settings of a second replica."""
    database = f"sqlite:///{api.folder}/records.db"
    return {"database_url": database, "staging_dir": api.folder / "volume"}


@pytest.fixture(scope="module")
def form(api: ApiProcess) -> FormClient:
    return FormClient(api.url, "acceptance")


def test_what_one_replica_commits_the_other_tells_and_a_stopped_one_s_clients_miss_nothing(
    api: ApiProcess, tmp_path: Path
) -> None:
    there = api
    with ApiProcess(tmp_path, shutdown_seconds=15, **shared_by(api)) as here:
        form = FormClient(there.url, "acceptance")
        with following(form.http, f"{here.url}{form.path}") as stream:
            assert stream.next()
            one = form.upload("tiny", bytes(100))
            began = time.monotonic()
            told = stream.next()
            assert told
            assert told.data["id"] == one["id"]
            assert time.monotonic() - began < SOON
            assert told.data["url"].startswith(here.url)
            here.terminate()
            assert stream.rest() == [], "no last event: its client is to come back"
        assert here.ended(10) == 0
        form.http.delete(f"/v1/uploads/{one['id']}")
        other = form.upload("tiny", bytes(101))
        with following(form.http, form.path, last_id=stream.last_id) as again:
            missed = again.until("form", "draft")
        assert [(each.data.get("id"), each.brief[1]) for each in missed[:-1]] == [
            (one["id"], "removed"),
            (other["id"], "staged"),
        ]


def test_silence_that_would_cut_off_a_body_leaves_a_stream_alone(form: FormClient) -> None:
    with following(form.http, form.path) as stream:
        stream.next()
        time.sleep(2)
        form.http.patch(form.path, json={"note": "after"})
        told = stream.next()
        assert told
        assert told.name == "form"


def test_a_form_and_a_client_have_their_share_which_is_free_again_when_they_leave(
    api: ApiProcess, form: FormClient
) -> None:
    with ExitStack() as held:
        of_form = [held.enter_context(following(form.http, form.path)) for _ in range(3)]
        assert all(stream.next() for stream in of_form)
        assert api.metric("event_streams") == 3
        refused = form.http.get(f"{form.path}/events")
        problem(refused, 429, "too-many-requests")
        assert int(refused.headers["retry-after"]) > 0
        other = FormClient(api.url, "acceptance")
        of_client = [held.enter_context(following(other.http, other.path)) for _ in range(2)]
        assert all(stream.next() for stream in of_client)
        problem(other.http.get(f"{other.path}/events"), 429, "too-many-requests")
        assert other.http.get(other.path).status_code == 200
    until = time.monotonic() + SOON
    while api.metric("event_streams"):
        assert time.monotonic() < until, "nobody noticed that they left"
        time.sleep(0.05)
    with following(form.http, form.path) as stream:
        assert stream.next()


def test_who_takes_nothing_of_its_answer_is_let_go_and_who_is_slow_is_not(
    api: ApiProcess,
) -> None:
    path = b"/static/swagger-ui/swagger-ui-bundle.js"
    request = b"GET " + path + b" HTTP/1.1\r\nHost: lo\r\nConnection: close\r\n\r\n"
    size = len(httpx.get(f"{api.url}{path.decode()}", trust_env=False).content)
    with _narrow(api) as stuck, _narrow(api) as slow:
        stuck.sendall(request)
        slow.sendall(request)
        began = time.monotonic()
        assert _taken(slow, every=0.01) > size
        assert time.monotonic() - began > 2 * IMPATIENT["send_idle_seconds"]
        with pytest.raises(ConnectionResetError):
            _taken(stuck, every=0)


@contextmanager
def _narrow(api: ApiProcess) -> Iterator[socket.socket]:
    """A connection of which little fits between client and server."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(SOON)
        connection.connect(("127.0.0.1", api.port))
        yield connection


def _taken(connection: socket.socket, *, every: float) -> int:
    """Bytes that come, slowly, until the end."""
    total = 0
    while piece := connection.recv(32768):
        total += len(piece)
        time.sleep(every)
    return total


async def test_two_hundred_that_follow_cost_a_query_a_look_and_one_reading_a_change(
    scene: Scene, services: Services
) -> None:
    services.streams._per_form = 0
    readings = 0

    async def read() -> Snapshot:
        nonlocal readings
        readings += 1
        return await route._read(services, scene.form.id, "http://base")

    told: asyncio.Queue[bytes] = asyncio.Queue()

    async def follow() -> None:
        opened = services.streams.open(scene.form.id, "http://base", read, known=None, client="one")
        async with opened as stream:
            while (text := await stream.next()) is not None:
                told.put_nowait(text)

    tasks = [asyncio.create_task(follow()) for _ in range(200)]
    for _ in tasks:
        assert b"event: form" in await told.get()
    statements: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        if statement != "BEGIN":  # of SQLite, which is told so
            statements.append(statement)

    began = time.monotonic()
    with heard(services.database, note):
        await asyncio.sleep(2)
    assert 1 <= len(statements) <= (time.monotonic() - began) / 0.8 + 1
    assert all("forms.version" in statement for statement in statements)
    readings = 0
    await scene.staged()
    for _ in tasks:
        assert b"event: upload" in await told.get()
    assert readings == 1
    services.streams.close()
    await asyncio.gather(*tasks)


async def test_a_replacement_is_told_with_what_it_replaces(
    scene: Scene, services: Services
) -> None:
    old = await scene.stored()
    read = partial(route._read, services, scene.form.id, "http://base")
    opened = partial(services.streams.open, scene.form.id, "http://base", read, client="")
    async with opened(known=scene.form.version) as stream:
        assert (await stream.next() or b"").count(b"event: upload") == 1
        new = await scene.claimed(await scene.staged())
        await scene.report(stored(new))
        told = b""
        while b'"replaced"' not in told or b'"stored"' not in told:
            told += await stream.next() or b""
    row = await services.database.scan(uploads.get, old.id)
    assert row
    assert row.status is UploadStatus.REPLACED
    assert old.id.encode() in told
    assert new.upload_id.encode() in told
