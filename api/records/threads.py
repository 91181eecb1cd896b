"""Threads for calls that wait for the disk or for a lock.

The standard library's cost the loop three times as much for each call: a future with a lock of its
own, which is chained to the loop's, and a wake-up of the loop each. An upload has three or four.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


class _Call(NamedTuple):
    future: asyncio.Future[Any]
    call: Callable[[], Any]


class Threads:
    """So many threads, which begin with the first call. Of one loop at a time."""

    def __init__(self, number: int, name: str) -> None:
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}_{each}", daemon=True)
            for each in range(number)
        ]
        self._waiting: SimpleQueue[_Call | None] = SimpleQueue()
        self._done: deque[tuple[asyncio.Future[Any], Any, BaseException | None]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_called = False
        """The loop is to look what is done, and hasn't yet."""
        self._is_closed = False

    def call(self, call: Callable[[], T]) -> asyncio.Future[T]:
        """Carry it out in a thread. The future has what it returns or raises; who cancels it before
        a thread is free takes the call back."""
        if self._is_closed:
            raise RuntimeError("these threads have ended")
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            if self._loop is None:
                for each in self._threads:
                    each.start()
            self._loop, self._is_called = loop, False
        future: asyncio.Future[T] = loop.create_future()
        self._waiting.put(_Call(future, call))
        return future

    def close(self) -> None:
        """Wait for what is under way; what hasn't begun is not done."""
        self._is_closed = True
        with suppress(Empty):
            while taken := self._waiting.get_nowait():
                taken.future.cancel()
        for _ in self._threads:
            self._waiting.put(None)
        for each in self._threads:
            if each.is_alive():
                each.join()

    def _work(self) -> None:
        while (taken := self._waiting.get()) is not None:
            self._carry_out(*taken)
            del taken  # which may hold a whole file, until the next call comes

    def _carry_out(self, future: asyncio.Future[Any], call: Callable[[], Any]) -> None:
        if future.cancelled():
            return
        try:
            self._done.append((future, call(), None))
        except BaseException as error:  # noqa: BLE001 - it is told to who waits for the call
            self._done.append((future, None, error))
        if not self._is_called and self._loop:
            self._is_called = True  # of two that see it unset at once, one calls for nothing
            with suppress(RuntimeError):  # the loop has ended, and all who waited with it
                self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._is_called = False  # before looking: what is done from now on calls again
        while self._done:
            future, result, error = self._done.popleft()
            if future.done():  # it was cancelled
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
