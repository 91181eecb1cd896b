"""Faulty links for tests that don't run in a loop: a thread of their own carries the bytes."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from typing import TypeVar

from dev.faulty_link import Fault, FaultyLink

T = TypeVar("T")


class Link:
    """One link, from the tests' thread. `with link(status=503):` is a fault for that long."""

    def __init__(self, loop: asyncio.AbstractEventLoop, link: FaultyLink) -> None:
        self._loop = loop
        self._link = link
        self.port = link.port

    @contextmanager
    def __call__(self, **fault: object) -> Iterator["Link"]:
        self._call(lambda: self._link.set(replace(Fault(), **fault)))  # type: ignore[arg-type] # checked by Fault
        try:
            yield self
        finally:
            self._call(self._link.heal)

    def cut(self) -> None:
        """Reset what is connected now."""
        self._call(self._link.cut)

    @property
    def hits(self) -> int:
        return self._link.hits

    @property
    def carried(self) -> int:
        return self._link.carried

    def _call(self, what: Callable[[], T]) -> T:
        async def run() -> T:
            return what()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(10)


@contextmanager
def links(**upstream: int) -> Iterator[dict[str, Link]]:
    """A link to each of these ports, by name."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="links", daemon=True)
    thread.start()
    opened = AsyncExitStack()

    async def open_all() -> dict[str, Link]:
        return {
            name: Link(loop, await opened.enter_async_context(FaultyLink(port).open()))
            for name, port in upstream.items()
        }

    try:
        yield asyncio.run_coroutine_threadsafe(open_all(), loop).result(10)
    finally:
        asyncio.run_coroutine_threadsafe(opened.aclose(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
