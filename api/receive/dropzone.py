"""Dropzone's chunks: what the fields of a multipart request say of the piece that its file is."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from api.texts.errors import Problem

FIELDS = (
    "dzuuid",
    "dzchunkindex",
    "dztotalfilesize",
    "dzchunksize",
    "dztotalchunkcount",
    "dzchunkbyteoffset",
)
"""All of them come with every chunk, before the file part. Where one is missing, nobody can tell
where the piece belongs."""
MAX_UUID = 100
_KEY = "dzuuid:"
"""Before the client's name for a file, so that no other key of the field is the same."""
_NUMBER = re.compile(r"[0-9]{1,18}")


class Chunk(NamedTuple):
    """A piece of a file, as its request says."""

    uuid: str
    """The client's name for the file."""
    total: int
    """Bytes of the whole file."""
    start: int
    """Where in the file its first byte is."""
    size: int
    """Its bytes."""

    @property
    def key(self) -> str:
        """Of the upload that it is a piece of."""
        return f"{_KEY}{self.uuid}"


def is_of_chunks(key: str | None) -> bool:
    """Whether an upload with this key came, or comes, in chunks."""
    return key is not None and key.startswith(_KEY)


def chunk_of(fields: Mapping[str, str]) -> Chunk | None:
    """The chunk that these fields tell of; None where some of them are missing.

    Raises `Problem` bad-request for what can't be read, file-empty, and piece-mismatch where they
    contradict each other: a client that cuts a file in one way says so in the same way each time.
    """
    if any(name not in fields for name in FIELDS):
        return None
    uuid = fields["dzuuid"]
    if not (0 < len(uuid) <= MAX_UUID and uuid.isprintable()):
        raise Problem("bad-request", f"dzuuid has 1 to {MAX_UUID} printable characters.")
    index, total, size, count, start = (_number(name, fields[name]) for name in FIELDS[1:])
    if total == 0:
        raise Problem("file-empty")
    if not size or count != -(-total // size) or index >= count or start != index * size:
        raise Problem("piece-mismatch", "What the chunk says of its place in the file can't be.")
    return Chunk(uuid, total, start, min(size, total - start))


def _number(name: str, sent: str) -> int:
    if not _NUMBER.fullmatch(sent.strip()):
        raise Problem("bad-request", f"{name} is no number.")
    return int(sent)
