"""What is known of a file that was read whole, so that nobody has to hash it again."""

import hashlib
import os
from pathlib import Path
from typing import IO, NamedTuple

_CHUNK = 1024 * 1024


class FileState(NamedTuple):
    """What becomes another when a file is written to, or another one put in its place."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int


class Hashed(NamedTuple):
    """A file as it was read, from a state that it was in before."""

    state: FileState
    size: int
    """The bytes that were read."""
    sha256: str
    """Of all of them, as a hex digest."""
    parts: tuple[bytes, ...]
    """SHA-256 of each part that it is put in: of the whole, where it is put as one."""


def hash_file(path: Path, part_bytes: int) -> Hashed:
    """Read the file at `path`, which is put in parts of `part_bytes` where it has so many."""
    whole, part, parts = hashlib.sha256(), hashlib.sha256(), []
    size, left = 0, part_bytes
    with path.open("rb", buffering=0) as file:
        state = state_of(file)
        in_parts = state.size >= part_bytes
        while chunk := file.read(min(_CHUNK, left)):
            size += len(chunk)
            whole.update(chunk)
            if in_parts:
                part.update(chunk)
                left -= len(chunk)
            if not left:
                parts.append(part.digest())
                part, left = hashlib.sha256(), part_bytes
    if left < part_bytes:
        parts.append(part.digest())
    return Hashed(state, size, whole.hexdigest(), tuple(parts) or (whole.digest(),))


def state_of(file: IO[bytes]) -> FileState:
    found = os.fstat(file.fileno())
    return FileState(
        found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
    )
