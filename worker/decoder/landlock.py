"""The files a decoder may use: Landlock (linux/landlock.h).

Its system calls have one number on every architecture, and no wrapper in the C library.
"""

import ctypes
import os
import struct
from collections.abc import Iterable
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_FILE, _MAKE_REG = (
    1 << bit for bit in (0, 1, 2, 3, 5, 8)
)
_READ = _EXECUTE | _READ_FILE | _READ_DIR  # "execute" is what mapping a library asks for
_FIRST_RIGHTS = (1 << 13) - 1  # those of the first version, which later kernels know too
_TRUNCATE, _TRUNCATE_SINCE = 1 << 14, 3
_TCP, _TCP_SINCE = 0b11, 4  # bind and connect
_IOCTL_DEVICE, _IOCTL_DEVICE_SINCE = 1 << 15, 5
_SCOPES, _SCOPES_SINCE = 0b11, 6  # abstract sockets, and signals to those outside
_OF_A_FILE = _EXECUTE | _READ_FILE | _WRITE_FILE | _TRUNCATE
_libc = ctypes.CDLL(None, use_errno=True)


def close_files(readable: Iterable[Path], staged: Path, scratch: Path) -> bool:
    """Leave this process `readable` and `staged` to read, `scratch` to write, and no other file.

    TCP, abstract sockets and signals are closed as well, as far as the kernel's version knows them.
    False where the kernel has no Landlock.
    """
    version = _libc.syscall(_CREATE_RULESET, None, 0, 1)
    if version < 1:
        return False
    truncate = _TRUNCATE if version >= _TRUNCATE_SINCE else 0
    files = _FIRST_RIGHTS | truncate | (_IOCTL_DEVICE if version >= _IOCTL_DEVICE_SINCE else 0)
    handled = struct.pack("Q", files)
    if version >= _TCP_SINCE:
        handled += struct.pack("Q", _TCP)
    if version >= _SCOPES_SINCE:
        handled += struct.pack("Q", _SCOPES)
    ruleset = _libc.syscall(_CREATE_RULESET, handled, len(handled), 0)
    if ruleset < 0:
        return False
    for each in readable:
        _allow(ruleset, each, _READ)
    _allow(ruleset, staged, _READ_FILE)
    own = _READ_FILE | _READ_DIR | _WRITE_FILE | _REMOVE_FILE | _MAKE_REG | truncate
    _allow(ruleset, scratch, own)
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
