"""Give up, for good, everything that LibreOffice doesn't need for one document.

As `worker.decoder.confine` does for a decoder, but for a program of others: it is started in what
is left here, and keeps that. It may use local sockets, which it can't start without, and the
kernel's Landlock keeps it from all that isn't its own. It may start no other process.
"""

import ctypes
import os
import platform
import resource
import signal
import struct
import sys
from pathlib import Path

MEMORY_BYTES = 3 << 30
"""Address space, of which 1.2 GiB are libraries and arenas that are mapped and not used."""
FILE_BYTES = 512 << 20
"""Of each file written, the PDF being one."""
OPEN_FILES = 256

_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 22, 38
_libc = ctypes.CDLL(None, use_errno=True)


def confine(
    document: Path | None, own: Path, program: Path, *, cpu_seconds: int, parent_pid: int
) -> None:
    """Restrict this process to reading `document` and the system's programs, and to its `own`
    folder. Dies with its parent."""
    limits = {
        resource.RLIMIT_CPU: cpu_seconds,
        resource.RLIMIT_FSIZE: FILE_BYTES,
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_CORE: 0,
    }
    if sys.platform == "linux":
        limits[resource.RLIMIT_AS] = MEMORY_BYTES
    for kind, value in limits.items():
        _, hard = resource.getrlimit(kind)
        lower = value if hard == resource.RLIM_INFINITY else min(value, hard)
        # One more second of the processor: the first limit's signal says why it ends.
        upper = lower + (kind == resource.RLIMIT_CPU and lower == value)
        resource.setrlimit(kind, (lower, upper if hard == resource.RLIM_INFINITY else lower))
    if sys.platform != "linux":
        return
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        sys.exit("the parent is gone")
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _close_files(document, own, program)
    _close_network_and_processes()


def _prctl(option: int, value: int, argument: object = 0) -> None:
    _libc.prctl(option, ctypes.c_ulong(value), argument, 0, 0)


# --- files: Landlock (linux/landlock.h)

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _MAKE_SOCKET = (1 << bit for bit in (0, 1, 2, 3, 9))
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_FIRST_RIGHTS = (1 << 13) - 1  # those of the first version, which later kernels know too
_DEVICES = 1 << 6 | 1 << 11  # making character and block devices
_MOVE, _MOVE_SINCE = 1 << 13, 2  # between folders
_TRUNCATE, _TRUNCATE_SINCE = 1 << 14, 3
_TCP, _TCP_SINCE = 0b11, 4  # bind and connect
_SCOPES, _SCOPES_SINCE = 0b11, 6  # abstract sockets, and signals to those outside
_OF_A_FILE = _EXECUTE | _READ_FILE | _WRITE_FILE | _TRUNCATE

SOCKETS = Path("/tmp")  # noqa: S108 - the program knows no other place
"""Where LibreOffice insists on making its socket. It may make sockets there, and nothing else."""
_SYSTEM = (
    "/usr", "/lib", "/lib64", "/opt",
    "/etc/ld.so.cache", "/etc/fonts", "/etc/libreoffice", "/etc/localtime", "/etc/passwd",
    "/etc/nsswitch.conf", "/etc/papersize", "/var/cache/fontconfig", "/var/lib/libreoffice",
    "/var/spool/libreoffice",
    "/dev/urandom", "/dev/random", "/proc/cpuinfo", "/proc/meminfo",
)  # fmt: skip # a list of names reads better in rows


def _close_files(document: Path | None, own: Path, program: Path) -> None:
    version = _libc.syscall(_CREATE_RULESET, None, 0, 1)
    if version < 1:
        return  # this kernel has no Landlock: the container's walls are what is left
    everything = _FIRST_RIGHTS
    everything |= _MOVE if version >= _MOVE_SINCE else 0
    everything |= _TRUNCATE if version >= _TRUNCATE_SINCE else 0
    handled = struct.pack("Q", everything)
    if version >= _TCP_SINCE:
        handled += struct.pack("Q", _TCP)
    if version >= _SCOPES_SINCE:
        handled += struct.pack("Q", _SCOPES)
    ruleset = _libc.syscall(_CREATE_RULESET, handled, len(handled), 0)
    if ruleset < 0:
        return
    for each in (*map(Path, _SYSTEM), program.parent.parent):
        _allow(ruleset, each, _READ)
    if document:
        _allow(ruleset, document, _READ_FILE)
    _allow(ruleset, Path("/dev/null"), _READ_FILE | _WRITE_FILE)
    _allow(ruleset, SOCKETS, _MAKE_SOCKET)
    _allow(ruleset, own, everything & ~_EXECUTE & ~_DEVICES)
    _libc.syscall(_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        target = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    rule = struct.pack("=Qi", rights if path.is_dir() else rights & _OF_A_FILE, target)
    _libc.syscall(_ADD_RULE, ruleset, 1, rule, 0)
    os.close(target)


# --- network and processes: a seccomp filter, in the instructions of classic BPF

_ARCHITECTURES = {
    # audit number; socket; clone; and what is refused outright: fork, vfork, kill, tkill, ptrace,
    # process_vm_readv, process_vm_writev, mount, unshare, setns, keyctl, add_key, request_key,
    # bpf, perf_event_open, userfaultfd
    "x86_64": (
        0xC000003E, 41, 56,
        (57, 58, 62, 200, 101, 310, 311, 165, 272, 308, 250, 248, 249, 321, 298, 323),
    ),
    "aarch64": (
        0xC00000B7, 198, 220,
        (129, 130, 117, 270, 271, 40, 97, 268, 219, 217, 218, 280, 241, 282),
    ),
}  # fmt: skip # numbers of one kind stand in one row
_REFUSED_EVERYWHERE = (424, 425, 434, 438)
"""pidfd_send_signal, io_uring_setup (it opens sockets past a filter), pidfd_open, pidfd_getfd."""
_CLONE3 = 435  # hides its flags from a filter; told it doesn't exist, the C library uses clone
_X32_CALLS = 0x40000000  # the same calls under other numbers
_CLONE_THREAD = 0x10000
_AF_UNIX = 1
_LOAD, _EQUALS, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data
_MODE_FILTER = 2
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_EPERM, _ENOSYS = 1, 38


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def _close_network_and_processes() -> None:
    if platform.machine() not in _ARCHITECTURES:
        return
    architecture, socket, clone, refused = _ARCHITECTURES[platform.machine()]

    def step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
        return struct.pack("=HBBI", code, if_true, if_false, value)

    def only(number: int, test: int, value: int) -> list[bytes]:
        """Allow the call if its first argument passes the test, else refuse it."""
        return [
            step(_EQUALS, number, if_false=4),
            step(_LOAD, _FIRST_ARGUMENT),
            step(test, value, if_false=1),
            step(_RETURN, _ALLOW),
            step(_RETURN, _REFUSE | _EPERM),
        ]

    program = [
        step(_LOAD, _ARCHITECTURE),
        step(_EQUALS, architecture, if_true=1),
        step(_RETURN, _KILL),
        step(_LOAD, _NUMBER),
        step(_AT_LEAST, _X32_CALLS, if_false=1),
        step(_RETURN, _REFUSE | _EPERM),
        *(
            one
            for number in (*refused, *_REFUSED_EVERYWHERE)
            for one in (step(_EQUALS, number, if_false=1), step(_RETURN, _REFUSE | _EPERM))
        ),
        step(_EQUALS, _CLONE3, if_false=1),
        step(_RETURN, _REFUSE | _ENOSYS),
        *only(socket, _EQUALS, _AF_UNIX),
        *only(clone, _ANY_BIT, _CLONE_THREAD),
        step(_RETURN, _ALLOW),
    ]
    compiled = _Program(len(program), b"".join(program))
    _prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(compiled))
