"""Requests that wait for a form to change, and cost next to nothing while they do: the lookout
wakes them, and they read only then."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from api.news.lookout import Lookout, Watch
from api.news.shares import Shares
from api.receive.body import ClientGone

T = TypeVar("T")


@dataclass(eq=False, slots=True)
class _Waiter:
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    changed: bool = False

    def wake(self) -> None:
        self.changed = True
        self.woken.set()


class Waiters:
    """`shares` bound how many wait at a time."""

    def __init__(self, lookout: Lookout, shares: Shares | None = None) -> None:
        self._lookout = lookout
        self._shares = shares or Shares()
        self._waiting: set[_Waiter] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    def close(self) -> None:
        """Have all answered as though their time were over, and nobody wait any more."""
        self._closed = True
        for waiter in self._waiting:
            waiter.woken.set()

    async def wait_until(
        self,
        form_id: str,
        read: Callable[[], Awaitable[tuple[T, int]]],
        done: Callable[[T], bool],
        seconds: float,
        *,
        client: str = "",
        left: Callable[[], Awaitable[None]] | None = None,
    ) -> T:
        """What `read` says once `done` holds for it, or after `seconds`.

        `read` also says the form's version, one that is no newer than the rest of what it read.
        Where too many wait already it is read once, as though the time were over. `left` ends when
        the `client` has gone; then `ClientGone` is raised. Raises what `read` raises.
        """
        full = self._shares.all_taken() or self._shares.has_its_share(client)
        if seconds <= 0 or self._closed or full:
            return (await read())[0]
        waiter = _Waiter()
        watch = self._lookout.watch(form_id, waiter.wake)
        self._shares.enter(client)
        self._waiting.add(waiter)
        try:
            return await self._wait(waiter, watch, read, done, seconds, left)
        finally:
            self._waiting.discard(waiter)
            self._shares.leave(client)
            self._lookout.unwatch(watch)

    async def _wait(
        self,
        waiter: _Waiter,
        watch: Watch,
        read: Callable[[], Awaitable[tuple[T, int]]],
        done: Callable[[T], bool],
        seconds: float,
        left: Callable[[], Awaitable[None]] | None,
    ) -> T:
        async def fresh() -> tuple[T, int]:
            waiter.woken.clear()
            waiter.changed = False
            return await read()

        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        value = await self._lookout.read(watch, fresh)
        if done(value):
            return value
        timer = loop.call_at(end, waiter.woken.set)
        leaving = asyncio.ensure_future(left()) if left else None
        if leaving:
            leaving.add_done_callback(lambda _: waiter.woken.set())
        try:
            while loop.time() < end and not self._closed:
                if not (leaving and leaving.done()):  # it may have left while it read
                    await waiter.woken.wait()
                if leaving and leaving.done():
                    raise ClientGone
                if not waiter.changed and self._lookout.sees():
                    break
                value = await self._lookout.read(watch, fresh)
                if done(value):
                    break
            return value
        finally:
            timer.cancel()
            if leaving:
                leaving.cancel()
