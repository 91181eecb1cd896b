"""One file on its way to the volume, durable in this order: its bytes are written and fsynced, it
is renamed
into `staged/`, and the folder is fsynced. Only then may a transaction name it."""

import asyncio
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from api.staging.file_calls import unlinked
from api.staging.folders import INCOMING
from shared.crash_points import reached
from shared.volume import STAGED

if TYPE_CHECKING:
    from api.staging.staging import Staging

log = structlog.get_logger()

BATCH = 128 * 1024
"""Bytes gathered for one write: large enough that the hop to a thread is cheap, small enough that
fifty uploads at once stay within a few MiB."""


PIECE = 256
"""What a piece takes up beside its bytes: a client may send two at a time."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A file that is durable on the volume."""

    name: str
    size: int
    sha256: str


class Writer:
    """Writes one file and hashes it beside the write, one batch behind what is received."""

    def __init__(self, staging: "Staging", name: str) -> None:
        self.name = name
        self.size = 0
        self._staging = staging
        self._fd: int | None = None
        self._path: Path | None = None
        """Of the file, as long as it is ours to take back."""
        self._hash = hashlib.sha256()
        self._batch: list[bytes | memoryview] = []
        self._gathered = 0
        self._under_way: asyncio.Task[None] | None = None
        self._is_large = False

    async def write(self, data: bytes | memoryview) -> None:
        """Take `data`, which must not change afterwards."""
        self._batch.append(data)
        self.size += len(data)
        held = len(data) + PIECE
        self._gathered += held
        has_room = self._staging.gather(held)
        if self._gathered > (self._staging.small if has_room and not self._is_large else BATCH):
            self._is_large = True
            await self._flush()

    async def finish(self) -> Staged:
        """Make the file durable under `staged/`.

        Raises `Problem` when the volume can't: then the file is to be discarded and received
        anew. An fsync is never repeated, for the kernel may have dropped the pages it failed on.
        """
        await self._settle()
        self._hand_over(self._publish)
        await self._settle()
        await self._staging.sync()
        self._path = None
        reached("api-after-rename")
        return Staged(self.name, self.size, self._hash.hexdigest())

    async def discard(self) -> None:
        """Take back what was written, unless it was finished: a name under `staged/` that may not
        last, too. Never raises: what can't be taken back is logged, and the sweep will find it."""
        self._take()
        if self._under_way:
            await asyncio.wait([self._under_way])
        if self._path:
            path, self._path = self._path, None
            await self._staging.run(self._abandon, path)

    def _take(self) -> list[bytes | memoryview]:
        batch, self._batch = self._batch, []
        self._staging.gather(-self._gathered)
        self._gathered = 0
        return batch

    async def _flush(self) -> None:
        await self._settle()
        self._hand_over(self._append)

    def _hand_over(self, step: Callable[[list[bytes | memoryview]], None]) -> None:
        """Have a thread do it with what is gathered."""
        self._under_way = asyncio.ensure_future(self._staging.run(step, self._take()))

    async def _settle(self) -> None:
        if self._under_way:
            under_way, self._under_way = self._under_way, None
            try:
                await asyncio.shield(under_way)
            except asyncio.CancelledError:
                self._under_way = under_way  # a thread still writes: discard() waits for it
                raise

    def _append(self, batch: list[bytes | memoryview]) -> None:
        if self._fd is None:
            path = self._staging.root / INCOMING / self.name
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._fd = os.open(path, flags, 0o640)
            self._path = path
        for data in batch:
            view = memoryview(data)
            while view:
                view = view[os.write(self._fd, view) :]
            self._hash.update(data)

    def _publish(self, batch: list[bytes | memoryview]) -> None:
        self._append(batch)
        assert self._fd is not None  # noqa: S101 - for the type checker
        assert self._path is not None  # noqa: S101 - the same
        fd, self._fd = self._fd, None
        try:
            reached("api-after-write")
            os.fsync(fd)
            reached("api-after-fsync")
        finally:
            os.close(fd)
        # Names are 128 random bits: there is nothing to replace.
        self._path = self._path.rename(self._staging.root / STAGED / self.name)

    def _abandon(self, path: Path) -> None:
        if self._fd is not None:
            fd, self._fd = self._fd, None
            try:
                os.close(fd)
            except OSError as error:
                log.warning("close_failed", name=self.name, error=str(error))
        unlinked(path)
