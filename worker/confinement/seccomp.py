"""Refuse a process system calls: a seccomp filter, in the instructions of classic BPF.

A filter is `BEGINNING`, then rules, of which the first that fits decides, then an answer to all
other calls.
"""

import ctypes
import platform
import struct

_ARCHITECTURES = ("x86_64", "aarch64")
"""In the order in which tables of numbers have them."""
_AUDIT_NUMBERS = dict(zip(_ARCHITECTURES, (0xC000003E, 0xC00000B7), strict=True))
NEW_SINCE = 424
"""From here on a number means the same everywhere."""

_LOAD, _EQUALS, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_ALLOW, _REFUSE, _END = 0x7FFF0000, 0x00050000, 0x80000000
_CLONE_THREAD = 0x10000
EPERM, ENOSYS = 1, 38
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
_libc = ctypes.CDLL(None, use_errno=True)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def is_known() -> bool:
    """Whether there are numbers for this machine's processor."""
    return platform.machine() in _ARCHITECTURES


def number_of(*numbers: int) -> int:
    """Of a call, the one of this machine; 0 where none is known."""
    known = dict(zip(_ARCHITECTURES, numbers, strict=True))
    return known.get(platform.machine(), 0)


def numbers_in(table: str) -> list[int]:
    """Those of this machine in a table of `name number number; …`, where `-` stands for none."""
    column = _ARCHITECTURES.index(platform.machine()) + 1
    calls = [call.split() for call in table.split(";")]
    return [int(call[column]) for call in calls if call[column] != "-"]


def install(steps: bytes) -> bool:
    """Put the filter before every call of this process from now on. False if it couldn't be."""
    program = _Program(len(steps) // _STEP_BYTES, steps)
    pointer = ctypes.byref(program)
    mode = ctypes.c_ulong(_SECCOMP_MODE_FILTER)
    return bool(_libc.prctl(_PR_SET_SECCOMP, mode, pointer, 0, 0) == 0)


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


_STEP_BYTES = len(_step(0, 0))


def _count(steps: bytes) -> int:
    return len(steps) // _STEP_BYTES


def answer(error: int = 0) -> bytes:
    """Decide: allowed, or refused with `error`."""
    return _step(_RETURN, _REFUSE | error if error else _ALLOW)


def allow(number: int) -> bytes:
    return _step(_EQUALS, number, if_false=1) + answer()


def refuse(number: int, error: int = EPERM) -> bytes:
    return _step(_EQUALS, number, if_false=1) + answer(error)


def refuse_from(number: int, error: int = EPERM) -> bytes:
    """All calls with `number` or a higher one."""
    return _step(_AT_LEAST, number, if_false=1) + answer(error)


def allow_if(number: int, argument: int, values: tuple[int, ...]) -> bytes:
    """Allow the call when the lower half of its argument is one of `values`, else refuse it."""
    return _when(number, argument, b"".join(allow(value) for value in values))


def allow_threads(clone: int) -> bytes:
    """Allow `clone` for a thread of this process, and not for a new one."""
    return _when(clone, 0, _step(_ANY_BIT, _CLONE_THREAD, if_false=1) + answer())


def _when(number: int, argument: int, checks: bytes) -> bytes:
    steps = _step(_LOAD, _ARGUMENTS + 8 * argument) + checks + answer(EPERM)
    return _step(_EQUALS, number, if_false=_count(steps)) + steps


BEGINNING = b"".join(
    (
        _step(_LOAD, _ARCHITECTURE),
        _step(_EQUALS, _AUDIT_NUMBERS.get(platform.machine(), 0), if_true=1),
        _step(_RETURN, _END),
        _step(_LOAD, _NUMBER),
    )
)
"""A call of another architecture ends the process: its number means something else."""
