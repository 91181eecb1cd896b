"""Going over a folder of the volume a little at a time, however many files it holds."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

AT_ONCE = 1000
"""Entries that are looked at in one go: some milliseconds."""


class FolderPass:
    """Goes over the folder again and again. Not for several threads at the same time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._entries: Iterator[os.DirEntry[str]] | None = None

    def next_older_than(self, seconds: float) -> list[str]:
        """Of the next entries, the names of those that nobody has touched for so long. The go after
        the last entry starts at the first again. Raises `OSError`."""
        before = time.time() - seconds
        return [entry.name for entry in self._next() if _changed(entry) < before]

    def _next(self) -> Iterator[os.DirEntry[str]]:
        entries, self._entries = self._entries or os.scandir(self._folder), None
        for number, entry in enumerate(entries, 1):
            if not entry.name.startswith("."):  # NFS keeps what is open and unlinked as .nfs…
                yield entry
            if number == AT_ONCE:
                self._entries = entries
                return


def _changed(entry: os.DirEntry[str]) -> float:
    try:
        return entry.stat(follow_symlinks=False).st_mtime
    except FileNotFoundError:  # gone since it was listed
        return time.time()
