"""The staging volume: the only file-system code of the api.

A file is written under `incoming/`, made durable, and renamed into `staged/`, where the worker
reads it. Both lie on the same volume, so that the rename is atomic. Durable means: the data was
fsynced before the rename and the folder after it; only then may a transaction name the file.
"""

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from io import FileIO
from pathlib import Path
from typing import TypeVar

import structlog

from api.settings.settings import SMALL
from api.staging.file_calls import fsync_folder, link, unlinked
from api.staging.folder_pass import FolderPass
from api.staging.folder_sync import FolderSync
from api.staging.folders import INCOMING, QUARANTINE, SEGMENTS
from api.staging.space import Space, volume_problem
from api.staging.together import Together
from api.staging.writer import Writer
from shared.volume import MARKER, STAGED

FOLDERS = (INCOMING, SEGMENTS, STAGED, QUARANTINE)
GATHERED = 8 * 1024 * 1024
"""What all bodies together may hold until it is written and hashed; beyond it batches are small,
and each is hashed before the next one."""
BULK = 2
"""Threads for what large bodies bring, so that one of these is written while it is hashed. More of
them would take the processor from the loop, which has somebody waiting for each thing it does."""
NICER = 5
"""What those are nicer by, as `nice` has it."""
READ = 128 * 1024
"""Bytes of a file that is read again."""
MARKER_BYTES = 4096
"""Far more than a marker has: one that has more says something else."""

log = structlog.get_logger()
T = TypeVar("T")


class Staging:
    """The volume below `root`. Blocking calls run in threads of its own.

    A file of up to `small` bytes is gathered whole and put on the volume by one call, its file
    opened no earlier: most of what people send is small, and each call costs a hop to a thread.
    """

    def __init__(self, root: Path, space: Space, *, small: int = SMALL, threads: int = 4) -> None:
        self.root = root
        self.space = space
        self.small = small
        self._passes = {name: FolderPass(root / name) for name in FOLDERS}
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="staging")
        self._bulk = ThreadPoolExecutor(BULK, thread_name_prefix="bulk", initializer=_give_way)
        self._syncs = {name: FolderSync(root / name, self.in_thread) for name in (SEGMENTS, STAGED)}
        self._marker = Together(lambda: self.run(_text_of, root / MARKER))
        self._gathered = 0
        self._counting = threading.Lock()

    def prepare(self) -> None:
        """Make the folders. Raises `OSError` when the volume can't be written."""
        for folder in FOLDERS:
            (self.root / folder).mkdir(parents=True, exist_ok=True)

    def close(self) -> None:
        """Wait for what is under way on the volume; what hasn't begun is not done."""
        for threads in (self._bulk, self._threads):
            threads.shutdown(wait=True, cancel_futures=True)

    def open(self, name: str) -> Writer:
        """A file to be received. Nothing is on the volume yet."""
        return Writer(self, name)

    def gather(self, change: int) -> bool:
        """Count so many bytes more, or fewer, that bodies hold in memory; returns whether that is
        still within what all of them may. In any thread."""
        with self._counting:
            self._gathered += change
            return self._gathered <= GATHERED

    async def sync(self, folder: str = STAGED) -> None:
        """Make the names of staged files durable, or those of segments. Raises `Problem` as `run`
        does."""
        await self._syncs[folder].done()

    async def delete(self, name: str) -> None:
        """Take a file off the volume; it may be gone already."""
        await self.run((self.root / STAGED / name).unlink, missing_ok=True)

    async def delete_all(self, names: Collection[str], folder: str = STAGED) -> list[str]:
        """Take files off the volume; returns those that are gone now. One that can't be unlinked
        is logged and doesn't keep the others."""

        def unlink_each() -> list[str]:
            return [name for name in names if unlinked(self.root / folder / name)]

        return await self.run(unlink_each)

    async def link(self, name: str, to: str) -> bool:
        """Give a staged file a second name, durably; False when it is gone. Either name stays
        whatever becomes of the other. Where the volume knows no links it is copied."""
        return await self.run(link, self.root, name, to)

    async def read(self, name: str) -> AsyncIterator[bytes] | None:
        """The contents of a staged file in batches, to their end even if it is unlinked meanwhile;
        None when it is gone."""

        def opened() -> FileIO | None:
            with contextlib.suppress(FileNotFoundError):
                return (self.root / STAGED / name).open("rb", buffering=0)
            return None

        file = await self.run(opened)
        return self._batches(file) if file else None

    async def _batches(self, file: FileIO) -> AsyncIterator[bytes]:
        with file:
            while data := await self.run(file.read, READ):
                yield data

    async def exists(self, name: str) -> bool:
        """Whether the file is staged. Raises `Problem` as `run` does."""
        return await self.run((self.root / STAGED / name).exists)

    async def quarantine(self, name: str) -> None:
        """Move a file without a record out of the way, to be looked at and later deleted."""

        def move() -> None:
            target = self.root / QUARANTINE / name
            with contextlib.suppress(FileNotFoundError):  # another replica was quicker
                (self.root / STAGED / name).replace(target)
                os.utime(target)  # its time there starts now

        await self.run(move)

    async def next_older_than(self, folder: str, seconds: float) -> list[str]:
        """Names of some files of a folder that nobody has touched for so long; the next call goes
        on behind them, and starts anew after the last."""
        return await self.run(self._passes[folder].next_older_than, seconds)

    async def drop(self, folder: str, name: str) -> None:
        """Take a file off one of the folders; it may be gone already."""
        await self.run((self.root / folder / name).unlink, missing_ok=True)

    async def read_marker(self) -> str | None:
        """The volume's id as its marker file says it now; None without one."""
        return await self._marker.done()

    async def write_marker(self, volume_id: str) -> None:
        """Make the volume this one, durably; the marker is whole or not there."""

        def write() -> None:
            temporary = self.root / f"{MARKER}.{volume_id}.{os.getpid()}.{id(write)}"
            with temporary.open("w") as file:
                file.write(volume_id)
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(self.root / MARKER)
            fsync_folder(self.root)

        await self.run(write)

    async def run(self, call: Callable[..., T], *args: object, **kwargs: object) -> T:
        """Call in a thread; errors of the volume become `Problem`s (507 or 503)."""
        try:
            return await self.in_thread(call, *args, **kwargs)
        except OSError as error:
            raise volume_problem(error) from error

    def start(self, step: Callable[[], None], *, bulk: bool) -> "Future[None]":
        """Have a thread do `step`, which raises nothing; in any thread. Much to do gives way to
        what is quick. See `Lane` for what comes of it once this is closed."""
        return (self._bulk if bulk else self._threads).submit(step)

    def in_thread(
        self, call: Callable[..., T], *args: object, **kwargs: object
    ) -> asyncio.Future[T]:
        """Call in a thread, which has begun when this returns. The future raises whatever it
        raises."""
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._threads, partial(call, *args, **kwargs))


def _give_way() -> None:
    """Have this thread give way to the others of the process, and to nobody else's where each
    service has its control group."""
    if sys.platform == "linux":  # elsewhere it would be the whole process
        os.nice(NICER)


def _text_of(path: Path) -> str | None:
    """Of a marker, which is short; None where there is none, or no text."""
    try:
        with path.open("rb", buffering=0) as file:
            return file.read(MARKER_BYTES).decode().strip()
    except (OSError, ValueError):  # ValueError: whatever it holds, it is no text
        return None
