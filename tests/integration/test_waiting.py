"""Requests that wait, on real processes: told by any replica, let go at once, nearly free."""

import asyncio
import concurrent.futures
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.records import forms
from api.services import Services
from tests.support.api_process import ApiProcess
from tests.support.client import FormClient
from tests.support.plans import heard
from tests.support.services import Scene

WAIT = 20
SOON = WAIT / 4
"""Far less than the whole wait, on a machine that is busy."""


@pytest.fixture
def replicas(tmp_path: Path, database_url: str) -> Iterator[list[ApiProcess]]:
    shared = {"database_url": database_url, "staging_dir": tmp_path / "volume"}
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    with (
        ApiProcess(tmp_path / "first", **shared) as first,
        ApiProcess(tmp_path / "second", **shared) as second,
    ):
        yield [first, second]


def opened(api: ApiProcess, form: FormClient, seconds: int = WAIT) -> socket.socket:
    """A request that waits for the form to change."""
    etag = form.http.get(f"{api.url}{form.path}").headers["etag"]
    connection = socket.create_connection(("127.0.0.1", api.port), timeout=WAIT + 10)
    connection.sendall(
        f"GET {form.path} HTTP/1.1\r\nHost: lo\r\nAuthorization: Bearer {form.token}\r\n"
        f"Prefer: wait={seconds}\r\nIf-None-Match: {etag}\r\n\r\n".encode()
    )
    return connection


def whole(connection: socket.socket) -> bytes:
    """An answer with a JSON object, which may come in pieces."""
    answer = b""
    while not answer.endswith(b"}"):
        piece = connection.recv(65536)
        assert piece, answer
        answer += piece
    return answer


def answers_within(connection: socket.socket, seconds: float) -> bool:
    connection.settimeout(seconds)
    try:
        return bool(connection.recv(1, socket.MSG_PEEK))
    except TimeoutError:
        return False
    finally:
        connection.settimeout(WAIT + 10)


def test_whoever_waits_at_one_replica_hears_of_a_commit_at_another(
    replicas: list[ApiProcess],
) -> None:
    here, there = replicas
    form = FormClient(here.url, "acceptance")
    with opened(here, form) as waiting:
        assert not answers_within(waiting, 1.5)
        form.http.patch(f"{there.url}{form.path}", json={"note": "there"})
        began = time.monotonic()
        answer = whole(waiting)
        assert time.monotonic() - began < SOON
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b'"there"' in answer


def test_whoever_waits_for_a_form_is_told_that_another_replica_purged_it(
    replicas: list[ApiProcess],
) -> None:
    here, there = replicas
    form = FormClient(here.url, "acceptance")
    with opened(here, form) as waiting:
        assert not answers_within(waiting, 0.5)
        assert form.http.delete(f"{there.url}{form.path}").status_code == 204
        began = time.monotonic()
        assert waiting.recv(65536).startswith(b"HTTP/1.1 404 ")
        assert time.monotonic() - began < SOON


def test_of_many_that_wait_for_one_form_all_are_told(tmp_path: Path) -> None:
    with ApiProcess(tmp_path) as api:
        form = FormClient(api.url, "acceptance")
        waiting = [opened(api, form) for _ in range(50)]
        assert not answers_within(waiting[-1], 0.5)
        form.http.patch(form.path, json={"note": "all"})
        for connection in waiting:
            with connection:
                connection.settimeout(WAIT)
                assert b'"all"' in whole(connection)


def test_a_client_that_goes_away_no_longer_counts_as_waiting(tmp_path: Path) -> None:
    with ApiProcess(tmp_path, max_waiting_per_client=2) as api:
        form = FormClient(api.url, "acceptance")
        waiting = [opened(api, form) for _ in range(2)]
        assert not answers_within(waiting[-1], 1)
        with opened(api, form) as beyond:
            assert answers_within(beyond, SOON), "as though its time were over"
            assert beyond.recv(65536).startswith(b"HTTP/1.1 304 ")
        waiting.pop().close()
        until = time.monotonic() + SOON
        while True:
            with opened(api, form) as again:
                if not answers_within(again, 1):
                    break
            assert time.monotonic() < until, "nobody noticed that it left"
        waiting.pop().close()


def test_at_a_stop_who_waits_is_told_how_things_stand(tmp_path: Path) -> None:
    with ApiProcess(tmp_path, shutdown_seconds=15) as api:
        form = FormClient(api.url, "acceptance")
        upload = form.upload("tiny", bytes(100))
        with concurrent.futures.ThreadPoolExecutor() as pool:
            path, headers = f"/v1/uploads/{upload['id']}", {"Prefer": f"wait={WAIT}"}
            asked = pool.submit(form.http.get, path, headers=headers)
            api.until_waiting(1)
            began = time.monotonic()
            api.terminate()
            answer = asked.result()
            assert time.monotonic() - began < SOON
        assert answer.status_code == 200
        assert answer.json()["status"] == "staged"
        assert api.ended(10) == 0


async def test_two_hundred_that_wait_cost_about_one_statement_a_second(
    scene: Scene, services: Services
) -> None:
    statements: list[str] = []
    have_read: asyncio.Queue[None] = asyncio.Queue()
    waiting = [asyncio.create_task(_waits(scene, services, have_read)) for _ in range(200)]
    for _ in waiting:
        await have_read.get()
    assert len(services.waiters) == len(waiting)

    def note(_: object, __: object, statement: str, *___: object) -> None:
        if statement != "BEGIN":  # of SQLite, which is told so
            statements.append(statement)

    began = time.monotonic()
    with heard(services.database, note):
        await asyncio.sleep(4)
    seconds = time.monotonic() - began
    assert 1 <= len(statements) <= seconds + 1
    assert all("forms.version" in statement for statement in statements)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert not len(services.waiters)


async def _waits(scene: Scene, services: Services, has_read: asyncio.Queue[None]) -> None:
    async def read() -> tuple[int, int]:
        async with services.database.read() as conn:
            version = (await forms.versions(conn, [scene.form.id]))[scene.form.id]
        has_read.put_nowait(None)
        return version, version

    await services.waiters.wait_until(scene.form.id, read, lambda _: False, 60, client="")


@pytest.mark.parametrize("count", [0, 1, 3, 512, 513, 1200])
async def test_versions_of_any_number_of_forms_are_read(
    scene: Scene, services: Services, count: int
) -> None:
    ids = [f"frm_{number}" for number in range(count)] + [scene.form.id]
    async with services.database.read() as conn:
        assert await forms.versions(conn, ids) == {scene.form.id: scene.form.version}
