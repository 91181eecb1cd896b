"""Whose fault it is that a library couldn't go on: the file's, or this machine's, by its words."""

import errno
import os
import re

_NO_MEMORY = re.compile(
    r"out of memory|(insufficient|not enough) memory|can(no|')t allocate|bad_alloc"
    r"|memory allocation error|no space (for|to)|(failed|unable) to allocate|allocation failed"
    # it has no room for its stack
    r"|error creating thread|resource temporarily unavailable|can't start new thread",
    re.IGNORECASE,
)
DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ESTALE})
_TOO_LARGE = os.strerror(errno.EFBIG)
_DISK_WORDS = [os.strerror(code) for code in DISK_ERRORS]
_DISK_WORDS += ["system error", "unix error", "write error", "unable to write"]
_DISK_FAILS = re.compile("|".join(map(re.escape, _DISK_WORDS)) + "(?! to image)", re.IGNORECASE)
"""pyvips says that it is unable to write to image, whatever was wrong with what it read."""
_OF_THE_FILE = re.compile(
    r"security limit|invalid image size|\(0 elements|out of memory reading of", re.IGNORECASE
)
"""Words about memory that are said of a file that asks for too much of it, or says nonsense."""


def says_no_memory(text: str) -> bool:
    """Whether there was none to be had: by the process's own limit, or on the machine."""
    return bool(_NO_MEMORY.search(text)) and not _OF_THE_FILE.search(text)


def says_disk_fails(text: str) -> bool:
    """Whether what was written, most often to scratch, found no place. What is more than a child
    may write is the file's fault."""
    return bool(_DISK_FAILS.search(text)) and not says_too_large(text)


def says_too_large(text: str) -> bool:
    """Whether more was to be written than this process may."""
    return _TOO_LARGE in text


def is_ours(text: str) -> bool:
    """Whether a library's words are about this machine, and not about the file."""
    return says_no_memory(text) or says_disk_fails(text)
