"""The end of a resumable upload whose bytes are all here: one file, and `staged` as any other."""

import hashlib
from contextlib import suppress
from typing import NamedTuple

from sqlalchemy import Connection

from api.access.rights import check_draft
from api.records import forms, lifecycle, segments, uploads, waiting, wake_ups
from api.records.database import NOW, Moment, Transaction
from api.records.rows import FormRow, SegmentRow, UploadRow
from api.services import Services
from api.staging.segments import Extent, SegmentLost, feed, join
from api.staging.strands import extents_of
from api.texts.errors import Problem
from api.uploads.lost_segments import end_if_lost
from shared.crash_points import reached
from shared.status import UploadStatus
from shared.volume import STAGED

ALL_HERE = frozenset({UploadStatus.STAGED, UploadStatus.PROCESSING, UploadStatus.STORED})
"""What an upload is after its last byte, as long as all goes well."""


class Found(NamedTuple):
    """An upload that can be gone on with, or is all here."""

    row: UploadRow
    form: FormRow


def find(conn: Connection, upload_id: str) -> Found:
    """Raises `Problem` not-found, or upload-gone where nothing of it is wanted any more."""
    row = uploads.get(conn, upload_id)
    form = forms.get(conn, row.form_id) if row else None
    if row is None or form is None or form.status == forms.PURGING:
        raise Problem("not-found")
    if row.status is not UploadStatus.RECEIVING and not _is_all_here(row):
        raise Problem("upload-gone", field=row.field)
    return Found(row, form)


def _is_all_here(row: UploadRow) -> bool:
    """Whether there is nothing for its sender to do."""
    if row.status is UploadStatus.FAILED:
        return waiting.is_retryable(row.status, row.error, row.bytes)
    return row.status in ALL_HERE


async def give_up(services: Services, upload_id: str) -> None:
    """Remove an upload that is being received and can't become what its client wants. Raises
    `Problem` not-found."""
    await services.database.write(_given_up, upload_id)


async def finish(services: Services, upload_id: str) -> UploadRow:
    """Make an upload whose bytes are all here one file, and `staged`. May be done again, and at
    the same time on another replica.

    Raises `Problem` not-found, upload-gone, form-submitted, digest-mismatch, and as the volume
    does.
    """
    async with services.turns.ending(upload_id):
        return await _finish(services, upload_id)


async def _finish(services: Services, upload_id: str) -> UploadRow:
    found, its_segments = await services.database.read(_with_segments, upload_id)
    row = found.row
    if row.status is not UploadStatus.RECEIVING:
        return row
    check_draft(found.form)
    try:
        sha256 = await _joined(services, row, its_segments)
    except SegmentLost:
        await end_if_lost(services, upload_id)
        row = (await services.database.read(find, upload_id)).row
        if row.status is UploadStatus.RECEIVING:
            raise
        return row  # another replica has finished it, and the sweep was here since
    if row.announced_sha256 not in (None, sha256):
        await give_up(services, row.id)  # what re-selects the file begins anew
        raise Problem("digest-mismatch", field=row.field)
    reached("api-before-finish")
    try:
        row = await services.database.write(_finished, services, row, sha256)
    except Problem:
        with suppress(Problem):  # the sweep would find it, too
            current = await services.database.read(uploads.get, upload_id)
            await _take_back(services, upload_id, current)
        raise
    await _take_back(services, upload_id, row)
    reached("api-after-commit")
    services.queue.wake_soon(row.id, row.wake)
    return row


async def _take_back(services: Services, upload_id: str, current: UploadRow | None) -> None:
    """Who joins late puts a file on the volume again that was taken off it meanwhile. Bytes that
    were given up once are never wanted again, so that it goes at once, and not as an orphan."""
    if current is None or current.bytes != "kept":
        await services.staging.delete(upload_id)


async def _joined(services: Services, row: UploadRow, its_segments: list[SegmentRow]) -> str:
    staging, extents = services.staging, extents_of(its_segments)
    digest, hashed = services.strands.hashed(row.id, its_segments)
    with staging.space.reserve(row.size if len(extents) > 1 else 0):
        await staging.run(join, staging.root, row.id, extents)
    reached("api-after-join")
    hash_ = await digest.value()
    if hash_ is None:  # something couldn't be read for it
        hash_, hashed = hashlib.sha256(), 0
    if hashed < row.size:
        rest = Extent(row.id, row.size - hashed, skip=hashed)
        await staging.run(feed, hash_, staging.root / STAGED, rest)
    return hash_.hexdigest()


def _with_segments(conn: Connection, upload_id: str) -> tuple[Found, list[SegmentRow]]:
    return find(conn, upload_id), segments.of_upload(conn, upload_id)


def _finished(tx: Transaction, services: Services, row: UploadRow, sha256: str) -> UploadRow:
    form = forms.lock(tx, row.form_id)
    current = find(tx.conn, row.id).row
    if current.status is not UploadStatus.RECEIVING:
        return current  # another replica was quicker
    check_draft(form)
    forms.touch(tx, form.id)
    finished = uploads.transition(
        tx,
        current,
        UploadStatus.STAGED,
        seq=uploads.NEWEST,
        sha256=sha256,
        created_at=NOW,
        deadline=Moment(int(services.settings.deadline_seconds * 1000)),
        **wake_ups.at_once(1),
    )
    segments.condemn(tx, row.id)
    lifecycle.condemn_rejected_before(tx, finished, uploads.counted(tx.conn, form.id))
    return finished


def _given_up(tx: Transaction, upload_id: str) -> None:
    row = uploads.lock(tx, upload_id)
    if row.status is UploadStatus.RECEIVING:
        lifecycle.end(tx, row, UploadStatus.REMOVED)
