"""Places of putting: what waits for the store has none, and is bounded."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import pytest

from shared.causes import Cause
from shared.status import StoreState
from worker.breaker import Breaker
from worker.errors import KeyTaken, TransientError
from worker.storing import PUT_TRIES, Storing


def storing(puts: int = 2, uploads: int = 10, scratch_bytes: int = 1000) -> Storing:
    return Storing(Breaker(), puts=puts, uploads=uploads, scratch_bytes=scratch_bytes)


def away(one: Storing) -> None:
    one.breaker.trip(StoreState.AWAY, "gone")


class Puts:
    """Puts that last until they are let go; how many are under way at most."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.running = self.most = self.done = 0

    async def __call__(self) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.go.wait()
        finally:
            self.running -= 1
        self.done += 1


@asynccontextmanager
async def under_way(
    *many: Coroutine[None, None, None],
) -> AsyncIterator[list["asyncio.Task[None]"]]:
    tasks = [asyncio.create_task(each) for each in many]
    await settle()
    try:
        yield tasks
    finally:
        for each in tasks:
            each.cancel()
        await asyncio.wait(tasks)


async def settle() -> None:
    for _ in range(30):
        await asyncio.sleep(0)


async def test_no_more_are_put_at_once_than_there_are_places() -> None:
    one, put = storing(puts=2), Puts()
    async with under_way(*(one.put(put) for _ in range(5))) as tasks:
        assert put.running == 2
        put.go.set()
        await asyncio.gather(*tasks)
    assert (put.most, put.done) == (2, 5)


async def test_nothing_is_put_while_the_store_is_away_and_all_when_it_is_back() -> None:
    one, put = storing(puts=2), Puts()
    put.go.set()
    away(one)
    async with under_way(*(one.put(put) for _ in range(5))) as tasks:
        assert put.done == 0
        one.breaker.close()
        await asyncio.gather(*tasks)
    assert put.done == 5


async def test_a_put_that_the_store_failed_waits_for_it_and_is_tried_again() -> None:
    one = storing()
    tried = []

    async def put() -> None:
        tried.append(one.breaker.is_open)
        if len(tried) == 1:
            away(one)
            raise TransientError(Cause.STORE, counted=False)

    async with under_way(one.put(put)) as (task,):
        assert not task.done()
        one.breaker.close()
        await task
    assert tried == [False, False]


async def test_an_upload_that_the_store_never_takes_is_given_back_after_some_tries() -> None:
    one = storing()
    tried = []

    async def put() -> None:
        tried.append(True)
        raise TransientError(Cause.STORE, counted=False)

    with pytest.raises(TransientError, match="store"):
        await one.put(put)
    assert len(tried) == PUT_TRIES


@pytest.mark.parametrize("error", [KeyTaken("a/b"), TransientError(Cause.VOLUME, counted=False)])
async def test_what_is_one_uploads_own_matter_is_not_tried_again(error: TransientError) -> None:
    tried = []

    async def put() -> None:
        tried.append(True)
        raise error

    with pytest.raises(type(error)):
        await storing().put(put)
    assert tried == [True]


@pytest.mark.parametrize("bounds", [{"uploads": 2}, {"scratch_bytes": 250}])
async def test_without_room_a_checked_upload_waits_while_the_store_is_there(
    bounds: dict[str, int],
) -> None:
    one = storing(**bounds)
    async with AsyncExitStack() as others:
        for _ in range(2):
            await others.enter_async_context(one.room(100))
        async with under_way(hold(one.room, 100)) as (task,):
            assert not task.done()
            await others.aclose()
            await settle()
            assert one.uploads == 1


@pytest.mark.parametrize("bounds", [{"uploads": 2}, {"scratch_bytes": 250}])
async def test_without_room_it_is_given_back_as_soon_as_the_store_is_away(
    bounds: dict[str, int],
) -> None:
    one = storing(**bounds)
    async with one.room(100), one.room(100):
        async with under_way(hold(one.room, 100), hold(one.room, 100)) as tasks:
            assert not any(task.done() for task in tasks)
            away(one)
            errors = await asyncio.gather(*tasks, return_exceptions=True)
        assert [getattr(error, "cause", None) for error in errors] == ["store", "store"]
        assert not any(getattr(error, "counted", True) for error in errors)
        assert one.uploads == 2


async def test_a_file_larger_than_all_the_room_gets_it_when_it_is_empty() -> None:
    one = storing(scratch_bytes=100)
    async with one.room(0), one.room(500):
        assert one.uploads == 2


async def test_a_large_file_is_not_overtaken_by_small_ones_for_ever() -> None:
    one = storing(scratch_bytes=100)
    async with AsyncExitStack() as first:
        await first.enter_async_context(one.room(60))
        async with under_way(hold(one.room, 90), hold(one.room, 10)) as (large, small):
            assert not large.done()
            assert one.uploads == 1, "the small one came later"
            await first.aclose()
            await settle()
            assert one.uploads == 2
            assert not small.done()


async def test_a_stop_hands_on_what_has_no_place_and_lets_go_on_what_has_one() -> None:
    one, put = storing(puts=2), Puts()
    async with under_way(*(one.put(put) for _ in range(5))) as tasks:
        one.stop()
        await settle()
        ended = [task for task in tasks if task.done()]
        assert [getattr(task.exception(), "cause", None) for task in ended] == ["shutdown"] * 3
        put.go.set()
        await settle()
    assert put.done == 2


async def hold(room: Callable[[int], AbstractAsyncContextManager[None]], size: int) -> None:
    async with room(size):
        await asyncio.Event().wait()
