"""Named places where a test may have the process killed or stopped, as a power cut would.

Armed only by the setting CRASH_POINTS, a folder, which production refuses. A file in it with the
name of a point is taken away by the process that reaches the point first, and that process gets
the signal the file names: SIGKILL, or SIGSTOP for one that only stalls.
"""

import os
import signal
from pathlib import Path

_folder: Path | None = None


def arm(folder: Path | None) -> None:
    """Look into `folder` from now on; None looks nowhere."""
    global _folder  # noqa: PLW0603 - one switch for the process, set once at its start
    _folder = folder


def reached(name: str) -> None:
    """Say that the process is here. Unarmed, this is one comparison."""
    if _folder is not None:
        _meet(_folder / name)


def _meet(point: Path) -> None:
    taken = point.with_suffix(f".{os.getpid()}")
    try:
        point.rename(taken)  # of two processes that come here at once, one gets it
    except FileNotFoundError:
        return
    os.kill(os.getpid(), getattr(signal, taken.read_text().strip() or "SIGKILL"))
