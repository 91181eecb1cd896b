"""One file on its way to the volume, durable in this order: its bytes are written and fsynced, it
is renamed into `staged/`, and the folder is fsynced. Only then may a transaction name it."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from api.staging.batches import BATCH, SCARCE_BATCH, Batches, Handed
from api.staging.digest import of_nothing
from api.staging.file_calls import unlinked
from api.staging.folders import INCOMING
from api.texts.errors import Problem
from shared.crash_points import reached
from shared.volume import STAGED

if TYPE_CHECKING:
    from api.staging.staging import Staging

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Staged:
    """A file that is durable on the volume."""

    name: str
    size: int
    sha256: str


class Writer:
    """Writes one file, some batches behind what is received (`api/staging/batches.py`)."""

    def __init__(self, staging: "Staging", name: str) -> None:
        self.name = name
        self.size = 0
        self._staging = staging
        self._fd: int | None = None
        self._path: Path | None = None
        """Of the file, as long as it is ours to take back."""
        self._batches = Batches(staging, of_nothing())
        self._is_large = False

    async def write(self, data: bytes | memoryview) -> None:
        """Take `data`, which must not change afterwards."""
        self.size += len(data)
        has_room = self._batches.add(data)
        most = BATCH if self._is_large else self._staging.small
        if self._batches.held > (most if has_room else SCARCE_BATCH):
            self._is_large = True
            await self._batches.hand_over(self._append)

    async def finish(self) -> Staged:
        """Make the file durable under `staged/`.

        Raises `Problem` when the volume can't: then the file is to be discarded and received
        anew. An fsync is never repeated, for the kernel may have dropped the pages it failed on.
        """
        await self._batches.hand_over(self._publish)
        await self._batches.settle()
        await self._staging.sync()
        digest = self._batches.digest
        hash_ = await digest.value() if digest else None
        if hash_ is None:
            raise Problem("unavailable", retry_after=5)
        self._path = None
        reached("api-after-rename")
        return Staged(self.name, self.size, hash_.hexdigest())

    async def discard(self) -> None:
        """Take back what was written, unless it was finished: a name under `staged/` that may not
        last, too. Never raises: what can't be taken back is logged, and the sweep will find it."""
        await self._batches.drop()
        if self._path:
            path, self._path = self._path, None
            await self._staging.run(self._abandon, path)

    def _append(self, handed: Handed) -> None:
        if self._fd is None:
            path = self._staging.root / INCOMING / self.name
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._fd = os.open(path, flags, 0o640)
            self._path = path
        handed.write(self._fd)

    def _publish(self, handed: Handed) -> None:
        self._append(handed)
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
