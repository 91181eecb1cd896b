"""Leave a process some files and folders, and no others: Landlock (linux/landlock.h).

Its system calls have one number on every architecture, and no wrapper in the C library.
"""

import ctypes
import os
import struct
from collections.abc import Iterable
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_FIRST_RIGHTS = (1 << 13) - 1  # those of the first version, which later kernels know too
_LATER_RIGHTS = {2: 1 << 13, 3: 1 << 14, 5: 1 << 15}
"""Moving between folders, truncating and commanding devices, by the version that brought them."""
_TCP, _TCP_SINCE = 0b11, 4  # bind and connect
_SCOPES, _SCOPES_SINCE = 0b11, 6  # abstract sockets, and signals to those outside

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_FILE, MAKE_FILE, MAKE_SOCKET = (
    1 << bit for bit in (0, 1, 2, 3, 5, 8, 9)
)
TRUNCATE = _LATER_RIGHTS[3]
READ = EXECUTE | READ_FILE | READ_DIR  # "execute" is what mapping a library asks for
EVERYTHING = _FIRST_RIGHTS | sum(_LATER_RIGHTS.values())
DEVICES = 1 << 6 | 1 << 11
"""Making character and block devices."""
_libc = ctypes.CDLL(None, use_errno=True)
_OF_A_FILE = EXECUTE | READ_FILE | WRITE_FILE | TRUNCATE


def leave_files(rules: Iterable[tuple[Path, int]]) -> bool:
    """Leave this process these rights, each on a file or on all below a folder, and none elsewhere.

    TCP, abstract sockets and signals are closed as well, as far as the kernel's version knows them.
    What isn't there is passed over. False where the kernel has no Landlock.
    """
    version = _libc.syscall(_CREATE_RULESET, None, 0, 1)
    if version < 1:
        return False
    known = _FIRST_RIGHTS | sum(each for since, each in _LATER_RIGHTS.items() if version >= since)
    handled = struct.pack("Q", known)
    if version >= _TCP_SINCE:
        handled += struct.pack("Q", _TCP)
    if version >= _SCOPES_SINCE:
        handled += struct.pack("Q", _SCOPES)
    ruleset = _libc.syscall(_CREATE_RULESET, handled, len(handled), 0)
    if ruleset < 0:
        return False
    for path, rights in rules:
        _allow(ruleset, path, rights & known)
    closed = bool(_libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0)
    os.close(ruleset)
    return closed


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        target = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    if not path.is_dir():
        rights &= _OF_A_FILE
    rule = struct.pack("=Qi", rights, target)
    _libc.syscall(_ADD_RULE, ruleset, 1, rule, 0)
    os.close(target)
