"""Resource limits, and an end with the parent's."""

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_libc = ctypes.CDLL(None, use_errno=True)


def limit(kind: int, value: int, hard: int | None = None) -> None:
    """Lower a limit to `value`, and to `hard` what it may be raised to; never above what it is."""
    _, highest = resource.getrlimit(kind)
    wanted = (value, value if hard is None else hard)
    if highest != resource.RLIM_INFINITY:
        wanted = (min(wanted[0], highest), min(wanted[1], highest))
    resource.setrlimit(kind, wanted)


def limit_cpu(seconds: int) -> None:
    """One second lies between the two: the first ends the process with a signal that says why."""
    limit(resource.RLIMIT_CPU, seconds, hard=seconds + 1)


def die_with(parent_pid: int) -> None:
    """Let the kernel kill this process when its parent ends, however that ends."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        sys.exit("the parent is gone")


def take_no_privileges() -> None:
    """No program that this process becomes has more than it. The kernel asks for this first."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def _prctl(option: int, value: int) -> None:
    _libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0)
