"""A ZIP archive that nobody trusts: its list is read within a bound, its entries within budgets."""

import errno
import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from worker.formats.verdicts import too_complex

LIST_BYTES = 4 << 20
"""Of the list of entries: more than 40,000 of them, where a long document with a picture on every
page has a thousand. Each costs half a kilobyte of memory."""
CHUNK_BYTES = 64 << 10
_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, ValueError)
_ENCRYPTED = 1


class BrokenArchiveError(Exception):
    """It is cut off or damaged, or written in a way that no word processor writes."""


class _Bounded(io.BufferedReader):
    """The library asks for the whole list at once, as long as the archive says that it is."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > LIST_BYTES:
            raise too_complex("list_bytes", LIST_BYTES, size)
        return super().read(LIST_BYTES if size is None or size < 0 else size)


@contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Raises, for what is read inside it too, `BrokenArchiveError`; and `FileRejected` with
    `file-too-complex` for a list that is over its bound."""
    try:
        with _Bounded(io.FileIO(path)) as file, zipfile.ZipFile(file) as archive:
            yield archive
    except _BROKEN as error:
        raise BrokenArchiveError(str(error)) from error
    except OSError as error:
        if error.errno != errno.EINVAL:  # not an offset of the archive's, but the disk
            raise
        raise BrokenArchiveError("an offset leads out of the file") from error


def beginning(archive: zipfile.ZipFile, name: str, size: int) -> bytes:
    """Up to `size` bytes of the entry `name`; nothing where there is none or it is encrypted."""
    entry = archive.NameToInfo.get(name)
    if entry is None or is_encrypted(entry):
        return b""
    with archive.open(entry) as opened:
        return opened.read(size)


def is_encrypted(entry: zipfile.ZipInfo) -> bool:
    return bool(entry.flag_bits & _ENCRYPTED)
