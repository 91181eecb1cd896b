"""All that must be on the volume and in the bucket, as the records have it."""

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Connection, RowMapping, or_, select

from api.records.tables import KEEPS_BYTES, uploads
from shared.inventory import Kept, KeptFile, KeptObject
from shared.status import UploadStatus
from shared.volume import STAGED

BATCH = 500
"""Uploads that are read at once."""
COLUMNS = ("id", "status", "size", "sha256", "bytes", "from_prefix", "from_name", "object")


class Batch(NamedTuple):
    kept: list[Kept]
    last: str | None
    """The last upload that was looked at; None when there was none any more."""


def kept_after(conn: Connection, upload_id: str) -> Batch:
    """What must be there of the next uploads, in the order of their ids."""
    rows = conn.execute(
        select(*(uploads.c[name] for name in COLUMNS), uploads.c.derivatives)
        .where(or_(KEEPS_BYTES, uploads.c.status == UploadStatus.STORED), uploads.c.id > upload_id)
        # what is here of one that isn't all here is in segments, whose SHA-256 nobody knows
        .where(uploads.c.status != UploadStatus.RECEIVING)
        .order_by(uploads.c.id)
        .limit(BATCH)
    ).mappings()
    found = list(rows)
    kept = [each for row in found for each in (*_received(row), *_stored(row))]
    return Batch(kept, found[-1]["id"] if found else None)


def _received(row: RowMapping) -> Iterator[Kept]:
    """The bytes that came: on the volume, or where another upload's are that it uses again."""
    if row["bytes"] != "kept":
        return
    known = {"upload_id": row["id"], "size": row["size"], "sha256": row["sha256"]}
    if row["from_prefix"] is None:
        yield KeptFile(path=f"{STAGED}/{row['id']}", **known)
    else:
        yield KeptObject(key=row["from_prefix"] + row["from_name"], **known)


def _stored(row: RowMapping) -> Iterator[Kept]:
    if row["status"] != UploadStatus.STORED:
        return
    for each in (row["object"], *row["derivatives"].values()):
        yield KeptObject(
            upload_id=row["id"], key=each["key"], size=each["size"], sha256=each["sha256"]
        )
