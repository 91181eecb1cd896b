"""One fsync of a folder for all who wait for it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from api.staging.file_calls import fsync_folder
from api.staging.space import volume_problem


class FolderSync:
    """One fsync of a folder for all who wait for it: it covers whoever renamed before it began."""

    def __init__(
        self, path: Path, in_thread: Callable[[Callable[[Path], None], Path], Awaitable[None]]
    ) -> None:
        """`in_thread` calls in a thread."""
        self._in_thread = in_thread
        self._path = path
        self._waiting: list[asyncio.Future[None]] = []
        self._working: asyncio.Task[None] | None = None

    async def done(self) -> None:
        """Raises `Problem` when the volume failed."""
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work())
        await answer

    async def _work(self) -> None:
        while self._waiting:
            waiting, self._waiting = self._waiting, []
            error: Exception | None = None
            try:
                await self._in_thread(fsync_folder, self._path)
            except Exception as failed:  # noqa: BLE001 - whatever it is, each is told
                error = failed
                waiting += self._waiting  # what it failed on may be theirs, and isn't tried again
                self._waiting = []
            for each in waiting:
                if each.done():  # cancelled
                    continue
                if isinstance(error, OSError):
                    each.set_exception(volume_problem(error))
                elif error:
                    each.set_exception(error)
                else:
                    each.set_result(None)
