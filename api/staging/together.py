"""One call in a thread for all who wait for it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from api.staging.space import volume_problem

T = TypeVar("T")


class Together(Generic[T]):
    """One call for all who wait for it: it began after each of them asked."""

    def __init__(self, call: Callable[[], Awaitable[T]]) -> None:
        self._call = call
        self._waiting: list[asyncio.Future[T]] = []
        self._working: asyncio.Task[None] | None = None

    async def done(self) -> T:
        """What the call returns. Raises `Problem` when the volume failed."""
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work())
        return await answer

    async def _work(self) -> None:
        while self._waiting:
            waiting, self._waiting = self._waiting, []
            try:
                result = await self._call()
            except Exception as error:  # noqa: BLE001 - whatever it is, each is told
                waiting += self._waiting  # what it failed on may be theirs, and isn't tried again
                self._waiting = []
                for each in waiting:
                    if not each.done():  # it may be cancelled
                        each.set_exception(_as_told(error))
            else:
                for each in waiting:
                    if not each.done():
                        each.set_result(result)


def _as_told(error: Exception) -> Exception:
    return volume_problem(error) if isinstance(error, OSError) else error
