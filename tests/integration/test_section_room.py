"""A post of an HTML form is read to its end; what is kept of it is bounded."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.types import Message

from api.receive.body import Body
from api.receive.multipart import read_parts
from api.receive.sections import receive_section
from api.settings.pace import Pace
from api.staging.space import Space
from api.staging.staging import Staging

ROOM = 1_000


def body_of(*files: bytes) -> Body:
    parts = [
        b'--b\r\nContent-Disposition: form-data; name="f"; filename="%d.bin"\r\n\r\n' % number
        + file
        for number, file in enumerate(files)
    ]
    whole = b"\r\n".join([*parts, b"--b--\r\n"])

    async def pieces() -> AsyncIterator[Message]:
        for start in range(0, len(whole), 300):
            more = start + 300 < len(whole)
            yield {"type": "http.request", "body": whole[start : start + 300], "more_body": more}

    arriving = pieces()

    async def receive() -> Message:
        return await anext(arriving)

    request = Request({"type": "http", "method": "POST", "headers": []}, receive)
    return Body(request, limit=100_000, pace=Pace(idle_seconds=10, min_bytes_per_second=0))


def bytes_on(volume: Path) -> int:
    return sum(path.stat().st_size for path in volume.rglob("upl_*") if path.is_file())


async def test_files_for_which_no_room_is_left_are_dropped_and_those_after_them_kept(
    tmp_path: Path,
) -> None:
    staging = Staging(tmp_path, Space(tmp_path, min_free_bytes=0, min_free_inodes=0))
    staging.prepare()
    body = body_of(b"a" * 600, b"b" * 500, b"c" * 400)
    section = await receive_section(staging, read_parts(body, b"b"), lambda _: 600, ROOM)
    assert [(file.size, file.received is not None) for file in section.files] == [
        (600, True),
        (500, False),
        (400, True),
    ]
    assert bytes_on(tmp_path) == ROOM
    staging.close()


async def test_a_request_that_is_cancelled_while_its_files_are_finished_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging = Staging(tmp_path, Space(tmp_path, min_free_bytes=0, min_free_inodes=0))
    staging.prepare()
    sync, synced, held = Staging.sync, 0, asyncio.Event()

    async def first_only(self: Staging) -> None:
        nonlocal synced
        synced += 1
        if synced > 1:
            held.set()
            await asyncio.Event().wait()
        await sync(self)

    monkeypatch.setattr(Staging, "sync", first_only)
    events = read_parts(body_of(b"a" * 600, b"b" * 400), b"b")
    receiving = asyncio.create_task(receive_section(staging, events, lambda _: 600, ROOM))
    await held.wait()
    receiving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await receiving
    assert bytes_on(tmp_path) == 0
    staging.close()
