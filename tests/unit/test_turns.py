"""Whose turn it is to write to a resumable upload."""

import asyncio

import pytest

from api.receive import turns
from api.receive.turns import Turns
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
