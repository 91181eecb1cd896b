"""Give up, for good, everything that LibreOffice doesn't need for one document.

As `worker.decoder.confine` does for a decoder, but for a program of others: it is started in what
is left here, and keeps that. It may use local sockets, which it can't start without, and the
kernel's Landlock keeps it from all that isn't its own. It may start no other process.
"""

import resource
import sys
from pathlib import Path

from worker.confinement import landlock
from worker.confinement.limits import die_with, limit, limit_cpu, take_no_privileges
from worker.confinement.seccomp import (
    BEGINNING,
    ENOSYS,
    allow_if,
    allow_threads,
    answer,
    install,
    is_known,
    number_of,
    numbers_in,
    refuse,
    refuse_from,
)

MEMORY_BYTES = 3 << 30
"""Address space, of which 1.2 GiB are libraries and arenas that are mapped and not used."""
FILE_BYTES = 512 << 20
"""Of each file written, the PDF being one."""
OPEN_FILES = 256

SOCKETS = Path("/tmp")  # noqa: S108 - the program knows no other place
"""Where LibreOffice insists on making its socket. It may make sockets there, and nothing else."""
_SYSTEM = (
    "/usr", "/lib", "/lib64", "/opt",
    "/etc/ld.so.cache", "/etc/fonts", "/etc/libreoffice", "/etc/localtime", "/etc/passwd",
    "/etc/nsswitch.conf", "/etc/papersize", "/var/cache/fontconfig", "/var/lib/libreoffice",
    "/var/spool/libreoffice",
    "/dev/urandom", "/dev/random", "/proc/cpuinfo", "/proc/meminfo",
)  # fmt: skip # a list of names reads better in rows
_OWN = landlock.EVERYTHING & ~landlock.EXECUTE & ~landlock.DEVICES

_REFUSED = """
fork 57 -; vfork 58 -; kill 62 129; tkill 200 130; ptrace 101 117; process_vm_readv 310 270;
process_vm_writev 311 271; mount 165 40; unshare 272 97; setns 308 268; keyctl 250 219;
add_key 248 217; request_key 249 218; bpf 321 280; perf_event_open 298 241; userfaultfd 323 282;
pidfd_send_signal 424 424; io_uring_setup 425 425; pidfd_open 434 434; pidfd_getfd 438 438
"""
"""Each name with its number on x86_64 and on aarch64. io_uring opens sockets past a filter."""
_SOCKET, _CLONE = number_of(41, 198), number_of(56, 220)
_CLONE3 = 435  # hides its flags from a filter; told it doesn't exist, the C library uses clone
_X32_CALLS = 0x40000000  # the same calls under other numbers
_AF_UNIX = 1


def confine(
    document: Path | None, own: Path, program: Path, *, cpu_seconds: int, parent_pid: int
) -> list[str]:
    """Restrict this process to reading `document` and the system's programs, and to its `own`
    folder. Dies with its parent.

    Returns which of `files`, `network` and `processes` the kernel closed: for what isn't, the
    container's walls are left.
    """
    limit_cpu(cpu_seconds)
    limit(resource.RLIMIT_FSIZE, FILE_BYTES)
    limit(resource.RLIMIT_NOFILE, OPEN_FILES)
    limit(resource.RLIMIT_CORE, 0)
    if sys.platform != "linux":
        return []
    limit(resource.RLIMIT_AS, MEMORY_BYTES)
    die_with(parent_pid)
    take_no_privileges()
    held = []
    if landlock.leave_files(_files(document, own, program).items()):
        held.append("files")
    if is_known() and install(_filter()):
        held += ["network", "processes"]
    return held


def _files(document: Path | None, own: Path, program: Path) -> dict[Path, int]:
    files = dict.fromkeys((*map(Path, _SYSTEM), program.parent.parent), landlock.READ)
    if document:
        files[document] = landlock.READ_FILE
    files[Path("/dev/null")] = landlock.READ_FILE | landlock.WRITE_FILE
    files[SOCKETS] = landlock.MAKE_SOCKET
    files[own] = _OWN
    return files


def _filter() -> bytes:
    """What reaches the network, other processes and the kernel's odder parts is refused."""
    return (
        BEGINNING
        + refuse_from(_X32_CALLS)
        + b"".join(map(refuse, numbers_in(_REFUSED)))
        + refuse(_CLONE3, ENOSYS)
        + allow_if(_SOCKET, 0, (_AF_UNIX,))
        + allow_threads(_CLONE)
        + answer()
    )
