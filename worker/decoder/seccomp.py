"""The system calls a decoder may make.

A list of what is allowed, because what isn't on it stays refused when kernels grow. Missing from it
on purpose: sockets, programs, new processes, other processes (signals, ptrace, their memory, their
limits, priorities and processors), files' owners and modes, System V and POSIX IPC, memory that no
limit counts (memfd), keys, mounts, namespaces, io_uring, bpf, perf and userfaultfd.
"""

import os

from worker.confinement.seccomp import (
    BEGINNING,
    ENOSYS,
    EPERM,
    NEW_SINCE,
    allow,
    allow_if,
    allow_threads,
    answer,
    install,
    is_known,
    number_of,
    numbers_in,
    refuse_from,
)

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

_KILL, _TGKILL, _PRLIMIT = number_of(62, 129), number_of(234, 131), number_of(302, 261)
_CLONE, _PRCTL = number_of(56, 220), number_of(157, 167)
_IOCTL, _FCNTL = number_of(16, 29), number_of(72, 25)
_NAMES_OF_THREADS = (15, 16)  # PR_SET_NAME, PR_GET_NAME; a parent's death is to stay one's own
_HARMLESS_IOCTLS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""TCGETS and TIOCGWINSZ (is it a terminal?), FIONREAD, FIONBIO, FIONCLEX, FIOCLEX."""
_HARMLESS_FCNTLS = (0, 1, 2, 3, 4, 1030)
"""Duplicating and flags. Not F_SETOWN and F_SETSIG: a pipe could send others any signal."""


def allow_only_decoding() -> bool:
    """Refuse this process all other system calls, for good. False where no filter is known."""
    if not is_known():
        return False
    own = os.getpid()
    return install(
        _FIRST
        + allow_if(_KILL, 0, (own,))
        + allow_if(_TGKILL, 0, (own,))  # what abort() uses
        + allow_if(_PRLIMIT, 0, (0, own))
        + _LAST
    )


def _first() -> bytes:
    """All of the filter that is the same for every process."""
    if not is_known():
        return b""
    return (
        BEGINNING
        + b"".join(map(allow, numbers_in(_ALLOWED)))
        + allow_threads(_CLONE)
        + allow_if(_PRCTL, 0, _NAMES_OF_THREADS)
        + allow_if(_IOCTL, 1, _HARMLESS_IOCTLS)
        + allow_if(_FCNTL, 1, _HARMLESS_FCNTLS)
    )


_FIRST = _first()
_LAST = refuse_from(NEW_SINCE, ENOSYS) + answer(EPERM)
"""Told that a new call doesn't exist, the C library uses an older one; clone3 among them, which
hides its flags from a filter."""
