"""Which uploads of a form may be used again, and where the bytes of each are."""

from sqlalchemy import Connection

from api.receive.files import Earlier
from api.records import uploads
from api.records.rows import UploadRow
from api.texts.errors import Problem
from shared.formats import FORMATS, original_name
from shared.status import UploadStatus

REASONS = {
    "receiving": "The file is still arriving; use it again once it is here.",
    "failed": "The file could not be processed; have it tried again first.",
    "flagged": "The file is kept aside until it has been looked at.",
    "damaged": "The file is damaged; choose another one.",
    "infected": "The file contains a virus.",
    "gone": "The file is no longer here; send it again.",
}
"""Why an upload can't be used again: the `reason` in the params of upload-not-reusable."""
_REJECTED_FOR_GOOD = {"file-corrupt": "damaged", "file-infected": "infected"}
"""Codes that no other field would accept the file after."""


def earlier_of(row: UploadRow) -> Earlier:
    """What of it is used again: the bytes that were received while we have them, which the bucket
    does if nothing else was made of them or the original is kept; else the object.

    Raises `Problem` upload-not-reusable.
    """
    reason = _reason(row)
    if reason or row.sha256 is None:
        raise not_reusable(reason or "gone")
    received = Earlier(
        row.id, row.from_prefix, row.from_name, row.size, row.sha256, row.declared_type
    )
    return _in_bucket(row, received) if row.status is UploadStatus.STORED else received


def check_still_there(conn: Connection, earlier: Earlier) -> None:
    """Ask again under the form's lock: others may have come meanwhile. What was on the volume has
    a second name there by now, and needs the first no more.

    Raises `Problem` upload-not-reusable.
    """
    row = uploads.get(conn, earlier.id)
    if row is None:
        raise not_reusable("gone")
    now = earlier_of(row)
    if earlier.prefix and now.prefix != earlier.prefix:
        raise not_reusable("gone")


def not_reusable(reason: str) -> Problem:
    """The problem of an upload that can't be reused, with a sentence for the reason."""
    return Problem("upload-not-reusable", REASONS[reason], params={"reason": reason})


def _reason(row: UploadRow) -> str | None:
    match row.status:
        case UploadStatus.RECEIVING:
            return "receiving"
        case UploadStatus.FAILED:
            return "failed"
        case UploadStatus.STORED:
            return "flagged" if row.withheld else None
        case UploadStatus.REJECTED if code := _REJECTED_FOR_GOOD.get((row.error or {})["code"]):
            return code
    return None if row.bytes == "kept" else "gone"


def _in_bucket(row: UploadRow, received: Earlier) -> Earlier:
    object_ = row.object or {}
    folder, _, name = str(object_["key"]).rpartition("/")
    prefix = f"{folder}/"
    if object_["sha256"] == received.sha256:
        return Earlier(row.id, prefix, name, row.size, received.sha256, row.declared_type)
    if row.policy["keep_original"] and (of := FORMATS.get(row.detected_type or "")):
        name = original_name(of)
        return Earlier(row.id, prefix, name, row.size, received.sha256, row.declared_type)
    return Earlier(
        *(row.id, prefix, name),
        *(int(object_["size"]), str(object_["sha256"]), str(object_["content_type"])),
    )
