"""Give up, for good, everything a decoder doesn't need.

Resource limits hold everywhere. Landlock (files) and seccomp (network, new processes) need no
privilege and work inside containers, where user namespaces are usually forbidden; a kernel without
them leaves the child with less around it, and the result says so. All of it must happen before the
first thread starts, so before a decoder is imported.
"""

import ctypes
import os
import platform
import resource
import signal
import struct
import sys
from pathlib import Path

MEMORY_BYTES = 2 << 30
"""Address space. Images of over 100 MB decoded go to a temporary file instead of memory."""
FILE_BYTES = 1 << 30
"""Of each file written, that temporary one included: 100 megapixels of 16 bits and alpha fit."""
OPEN_FILES = 64

_PR_SET_PDEATHSIG = 1
_PR_SET_SECCOMP = 22
_PR_SET_NO_NEW_PRIVS = 38
_libc = ctypes.CDLL(None, use_errno=True)


def confine(staged: Path, scratch: Path, *, cpu_seconds: int, parent_pid: int) -> list[str]:
    """Restrict this process to reading `staged` and writing inside `scratch`.

    Returns which of `files`, `network` and `processes` the kernel closed. Dies with its parent.
    """
    _limit(resource.RLIMIT_CPU, cpu_seconds)
    _limit(resource.RLIMIT_FSIZE, FILE_BYTES)
    _limit(resource.RLIMIT_NOFILE, OPEN_FILES)
    _limit(resource.RLIMIT_CORE, 0)
    if sys.platform != "linux":
        return []  # a developer's machine: the rest has no counterpart there
    _limit(resource.RLIMIT_AS, MEMORY_BYTES)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        sys.exit("the parent is gone")
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    held = []
    if _close_files(staged, scratch):
        held.append("files")
    if _close_network_and_processes():
        held += ["network", "processes"]
    return held


def _limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, value))


def _prctl(option: int, value: int, argument: object = 0) -> bool:
    return bool(_libc.prctl(option, ctypes.c_ulong(value), argument, 0, 0) == 0)


# --- files: Landlock (linux/landlock.h); its system calls have one number on every architecture

_LANDLOCK_CREATE_RULESET, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT_SELF = 444, 445, 446
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_FILE, _MAKE_REG = (
    1 << bit for bit in (0, 1, 2, 3, 5, 8)
)
_READ = _EXECUTE | _READ_FILE | _READ_DIR  # "execute" is what mapping a library asks for
_ALL_RIGHTS = (1 << 13) - 1  # those of the first version, which later kernels know too
_TRUNCATE = 1 << 14  # since version 3


def _close_files(staged: Path, scratch: Path) -> bool:
    version = _libc.syscall(_LANDLOCK_CREATE_RULESET, None, 0, 1)
    if version < 1:
        return False
    truncate = _TRUNCATE if version >= 3 else 0  # noqa: PLR2004 - a version's own number
    handled = struct.pack("Q", _ALL_RIGHTS | truncate)
    ruleset = _libc.syscall(_LANDLOCK_CREATE_RULESET, handled, len(handled), 0)
    if ruleset < 0:
        return False
    for library in _libraries():
        _allow(ruleset, library, _READ)
    _allow(ruleset, staged, _READ_FILE)
    own = _READ_FILE | _READ_DIR | _WRITE_FILE | _REMOVE_FILE | _MAKE_REG | truncate
    _allow(ruleset, scratch, own)
    closed = bool(_libc.syscall(_LANDLOCK_RESTRICT_SELF, ruleset, 0) == 0)
    os.close(ruleset)
    return closed


def _libraries() -> set[Path]:
    """What Python and the decoders load and use: not the checkout, which has more in it."""
    root = Path(__file__).parents[2]
    imports = {Path(entry) for entry in sys.path if entry and Path(entry) != root}
    system = {Path("/usr"), Path("/lib"), Path("/lib64"), Path("/etc/ld.so.cache")}
    chance = Path("/dev/urandom")
    return imports | system | {chance, Path(sys.base_prefix), root / "worker", root / "shared"}


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        target = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    if not path.is_dir():
        rights &= _EXECUTE | _READ_FILE | _WRITE_FILE | _TRUNCATE
    rule = struct.pack("=Qi", rights, target)
    _libc.syscall(_LANDLOCK_ADD_RULE, ruleset, 1, rule, 0)
    os.close(target)


# --- network and processes: a seccomp filter, in the instructions of classic BPF

_ARCHITECTURES = {
    # audit number; socket, connect, execve, execveat, ptrace, fork and vfork; clone; clone3
    "x86_64": (0xC000003E, (41, 42, 59, 322, 101, 57, 58), 56, 435),
    "aarch64": (0xC00000B7, (198, 203, 221, 281, 117), 220, 435),
}
_IO_URING_SETUP = 425  # could open sockets past this filter
_X32_CALLS = 0x40000000  # the same calls under other numbers
_CLONE_THREAD = 0x10000
_LOAD, _EQUALS, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data
_SECCOMP_MODE_FILTER = 2
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_EPERM, _ENOSYS = 1, 38


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def _close_network_and_processes() -> bool:
    if platform.machine() not in _ARCHITECTURES:
        return False
    architecture, refused, clone, clone3 = _ARCHITECTURES[platform.machine()]

    def step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
        return struct.pack("=HBBI", code, if_true, if_false, value)

    program = [
        step(_LOAD, _ARCHITECTURE),
        step(_EQUALS, architecture, if_true=1),
        step(_RETURN, _KILL),
        step(_LOAD, _NUMBER),
        step(_AT_LEAST, _X32_CALLS, if_false=1),
        step(_RETURN, _REFUSE | _EPERM),
    ]
    for number in (*refused, _IO_URING_SETUP):
        program += [step(_EQUALS, number, if_false=1), step(_RETURN, _REFUSE | _EPERM)]
    # clone3 hides its flags from a filter; told it doesn't exist, the C library uses clone
    program += [step(_EQUALS, clone3, if_false=1), step(_RETURN, _REFUSE | _ENOSYS)]
    program += [
        step(_EQUALS, clone, if_false=3),
        step(_LOAD, _FIRST_ARGUMENT),
        step(_ANY_BIT, _CLONE_THREAD, if_true=1),
        step(_RETURN, _REFUSE | _EPERM),
        step(_RETURN, _ALLOW),
    ]
    compiled = _Program(len(program), b"".join(program))
    return _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(compiled))
