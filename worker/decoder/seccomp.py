"""The system calls a decoder may make: a seccomp filter, in the instructions of classic BPF.

A list of what is allowed, because what isn't on it stays refused when kernels grow. Missing from it
on purpose: sockets, programs, new processes, other processes (signals, ptrace, their memory, their
limits, priorities and processors), files' owners and modes, System V and POSIX IPC, memory that no
limit counts (memfd), keys, mounts, namespaces, io_uring, bpf, perf and userfaultfd.
"""

import ctypes
import os
import platform
import struct

_ALLOWED = """
read 0 63; write 1 64; readv 19 65; writev 20 66; pread64 17 67; pwrite64 18 68; preadv 295 69;
pwritev 296 70; preadv2 327 286; pwritev2 328 287; lseek 8 62; close 3 57; close_range 436 436;
open 2 -; openat 257 56; stat 4 -; lstat 6 -; fstat 5 80; newfstatat 262 79; statx 332 291;
statfs 137 43; fstatfs 138 44; access 21 -; faccessat 269 48; faccessat2 439 439; readlink 89 -;
readlinkat 267 78; getdents 78 -; getdents64 217 61; getcwd 79 17; unlink 87 -; unlinkat 263 35;
rename 82 -; renameat 264 38; renameat2 316 276; ftruncate 77 46; fallocate 285 47; fsync 74 82;
fdatasync 75 83; sync_file_range 277 84; fadvise64 221 223; copy_file_range 326 285;
sendfile 40 71; dup 32 23; dup2 33 -; dup3 292 24; pipe 22 -; pipe2 293 59; eventfd2 290 19;
poll 7 -; ppoll 271 73; select 23 -; pselect6 270 72; epoll_create1 291 20; epoll_ctl 233 21;
epoll_wait 232 -; epoll_pwait 281 22;
mmap 9 222; munmap 11 215; mprotect 10 226; mremap 25 216; madvise 28 233; brk 12 214;
msync 26 227; mincore 27 232;
futex 202 98; futex_waitv 449 449; set_robust_list 273 99; set_tid_address 218 96; rseq 334 293;
membarrier 324 283; arch_prctl 158 -; exit 60 93; exit_group 231 94; sched_yield 24 124;
sched_getaffinity 204 123; sched_getparam 143 121; sched_getscheduler 145 120;
sched_get_priority_max 146 125; sched_get_priority_min 147 126; getcpu 309 168;
getpid 39 172; gettid 186 178; getppid 110 173; getuid 102 174; geteuid 107 175; getgid 104 176;
getegid 108 177; uname 63 160; sysinfo 99 179; times 100 153; getrusage 98 165; getrlimit 97 163;
getrandom 318 278; umask 95 166; time 201 -; gettimeofday 96 169; clock_gettime 228 113;
clock_getres 229 114; clock_nanosleep 230 115; nanosleep 35 101;
rt_sigaction 13 134; rt_sigprocmask 14 135; rt_sigreturn 15 139; rt_sigsuspend 130 133;
sigaltstack 131 132; restart_syscall 219 128
"""
"""Each name with its number on x86_64 and on aarch64."""

_AUDIT_NUMBERS = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_KILL, _TGKILL, _PRLIMIT = {"x86_64": (62, 234, 302), "aarch64": (129, 131, 261)}.get(
    platform.machine(), (0, 0, 0)
)
_CLONE, _PRCTL, _IOCTL, _FCNTL = {"x86_64": (56, 157, 16, 72), "aarch64": (220, 167, 29, 25)}.get(
    platform.machine(), (0, 0, 0, 0)
)
_CLONE_THREAD = 0x10000
_NAMES_OF_THREADS = (15, 16)  # PR_SET_NAME, PR_GET_NAME; a parent's death is to stay one's own
_HARMLESS_IOCTLS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""TCGETS and TIOCGWINSZ (is it a terminal?), FIONREAD, FIONBIO, FIONCLEX, FIOCLEX."""
_HARMLESS_FCNTLS = (0, 1, 2, 3, 4, 1030)
"""Duplicating and flags. Not F_SETOWN and F_SETSIG: a pipe could send others any signal."""
_NEW_SINCE = 424
"""From here on a number means the same everywhere. Told that such a call doesn't exist, the C
library uses an older one; clone3 among them, which hides its flags from a filter."""

_LOAD, _EQUALS, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_ALLOW, _REFUSE, _END = 0x7FFF0000, 0x00050000, 0x80000000
_EPERM, _ENOSYS = 1, 38
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
_libc = ctypes.CDLL(None, use_errno=True)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def allow_only_decoding() -> bool:
    """Refuse this process all other system calls, for good. False where no filter is known."""
    if platform.machine() not in _AUDIT_NUMBERS:
        return False
    own = os.getpid()
    steps = b"".join(
        (
            _FIRST,
            _allow_if(_KILL, 0, (own,)),
            _allow_if(_TGKILL, 0, (own,)),  # what abort() uses
            _allow_if(_PRLIMIT, 0, (0, own)),
            _LAST,
        )
    )
    program = _Program(len(steps) // _STEP_BYTES, steps)
    pointer = ctypes.byref(program)
    mode = ctypes.c_ulong(_SECCOMP_MODE_FILTER)
    return bool(_libc.prctl(_PR_SET_SECCOMP, mode, pointer, 0, 0) == 0)


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


_STEP_BYTES = len(_step(0, 0))


def _allow(number: int) -> bytes:
    return _step(_EQUALS, number, if_false=1) + _step(_RETURN, _ALLOW)


def _allow_if(number: int, argument: int, values: tuple[int, ...]) -> bytes:
    """Allow the call when the lower half of its argument is one of `values`, else refuse it."""
    checks = b"".join(_allow(value) for value in values)
    return _when(number, argument, checks)


def _when(number: int, argument: int, checks: bytes) -> bytes:
    steps = _step(_LOAD, _ARGUMENTS + 8 * argument) + checks + _step(_RETURN, _REFUSE | _EPERM)
    return _step(_EQUALS, number, if_false=len(steps) // _STEP_BYTES) + steps


def _numbers() -> list[int]:
    column = list(_AUDIT_NUMBERS).index(platform.machine()) + 1
    calls = [call.split() for call in _ALLOWED.split(";")]
    return [int(call[column]) for call in calls if call[column] != "-"]


def _first() -> bytes:
    """All of the program that is the same for every process."""
    if platform.machine() not in _AUDIT_NUMBERS:
        return b""
    thread = _step(_ANY_BIT, _CLONE_THREAD, if_false=1) + _step(_RETURN, _ALLOW)
    return b"".join(
        (
            _step(_LOAD, _ARCHITECTURE),
            _step(_EQUALS, _AUDIT_NUMBERS[platform.machine()], if_true=1),
            _step(_RETURN, _END),
            _step(_LOAD, _NUMBER),
            *(_allow(number) for number in _numbers()),
            _when(_CLONE, 0, thread),
            _allow_if(_PRCTL, 0, _NAMES_OF_THREADS),
            _allow_if(_IOCTL, 1, _HARMLESS_IOCTLS),
            _allow_if(_FCNTL, 1, _HARMLESS_FCNTLS),
        )
    )


_FIRST = _first()
_LAST = (
    _step(_AT_LEAST, _NEW_SINCE, if_false=1)
    + _step(_RETURN, _REFUSE | _ENOSYS)
    + _step(_RETURN, _REFUSE | _EPERM)
)
