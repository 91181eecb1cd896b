"""Room on the volume: what is free, what is promised to bodies under way, what must stay free."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from api.texts.errors import Problem

_FULL = {errno.ENOSPC, errno.EDQUOT}
RETRY_SECONDS = 60


class Free(NamedTuple):
    """What the volume has left."""

    bytes: int
    inodes: int | None
    """None on file systems that don't count them, such as btrfs."""
    of_bytes: int
    """The size of the whole volume."""


class Space:
    """Refuses a body before it is read where the volume has no room for it."""

    def __init__(self, root: Path, *, min_free_bytes: int, min_free_inodes: int) -> None:
        self._root = root
        self._min_bytes = min_free_bytes
        self._min_inodes = min_free_inodes
        self._promised_bytes = 0
        self._promised_files = 0
        self.outstanding = 0
        """Bytes that resumable uploads of all replicas were promised and haven't sent, as far as
        this process knows."""

    def free(self) -> Free:
        """What this process may still write. Raises `OSError`."""
        stat = os.statvfs(self._root)
        inodes = stat.f_favail if stat.f_files else None
        return Free(stat.f_bavail * stat.f_frsize, inodes, stat.f_blocks * stat.f_frsize)

    @contextmanager
    def reserve(self, declared: int) -> Iterator[None]:
        """Hold room for a body of `declared` bytes and its file.

        Raises `Problem` storage-full (507) when that would leave less than the watermarks, and
        unavailable (503) when the volume doesn't say.
        """
        try:
            free = self.free()
        except OSError as error:
            raise volume_problem(error) from error
        bytes_left = free.bytes - self._promised_bytes - self.outstanding - declared
        inodes_left = None if free.inodes is None else free.inodes - self._promised_files - 1
        if bytes_left < self._min_bytes or (
            inodes_left is not None and inodes_left < self._min_inodes
        ):
            raise storage_full()
        self._promised_bytes += declared
        self._promised_files += 1
        try:
            yield
        finally:
            self._promised_bytes -= declared
            self._promised_files -= 1

    def is_left(self) -> bool:
        """Whether a body would be let in now."""
        try:
            with self.reserve(0):
                return True
        except Problem:
            return False


def storage_full() -> Problem:
    """storage-full, to be tried again in a minute."""
    return Problem("storage-full", retry_after=RETRY_SECONDS)


def volume_problem(error: OSError) -> Problem:
    """What the client is told of an error of the volume: full (507), or not usable now (503)."""
    if error.errno in _FULL:
        return storage_full()
    return Problem("unavailable", retry_after=5)
