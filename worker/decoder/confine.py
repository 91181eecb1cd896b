"""Give up, for good, everything a decoder doesn't need.

Resource limits hold everywhere. Landlock (files) and seccomp (network, processes) need no
privilege and work inside containers, where user namespaces are usually forbidden; a kernel without
them leaves the child with less around it, and the result says so. All of it must happen while the
process has one thread.
"""

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

from worker.decoder.landlock import close_files
from worker.decoder.seccomp import allow_only_decoding

MEMORY_BYTES = 2 << 30
"""Address space. Images of over 100 MB decoded go to a temporary file instead of memory."""
FILE_BYTES = 1 << 30
"""Of each file written, that temporary one included: 100 megapixels of 16 bits and alpha fit."""
OPEN_FILES = 64

NEEDED_WHEN_LOADED = tuple(
    map(
        Path,
        (
            "/dev/urandom",  # qpdf
            "/usr/share/fonts",  # pdfium, to draw what a PDF doesn't bring
            "/usr/local/share/fonts",
            "/usr/share/X11/fonts",
        ),
    )
)
"""All that decoders read besides the file, once they are loaded."""

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_libc = ctypes.CDLL(None, use_errno=True)


def confine(
    staged: Path,
    scratch: Path,
    *,
    cpu_seconds: int,
    parent_pid: int,
    readable: Iterable[Path] | None = None,
) -> list[str]:
    """Restrict this process to reading `staged` and writing inside `scratch`.

    `readable` is what else it may read: by default the libraries, which are still to be loaded.
    Returns which of `files`, `network` and `processes` the kernel closed. Dies with its parent.
    """
    # One second between them: the first ends the process with a signal that says why.
    _limit(resource.RLIMIT_CPU, cpu_seconds, hard=cpu_seconds + 1)
    _limit(resource.RLIMIT_FSIZE, FILE_BYTES)
    _limit(resource.RLIMIT_NOFILE, OPEN_FILES)
    _limit(resource.RLIMIT_CORE, 0)
    if sys.platform != "linux":
        return []  # a developer's machine: the rest has no counterpart there
    _limit(resource.RLIMIT_AS, MEMORY_BYTES)
    die_with(parent_pid)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    held = []
    if close_files(_libraries() if readable is None else readable, staged, scratch):
        held.append("files")
    if allow_only_decoding():
        held += ["network", "processes"]
    return held


def die_with(parent_pid: int) -> None:
    """Let the kernel kill this process when its parent ends, however that ends."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        sys.exit("the parent is gone")


def _limit(kind: int, value: int, hard: int | None = None) -> None:
    _, highest = resource.getrlimit(kind)
    wanted = (value, value if hard is None else hard)
    if highest != resource.RLIM_INFINITY:
        wanted = (min(wanted[0], highest), min(wanted[1], highest))
    resource.setrlimit(kind, wanted)


def _prctl(option: int, value: int) -> None:
    _libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0)


def _libraries() -> set[Path]:
    """What Python and the decoders load and use: not the checkout, which has more in it."""
    root = Path(__file__).parents[2]
    imports = {Path(entry) for entry in sys.path if entry and Path(entry) != root}
    system = {Path("/usr"), Path("/lib"), Path("/lib64"), Path("/etc/ld.so.cache")}
    chance = Path("/dev/urandom")
    return imports | system | {chance, Path(sys.base_prefix), root / "worker", root / "shared"}
