"""Whose turn it is to write to a resumable upload."""

import asyncio

import pytest

from api.receive import turns
from api.receive.turns import Turn, Turns
from api.texts.errors import Problem


async def test_all_who_want_the_turn_of_a_stalled_writer_wait_for_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns, "STALLED_SECONDS", 0.0)
    of_uploads = Turns()
    writes, ends, may_end = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def stalled() -> None:
        async with of_uploads.taken("upl") as turn, turn.reading():
            try:
                writes.set()
                await asyncio.Event().wait()
            finally:
                ends.set()
                await may_end.wait()  # as what came is made durable

    async def wanting() -> None:
        async with of_uploads.taken("upl"):
            asked.append(None)

    asked: list[None] = []
    first = asyncio.create_task(stalled())
    await writes.wait()
    one = asyncio.create_task(wanting())
    await ends.wait()
    another = asyncio.create_task(wanting())
    for _ in range(20):
        await asyncio.sleep(0)  # it asks too
    may_end.set()
    await asyncio.gather(one, another)
    assert len(asked) == 2
    with pytest.raises(Problem, match="upload-locked"):
        await first


async def test_a_writer_that_bytes_come_from_meanwhile_keeps_its_turn() -> None:
    of_uploads, may_end = Turns(), asyncio.Event()
    begun: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()

    async def alive() -> None:
        async with of_uploads.taken("upl") as mine, mine.reading():
            begun.set_result(mine)
            await may_end.wait()

    first = asyncio.create_task(alive())
    turn = await begun
    asked = asyncio.create_task(of_uploads.free("upl"))
    await asyncio.sleep(0)
    turn.came(1)
    with pytest.raises(Problem, match="upload-locked"):
        await asked
    may_end.set()
    await first


async def test_who_waits_for_a_writer_that_does_not_end_is_told_to_come_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns, "STALLED_SECONDS", 0.0)
    monkeypatch.setattr(turns, "END_SECONDS", 0.01)
    of_uploads = Turns()
    async with of_uploads.taken("upl"):
        with pytest.raises(Problem, match="upload-locked"):
            async with asyncio.timeout(5):
                await of_uploads.free("upl")
