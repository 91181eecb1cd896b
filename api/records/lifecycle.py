"""What a transition of one upload does to the bytes, the objects and the uploads beside it."""

from collections.abc import Sequence

from api.records import cleaning, segments, uploads
from api.records.database import NOW, Transaction
from api.records.rows import Counted, Json, UploadRow
from shared.keys import flagged_prefix, generation_prefix
from shared.status import TERMINAL, UploadStatus

CLEANING_MARGIN_MS = 60_000
"""Beyond the time a worker has for its puts: none can land after its prefix was cleaned (P7)."""


def end_unapplied(
    tx: Transaction,
    upload: UploadRow,
    to: UploadStatus,
    **values: object,
) -> UploadRow:
    """Take a `processing` upload from its worker without using what it may have put."""
    _doom(tx, upload)
    return uploads.transition(tx, upload, to, claim_id=None, lease_until=None, stage=None, **values)


def reject(tx: Transaction, upload: UploadRow, **values: object) -> UploadRow:
    """The rejected outcome: the bytes are kept only if no newer upload waits in the slot, and of
    all that are rejected in a field for many only those of the newest."""
    rows = uploads.counted(tx.conn, upload.form_id)
    superseded = any(
        other.slot == upload.slot and other.seq > upload.seq and other.status not in TERMINAL
        for other in rows
    )
    if superseded:
        values["bytes"] = "condemned"
    kept = [  # oldest first
        other.id
        for other in rows
        if other.field == upload.field
        and other.status is UploadStatus.REJECTED
        and other.bytes == "kept"
    ]
    # a field for many keeps as many as it takes, of those that are rejected too
    surplus = kept[: max(len(kept) + 1 - int(upload.policy["max_files"]), 0)]
    if surplus:
        uploads.condemn(tx, surplus)
    return end_unapplied(
        tx, upload, UploadStatus.REJECTED, applied_generation=upload.generation, **values
    )


def store(tx: Transaction, upload: UploadRow, **values: object) -> UploadRow:
    """The stored outcome: everything older in its slot is `replaced` by it, and nothing newer
    (protocol P8)."""
    _replace_older(tx, upload)  # first: one upload a slot can be stored
    return _put_away(tx, upload, **values)


def withhold(tx: Transaction, upload: UploadRow, **values: object) -> UploadRow:
    """The stored outcome of a file that is kept and flagged: it doesn't hold its slot, and so
    replaces nothing until it is released."""
    return _put_away(tx, upload, withheld=True, **values)


def release(tx: Transaction, upload: UploadRow, *, public_url: str) -> UploadRow:
    """Let a withheld upload hold its slot: what a stored outcome replaces, this replaces."""
    _replace_older(tx, upload)
    return uploads.amend(tx, upload, withheld=False, released_at=NOW, public_url=public_url)


def _replace_older(tx: Transaction, upload: UploadRow) -> None:
    for other in uploads.older(tx.conn, upload):
        end(tx, other, UploadStatus.REPLACED)


def _put_away(tx: Transaction, upload: UploadRow, **values: object) -> UploadRow:
    return uploads.transition(
        tx,
        upload,
        UploadStatus.STORED,
        applied_generation=upload.generation,
        claim_id=None,
        lease_until=None,
        stage=None,
        bytes="condemned",
        **values,
    )


def end(
    tx: Transaction, upload: UploadRow, to: UploadStatus, *, error: Json | None = None
) -> UploadRow:
    """Replace, remove or expire an upload, or give up one that is being received, with an `error`:
    its bytes are condemned and its objects doomed."""
    if upload.status in (UploadStatus.PROCESSING, UploadStatus.STORED):
        _doom(tx, upload)
    ended = uploads.transition(
        tx,
        upload,
        to,
        bytes="gone" if upload.bytes == "gone" else "condemned",
        claim_id=None,
        lease_until=None,
        stage=None,
        error=error or upload.error,
    )
    if upload.status is UploadStatus.RECEIVING:  # the upload's row first, as its writers do
        segments.condemn(tx, upload.id)
    return ended


def condemn(tx: Transaction, upload: UploadRow, *, error: Json | None) -> None:
    """Let the bytes of a settled upload go, which keeps its status; `error` is what it shows."""
    if error != upload.error:
        uploads.amend(tx, upload, bytes="condemned", error=error)
    else:
        uploads.condemn(tx, [upload.id])


def condemn_rejected_before(tx: Transaction, upload: UploadRow, others: Sequence[Counted]) -> None:
    """A new upload is the newest of its slot: what was rejected there before needs no bytes.
    `others` are the form's, as they are under its lock."""
    older = [
        other.id
        for other in others
        if other.slot == upload.slot
        and other.seq < upload.seq
        and other.status is UploadStatus.REJECTED
        and other.bytes == "kept"
    ]
    if older:
        uploads.condemn(tx, older)


def _doom(tx: Transaction, upload: UploadRow) -> None:
    """Order the current generation's prefixes deleted. Earlier generations were doomed when they
    ended; an unapplied one waits until its worker can't put any more."""
    applied = upload.applied_generation == upload.generation
    last_put = (upload.work_until or 0) + CLEANING_MARGIN_MS
    for prefix in prefixes_of(upload):
        cleaning.order(tx, prefix, upload.form_id, not_before=None if applied else last_put)


def prefixes_of(upload: UploadRow) -> list[str]:
    """All that its current generation may put under: where its object goes, and where it goes
    flagged if its field keeps such files."""
    of_generation = (upload.key_base, upload.id, upload.generation)
    flagged = [flagged_prefix(*of_generation)] if upload.policy.get("flag") else []
    return [generation_prefix(*of_generation), *flagged]
