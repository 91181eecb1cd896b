"""Whose fault it is that a decoder can't go on: a file's that asks for too much, or the machine's.

It matters because a file that exceeds its limits again and again is rejected in the end, and an
honest one isn't to be rejected because the machine was short of memory or its disk full.
"""

import contextlib
import mmap
import os
import resource
from collections.abc import Iterator
from pathlib import Path

from worker.formats.blame import DISK_ERRORS, says_disk_fails, says_no_memory

MEMORY_SHORT = os.EX_TEMPFAIL
SCRATCH_FAILS = os.EX_IOERR
"""Exit statuses of a child. Any other than these and 0 tells nothing good of the file."""

_STATM = Path("/proc/self/statm")
_STEP_BYTES = 16 << 20
_REFUSES_BEFORE_IT_KILLS = "2"
"""Of `overcommit_memory`: other kernels promise any memory, and kill when it isn't there."""


def machine_may_refuse_memory() -> bool:
    """Whether this kernel refuses memory that a process's own limit would allow."""
    try:
        mode = Path("/proc/sys/vm/overcommit_memory").read_text("ascii")
    except OSError:
        return True  # nobody knows
    return mode.strip() == _REFUSES_BEFORE_IT_KILLS


class Shortages:
    """Tells a shortage by an error. Made before the process is confined: it can't look later."""

    def __init__(self) -> None:
        self._size = os.open(_STATM, os.O_RDONLY | os.O_CLOEXEC) if _STATM.exists() else None

    def exit_status(self, error: BaseException) -> int | None:
        """How to end on `error`, when it or what led to it is a lack of memory or disk.

        1 when it is this process's own limit of memory: then the file asks for too much.
        """
        for each in _chain(error):
            if isinstance(each, MemoryError) or says_no_memory(str(each)):
                return 1 if self._limit_is_reached() else MEMORY_SHORT
            if getattr(each, "errno", None) in DISK_ERRORS or says_disk_fails(str(each)):
                return SCRATCH_FAILS
        return None

    def _limit_is_reached(self) -> bool:
        """Ask for all the memory that the limit leaves; untouched it costs nothing. When the
        machine would give that, it was the limit that refused."""
        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if self._size is None or limit == resource.RLIM_INFINITY:
            return False
        taken: list[mmap.mmap] = []
        with contextlib.suppress(OSError, MemoryError):
            while True:
                flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
                taken.append(mmap.mmap(-1, _STEP_BYTES, flags=flags))
        pages = int(os.pread(self._size, 100, 0).split()[0])
        return pages * mmap.PAGESIZE + _STEP_BYTES > limit


def _chain(error: BaseException) -> Iterator[BaseException]:
    """As Python's tracebacks have it: `from None` says that nothing before it counts."""
    current: BaseException | None = error
    while current is not None:
        yield current
        hidden = current.__suppress_context__
        current = current.__cause__ or (None if hidden else current.__context__)
