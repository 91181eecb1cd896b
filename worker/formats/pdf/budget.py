"""What may be spent on one document: memory by the kernel, objects by counting."""

import contextlib
import logging
import mmap
import resource
import sys
from collections.abc import Iterator

import pikepdf.settings

from worker.formats.verdicts import Budget, too_complex

MEMORY_BYTES = 256 << 20
"""Beyond what the process has when a document is opened. Libraries take a few bytes of a file for
hundreds of megabytes of objects; honest documents of 20 MB need less than a tenth of this."""
INFLATED_BYTES = 16 << 20
"""Of one stream of objects, or one table of them. They are read whole; pages and images aren't.
Of all such streams together in a document that has to be mended."""
FILTERS = 4
"""One on top of the other, in such a stream."""
NESTING = 499
"""Of lists and dictionaries in one object."""
OBJECTS = 200_000
"""That are looked at in one document."""

QPDF_LOG = logging.getLogger("pikepdf._core")
"""Where some of qpdf's words go, a line for each damaged object. It is closed: the document is
asked for what was said of it."""

_STEP = 1 << 20
_ADDRESSES = 1 << 47


class Objects(Budget):
    """Counts what is looked at."""

    def __init__(self) -> None:
        super().__init__("objects", OBJECTS)


def limit_qpdf() -> None:
    """Set the limits that qpdf itself keeps to. They hold for the whole process."""
    QPDF_LOG.propagate = False
    QPDF_LOG.disabled = True
    pikepdf.settings.set_qpdf_limits(
        flate_max_memory=INFLATED_BYTES,
        run_length_max_memory=INFLATED_BYTES,
        png_max_memory=INFLATED_BYTES,
        tiff_max_memory=INFLATED_BYTES,
        dct_max_memory=INFLATED_BYTES,
        max_stream_filters=FILTERS,
        parser_max_nesting=NESTING,
        parser_max_container_size_damaged=OBJECTS,
    )


@contextlib.contextmanager
def bounded_memory(more: int = MEMORY_BYTES) -> Iterator[None]:
    """Let the process grow by `more` bytes at most within the block.

    A document that asks for more is rejected (`file-too-complex`). `MemoryError` goes on where the
    machine, not the document, is at fault: where so much can't be had anyway.
    """
    if sys.platform != "linux":
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    bound = _addresses_in_use(hard) + more
    if soft != resource.RLIM_INFINITY:
        bound = min(bound, soft)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (bound, hard))
        yield
    except MemoryError:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        if not _can_have(more):
            raise
        raise too_complex("memory_bytes", more) from None  # no shortage
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def half_is_left() -> bool:
    """Whether a document has half of its memory still, to be asked within `bounded_memory`."""
    return _can_have(MEMORY_BYTES // 2)


def _addresses_in_use(hard: int) -> int:
    """What the process has now, to the megabyte. It is found out by trying: a decoding child can't
    read `/proc`, and the kernel tells it nowhere else."""
    low, high = 0, _ADDRESSES if hard == resource.RLIM_INFINITY else hard
    while high - low > _STEP:
        middle = (low + high) // 2
        resource.setrlimit(resource.RLIMIT_AS, (middle, hard))
        low, high = (low, middle) if _can_have(_STEP // 2) else (middle, high)
    return high


def _can_have(count: int) -> bool:
    try:
        mmap.mmap(-1, count, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    except (OSError, MemoryError):
        return False
    return True
