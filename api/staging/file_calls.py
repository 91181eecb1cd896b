"""Blocking file calls. Only what an fsync has covered is still there after a power cut."""

import ctypes
import errno
import os
import shutil
from pathlib import Path

import structlog

from api.staging.folders import INCOMING
from shared.crash_points import reached
from shared.volume import STAGED

COPIED = 1024 * 1024
"""Bytes that are copied at a time."""

log = structlog.get_logger()

_WRITE = 2
"""SYNC_FILE_RANGE_WRITE: begin, and wait for nothing that begins now."""
_sync_file_range = getattr(ctypes.CDLL(None), "sync_file_range", None)
if _sync_file_range:
    _sync_file_range.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]

NO_LINKS = {errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV}
"""What a volume says that can't give a file another name."""


def link(root: Path, name: str, to: str) -> bool:
    """See `Staging.link`; blocks."""
    first, second = root / STAGED / name, root / STAGED / to
    try:
        try:
            os.utime(first)  # both names share it: the second is to be no orphan before its row
            second.hardlink_to(first)
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            _copy(first, root / INCOMING / to, second)
        fsync_folder(root / STAGED)
    except FileNotFoundError:
        return False
    except OSError:
        unlinked(second)  # there, and perhaps not for good: nobody may be told of it
        raise
    reached("api-after-link")
    return True


def _copy(first: Path, temporary: Path, second: Path) -> None:
    try:
        with first.open("rb") as source, temporary.open("xb") as copy:
            shutil.copyfileobj(source, copy, COPIED)
            copy.flush()
            os.fsync(copy.fileno())
        temporary.rename(second)
    except OSError:
        unlinked(temporary)
        raise


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write all of it, in as many calls as it takes. Raises `OSError`."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def unlinked(path: Path) -> bool:
    """Unlink a file that may be gone already; whether it is gone now."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("unlink_failed", name=path.name, error=str(error))
        return False
    return True


def begin_writeback(fd: int, offset: int, count: int) -> None:
    """Have the disk begin with bytes that an fsync is to follow for: it then finds most of its work
    done. No promise comes of it, so what it answers is of no interest; only Linux has it."""
    if _sync_file_range:
        _sync_file_range(fd, offset, count, _WRITE)


def fsync_folder(path: Path) -> None:
    """Make the names in a folder durable; blocks."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
