"""Steps of one body, done one after the other in threads that others need too."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from api.staging.lane import TURN, Lane

MANY = 5 * TURN


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(3) as opened:
        yield opened


async def test_steps_are_done_in_the_order_in_which_they_are_put(
    threads: ThreadPoolExecutor,
) -> None:
    lane, order = Lane(threads.submit), list[int]()
    for number in range(MANY):
        lane.put(partial(order.append, number))
        if number % 7 == 0:
            await lane.done(lane.count)
    await lane.done(MANY)
    assert order == list(range(MANY))


async def test_one_is_waited_for_and_not_those_behind_it(threads: ThreadPoolExecutor) -> None:
    lane, go_on = Lane(threads.submit), threading.Event()
    lane.put(lambda: None)
    lane.put(go_on.wait)  # type: ignore[arg-type] # what it returns is of no interest
    await asyncio.wait_for(lane.done(1), 10)
    waiting = asyncio.create_task(lane.done(2))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    go_on.set()
    await asyncio.wait_for(waiting, 10)


async def test_steps_are_done_though_nobody_waits_any_more(threads: ThreadPoolExecutor) -> None:
    lane, go_on, order = Lane(threads.submit), threading.Event(), list[str]()

    def first() -> None:
        go_on.wait()
        order.append("first")

    lane.put(first)
    lane.put(partial(order.append, "second"))
    waiting = asyncio.create_task(lane.done(2))
    await asyncio.sleep(0)
    waiting.cancel()
    go_on.set()
    await asyncio.wait_for(lane.done(2), 10)
    assert order == ["first", "second"]


async def test_a_lane_that_always_has_steps_lets_others_have_its_thread() -> None:
    with ThreadPoolExecutor(1) as thread:
        busy, other = Lane(thread.submit), Lane(thread.submit)
        go_on, order = threading.Event(), list[str]()
        busy.put(go_on.wait)  # type: ignore[arg-type] # what it returns is of no interest
        for _ in range(MANY):
            busy.put(partial(order.append, "busy"))
        other.put(partial(order.append, "other"))
        go_on.set()
        await asyncio.wait_for(busy.done(busy.count), 10)
    assert order.index("other") < TURN


async def _ends_cancelled(waiting: "asyncio.Task[None]") -> bool:
    await asyncio.wait([waiting], timeout=10)
    return waiting.cancelled()


@pytest.mark.parametrize("before", [0, TURN], ids=["not begun", "in the middle"])
async def test_nobody_waits_for_what_no_thread_will_do(before: int) -> None:
    """A service that stops would wait for ever, with bodies of which something is still to come."""
    thread, go_on = ThreadPoolExecutor(1), threading.Event()
    lane, other = Lane(thread.submit), Lane(thread.submit)
    (lane if before else other).put(go_on.wait)  # type: ignore[arg-type] # what it returns is of no interest
    for _ in range(before + 1):
        lane.put(lambda: None)
    waiting = asyncio.create_task(lane.done(lane.count))
    await asyncio.sleep(0.05)
    thread.shutdown(wait=False, cancel_futures=True)
    go_on.set()
    assert await _ends_cancelled(waiting)
    lane.put(lambda: None)
    assert await _ends_cancelled(asyncio.create_task(lane.done(lane.count)))
