"""The staging volume: the only file-system code of the api.

A file is written under `incoming/`, made durable, and renamed into `staged/`, where the worker
reads it. Both lie on the same volume, so that the rename is atomic. Durable means: the data was
fsynced before the rename and the folder after it; only then may a transaction name the file.
"""

import asyncio
import contextlib
import errno
import hashlib
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from api.errors import Problem
from shared.volume import MARKER, STAGED

BATCH = 128 * 1024
"""Bytes gathered for one write: large enough that the hop to a thread is cheap, small enough that
fifty uploads at once stay within a few MiB."""
INCOMING, QUARANTINE = "incoming", "quarantine"
_FULL = {errno.ENOSPC, errno.EDQUOT}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Staged:
    """A file that is durable on the volume."""

    name: str
    size: int
    sha256: str


class Staging:
    """The volume below `root`. Blocking calls run in threads of its own."""

    def __init__(self, root: Path, *, min_free_bytes: int, threads: int = 4) -> None:
        self.root = root
        self._min_free = min_free_bytes
        self._reserved = 0
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="staging")

    def prepare(self) -> None:
        """Make the folders. Raises `OSError` when the volume can't be written."""
        for folder in (INCOMING, STAGED, QUARANTINE):
            (self.root / folder).mkdir(parents=True, exist_ok=True)

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)

    @contextmanager
    def reserve(self, declared: int) -> Iterator[None]:
        """Hold room for a body of `declared` bytes; raises `Problem` storage-full (507)."""
        stat = os.statvfs(self.root)
        free = stat.f_bavail * stat.f_frsize - self._reserved
        if free < self._min_free + declared or (stat.f_files and not stat.f_favail):
            raise Problem("storage-full", headers={"Retry-After": "60"})
        self._reserved += declared
        try:
            yield
        finally:
            self._reserved -= declared

    def has_room(self) -> bool:
        try:
            with self.reserve(0):
                return True
        except (Problem, OSError):
            return False

    async def open(self, name: str) -> "Writer":
        path = self.root / INCOMING / name
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        fd = await self.run(os.open, path, flags, 0o640)
        return Writer(self, name, fd)

    async def delete(self, name: str) -> None:
        """Take a file off the volume; it may be gone already."""
        await self.run((self.root / STAGED / name).unlink, missing_ok=True)

    async def exists(self, name: str) -> bool:
        return await self.run((self.root / STAGED / name).exists)

    async def quarantine(self, name: str) -> None:
        """Move a file without a record out of the way, to be looked at and later deleted."""

        def move() -> None:
            target = self.root / QUARANTINE / name
            with contextlib.suppress(FileNotFoundError):  # another replica was quicker
                (self.root / STAGED / name).replace(target)
                os.utime(target)  # its time there starts now

        await self.run(move)

    async def older_than(self, folder: str, seconds: float) -> AsyncIterator[str]:
        """Names of the files of a folder that nobody has touched for so long."""

        def scan() -> list[str]:
            before = time.time() - seconds
            return [path.name for path in (self.root / folder).iterdir() if changed(path) < before]

        def changed(path: Path) -> float:
            try:
                return path.stat().st_mtime
            except FileNotFoundError:  # gone since it was listed
                return time.time()

        for name in await self.run(scan):
            yield name

    async def drop(self, folder: str, name: str) -> None:
        await self.run((self.root / folder / name).unlink, missing_ok=True)

    async def read_marker(self) -> str | None:
        """The volume's id as its marker file says it; None without one."""

        def read() -> str | None:
            try:
                return (self.root / MARKER).read_text().strip()
            except (OSError, ValueError):  # ValueError: whatever it holds, it is no text
                return None

        return await self.run(read)

    async def write_marker(self, volume_id: str) -> None:
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
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, lambda: call(*args, **kwargs))
        except OSError as error:
            raise volume_problem(error) from error


class Writer:
    """Writes one file and hashes it beside the write, one batch behind what is received."""

    def __init__(self, staging: Staging, name: str, fd: int) -> None:
        self.name = name
        self.size = 0
        self._staging = staging
        self._fd: int | None = fd
        self._hash = hashlib.sha256()
        self._batch: list[bytes | memoryview] = []
        self._gathered = 0
        self._under_way: asyncio.Task[None] | None = None

    async def write(self, data: bytes | memoryview) -> None:
        """Take `data`, which must not change afterwards."""
        self._batch.append(data)
        self._gathered += len(data)
        self.size += len(data)
        if self._gathered >= BATCH:
            await self._flush()

    async def finish(self) -> Staged:
        """Make the file durable under `staged/`.

        Raises `Problem` when the volume can't: then the file is to be discarded and received
        anew. An fsync is never repeated, for the kernel may have dropped the pages it failed on.
        """
        await self._flush()
        await self._settle()
        await self._staging.run(self._publish)
        return Staged(self.name, self.size, self._hash.hexdigest())

    async def discard(self) -> None:
        """Take back what was written, unless it was finished."""
        if self._under_way:
            await asyncio.wait([self._under_way])
        if self._fd is not None:
            fd, self._fd = self._fd, None
            await self._staging.run(os.close, fd)
            await self._staging.drop(INCOMING, self.name)

    async def _flush(self) -> None:
        await self._settle()
        batch, self._batch, self._gathered = self._batch, [], 0
        if batch:
            self._under_way = asyncio.ensure_future(self._staging.run(self._append, batch))

    async def _settle(self) -> None:
        if self._under_way:
            under_way, self._under_way = self._under_way, None
            try:
                await asyncio.shield(under_way)
            except asyncio.CancelledError:
                self._under_way = under_way  # a thread still writes: discard() waits for it
                raise

    def _append(self, batch: list[bytes | memoryview]) -> None:
        assert self._fd is not None  # noqa: S101 - for the type checker
        for data in batch:
            view = memoryview(data)
            while view:
                view = view[os.write(self._fd, view) :]
            self._hash.update(data)

    def _publish(self) -> None:
        assert self._fd is not None  # noqa: S101 - for the type checker
        root = self._staging.root
        temporary = root / INCOMING / self.name
        fd, self._fd = self._fd, None
        try:
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
            # Names are 128 random bits: there is nothing to replace.
            temporary.rename(root / STAGED / self.name)
            fsync_folder(root / STAGED)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise


def fsync_folder(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def volume_problem(error: OSError) -> Problem:
    if error.errno in _FULL:
        return Problem("storage-full", headers={"Retry-After": "60"})
    return Problem("unavailable", headers={"Retry-After": "5"})
