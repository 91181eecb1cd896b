"""Segments: what one process has received of a resumable upload, in a file that only it writes to.

A segment is only appended to, and what was acknowledged of it never changes. Durable means: its
data was fsynced, and the folder once it was made; only then may a transaction say how long it is.
"""

import contextlib
import errno
import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from api.staging.batches import BATCH, SCARCE_BATCH, Batches, Handed
from api.staging.digest import Digest, Hash
from api.staging.file_calls import begin_writeback, fsync_folder, unlinked, write_all
from api.staging.folders import INCOMING, SEGMENTS
from api.texts.errors import Problem
from shared.crash_points import reached
from shared.volume import STAGED

if TYPE_CHECKING:
    from api.staging.staging import Staging

COPIED = 8 * 1024 * 1024
"""Bytes that are copied by one call."""
READ = 1024 * 1024
_NO_RANGES = {errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM}
"""What a volume says that can't copy by itself."""


class Extent(NamedTuple):
    """Where bytes of an upload lie on the volume: `size` of a file, from `skip` on."""

    name: str
    size: int
    skip: int = 0


class Mark(NamedTuple):
    """How far a segment is: its bytes, and the SHA-256 of the upload up to them; None where nobody
    here has what comes before."""

    size: int
    digest: Digest | None


class SegmentLost(Problem):
    """Bytes that were acknowledged aren't where they were made durable. Nobody but the volume can
    have taken them away, or a replica that has ended the upload."""

    def __init__(self) -> None:
        super().__init__("unavailable", retry_after=5)


class SegmentWriter:
    """Appends to a segment, some batches behind what is received (`api/staging/batches.py`).

    Always `close` it in the end. An fsync is never repeated, for the kernel may have dropped the
    pages it failed on: after an error the segment is not written to again.
    """

    def __init__(
        self, staging: "Staging", name: str, mark: Mark, *, before: Sequence[Extent] = ()
    ) -> None:
        """Go on behind `mark`, with size 0 for a new segment. `before` are extents that the digest
        lacks yet: they are read first."""
        self._staging = staging
        self._path = staging.root / SEGMENTS / name
        self._is_new = not mark.size
        self._fd: int | None = None
        self._mark = mark
        read = partial(_feed_all, self._path.parent, before) if before else None
        self._batches = Batches(staging, mark.digest, read)
        self.is_broken = False
        """An fsync has failed: nobody knows what is on the disk."""

    async def write(self, data: bytes | memoryview) -> None:
        """Take `data`, which must not change afterwards. Raises `Problem` as the volume does."""
        has_room = self._batches.add(data)
        if self._batches.held >= (BATCH if has_room else SCARCE_BATCH):
            await self.flush()

    async def flush(self) -> None:
        """Have all that was taken be written."""
        if self._batches.held:
            await self._batches.hand_over(self._append)

    async def sync(self) -> Mark:
        """Make durable what was being written, while more may be taken."""
        await self._batches.idle()
        mark = self._mark
        if self.is_broken:
            raise Problem("unavailable", retry_after=5)
        if self._fd is None:  # nothing was
            return mark
        await self._staging.run(self._fsync)
        if self._is_new:
            await self._staging.sync(SEGMENTS)
            self._is_new = False
        return mark

    async def finish(self) -> Mark:
        """Make all of it durable."""
        await self.flush()
        await self._batches.settle()
        return await self.sync()

    async def close(self) -> None:
        """Nothing is written after this. Never raises."""
        await self._batches.drop()
        if self._fd is not None:
            fd, self._fd = self._fd, None
            with contextlib.suppress(OSError):  # what counts was fsynced
                await self._staging.in_thread(os.close, fd)

    def _append(self, handed: Handed) -> None:
        if self._fd is None:
            self._fd = self._opened()
        handed.write(self._fd)
        self._mark = Mark(self._mark.size + handed.size, handed.digest)

    def _opened(self) -> int:
        """Without what came after the last acknowledged byte: nobody was promised that."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
        if self._is_new:
            return os.open(self._path, flags | os.O_CREAT | os.O_EXCL, 0o640)
        with _there():
            fd = os.open(self._path, flags)
        if os.fstat(fd).st_size < self._mark.size:
            os.close(fd)
            raise SegmentLost
        os.ftruncate(fd, self._mark.size)
        return fd

    def _fsync(self) -> None:
        assert self._fd is not None  # noqa: S101 - for the type checker
        self.is_broken = True
        os.fsync(self._fd)
        self.is_broken = False
        reached("api-after-segment-fsync")


def _feed_all(folder: Path, extents: Sequence[Extent], hash_: Hash) -> None:
    for extent in extents:
        feed(hash_, folder, extent)


def feed(hash_: Hash, folder: Path, extent: Extent) -> None:
    """Hash an extent of an upload; blocks. Raises `OSError` and `SegmentLost`."""
    with _there():
        opened = (folder / extent.name).open("rb", buffering=0)
    with opened as file:
        file.seek(extent.skip)
        left = extent.size
        while left:
            data = file.read(min(left, READ))
            if not data:
                raise SegmentLost
            hash_.update(data)
            left -= len(data)


def join(root: Path, name: str, extents: Sequence[Extent]) -> None:
    """Make the extents, which are all of an upload, its staged file, durably; blocks. Who does it
    again, or at the same time on another replica, makes the same. Raises `OSError` and
    `SegmentLost`."""
    staged, size = root / STAGED / name, sum(extent.size for extent in extents)
    if _size(staged) != size:
        try:
            _put_together(root, name, extents, staged)
        except SegmentLost:
            if _size(staged) != size:  # no other replica was quicker
                raise
    fsync_folder(root / STAGED)


def lost(root: Path, extents: Sequence[Extent]) -> list[str]:
    """Names of those that aren't all there; blocks. Raises `OSError`."""
    return [each.name for each in extents if (_size(root / SEGMENTS / each.name) or 0) < each.size]


def _put_together(root: Path, name: str, extents: Sequence[Extent], staged: Path) -> None:
    first = root / SEGMENTS / extents[0].name
    if len(extents) == 1 and _size(first) == extents[0].size:
        with _there():
            first.rename(staged)
    else:
        _copy(root, name, extents, staged)


def _copy(root: Path, name: str, extents: Sequence[Extent], staged: Path) -> None:
    temporary = root / INCOMING / f"{name}.{os.urandom(8).hex()}"
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        try:
            for extent in extents:
                _append_extent(fd, root / SEGMENTS / extent.name, extent)
            os.fsync(fd)
        finally:
            os.close(fd)
        temporary.rename(staged)
    except (OSError, SegmentLost):
        unlinked(temporary)
        raise


def _append_extent(fd: int, path: Path, extent: Extent) -> None:
    with _there():
        source = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        at, end = extent.skip, extent.skip + extent.size
        while at < end:
            copied = _copied(source, fd, min(end - at, COPIED), at)
            if not copied:
                raise SegmentLost
            begin_writeback(fd, 0, 0)  # of all that was written
            at += copied
    finally:
        os.close(source)


def _copied(source: int, fd: int, count: int, at: int) -> int:
    """How many bytes were copied, without their passing through us where the volume can."""
    try:
        return os.copy_file_range(source, fd, count, offset_src=at)
    except OSError as error:
        if error.errno not in _NO_RANGES:
            raise
    data = os.pread(source, min(count, READ), at)
    write_all(fd, data)
    return len(data)


@contextlib.contextmanager
def _there() -> Iterator[None]:
    """Around opening a segment."""
    try:
        yield
    except FileNotFoundError as error:
        raise SegmentLost from error


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None
