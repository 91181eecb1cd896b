"""Give up, for good, everything a decoder doesn't need.

Resource limits hold everywhere. Landlock (files) and seccomp (network, processes) need no
privilege and work inside containers, where user namespaces are usually forbidden; a kernel without
them leaves the child with less around it, and the result says so. All of it must happen while the
process has one thread.
"""

import resource
import sys
from collections.abc import Iterable
from pathlib import Path

from worker.confinement import landlock
from worker.confinement.limits import die_with, limit, limit_cpu, take_no_privileges
from worker.decoder.seccomp import allow_only_decoding

__all__ = ["NEEDED_WHEN_LOADED", "confine", "die_with"]

MEMORY_BYTES = 3 << 30
"""Address space. Images of over 100 MB decoded go to a temporary file instead of memory; a WebP is
there as a whole, and more than once, while it is read and while it is written."""
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

_OWN = landlock.READ_FILE | landlock.READ_DIR | landlock.WRITE_FILE | landlock.TRUNCATE
_OWN |= landlock.MAKE_FILE | landlock.REMOVE_FILE


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
    limit_cpu(cpu_seconds)
    limit(resource.RLIMIT_FSIZE, FILE_BYTES)
    limit(resource.RLIMIT_NOFILE, OPEN_FILES)
    limit(resource.RLIMIT_CORE, 0)
    if sys.platform != "linux":
        return []  # a developer's machine: the rest has no counterpart there
    limit(resource.RLIMIT_AS, MEMORY_BYTES)
    die_with(parent_pid)
    take_no_privileges()
    held = []
    files = dict.fromkeys(_libraries() if readable is None else readable, landlock.READ)
    files |= {staged: landlock.READ_FILE, scratch: _OWN}
    if landlock.leave_files(files.items()):
        held.append("files")
    if allow_only_decoding():
        held += ["network", "processes"]
    return held


def _libraries() -> set[Path]:
    """What Python and the decoders load and use: not the checkout, which has more in it."""
    root = Path(__file__).parents[2]
    imports = {Path(entry) for entry in sys.path if entry and Path(entry) != root}
    system = {Path("/usr"), Path("/lib"), Path("/lib64"), Path("/etc/ld.so.cache")}
    chance = Path("/dev/urandom")
    return imports | system | {chance, Path(sys.base_prefix), root / "worker", root / "shared"}
