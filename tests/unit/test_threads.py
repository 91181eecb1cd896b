"""Calls in threads: what becomes of each, and of the threads."""

import asyncio
import threading
import weakref
from collections.abc import AsyncIterator
from functools import partial

import pytest

from api.records.threads import Threads


@pytest.fixture
async def one() -> AsyncIterator[Threads]:
    threads = Threads(1, "test")
    yield threads
    threads.close()


async def test_a_call_is_carried_out_elsewhere_and_told_what_it_returns_or_raises(
    one: Threads,
) -> None:
    assert await one.call(threading.get_ident) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        await one.call(lambda: 1 // 0)
    assert await one.call(lambda: "goes on") == "goes on"


async def test_however_many_end_at_once_each_is_told_its_own() -> None:
    threads = Threads(4, "test")
    told = await asyncio.gather(*(threads.call(lambda n=n: n) for n in range(2000)))  # type: ignore[misc] # mypy can't infer the default
    threads.close()
    assert told == list(range(2000))


async def test_who_is_cancelled_before_a_thread_is_free_takes_the_call_back(one: Threads) -> None:
    go_on, called = threading.Event(), []
    first = one.call(go_on.wait)
    second = one.call(lambda: called.append("second"))
    second.cancel()
    go_on.set()
    assert await first
    await one.call(lambda: called.append("third"))
    assert called == ["third"]


async def test_who_is_cancelled_meanwhile_is_told_nothing_and_the_call_goes_on(
    one: Threads,
) -> None:
    begun, go_on, called = threading.Event(), threading.Event(), []

    def long() -> None:
        begun.set()
        go_on.wait()
        called.append("to the end")

    waiting = one.call(long)
    while not begun.is_set():  # noqa: ASYNC110 - a thread's own bell
        await asyncio.sleep(0)
    waiting.cancel()
    go_on.set()
    await one.call(lambda: None)
    assert waiting.cancelled()
    assert called == ["to the end"]


async def test_the_end_waits_for_what_is_under_way_and_begins_nothing() -> None:
    threads, called = Threads(1, "test"), []
    begun, go_on = threading.Event(), threading.Event()

    def long() -> str:
        begun.set()
        go_on.wait()
        called.append("first")
        return "first"

    first = threads.call(long)
    second = threads.call(lambda: called.append("second"))
    while not begun.is_set():  # noqa: ASYNC110 - a thread's own bell
        await asyncio.sleep(0)
    asyncio.get_running_loop().call_later(0, go_on.set)
    closing = asyncio.create_task(asyncio.to_thread(threads.close))
    assert await first == "first"
    await closing
    with pytest.raises(asyncio.CancelledError):
        await second
    assert called == ["first"]
    with pytest.raises(RuntimeError, match="ended"):
        threads.call(lambda: None)


def test_they_serve_one_loop_after_another() -> None:
    threads = Threads(2, "test")

    async def asked() -> str:
        return await threads.call(lambda: "here")

    assert asyncio.run(asked()) == asyncio.run(asked()) == "here"
    threads.close()


async def test_what_a_call_had_is_let_go_when_it_is_over(one: Threads) -> None:
    class Held:
        pass

    held = Held()
    gone = threading.Event()
    weakref.finalize(held, gone.set)
    await one.call(partial(id, held))
    del held
    assert await asyncio.to_thread(gone.wait, 10)
