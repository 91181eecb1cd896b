"""Pieces of a file that come in any order, several at once, and more than once.

    row = await put_piece(services, upload_id, Place(start, size), data)

Each is kept whole or not at all. The upload is one that was begun as `api/uploads/resumable.py`
begins it, and once nothing of it is missing it ends as all do.
"""

import hashlib
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import NamedTuple

from sqlalchemy import Connection

from api.access.rights import check_draft
from api.records import forms, pieces, segments, uploads
from api.records.database import CommitUnknown
from api.records.pieces import Placed
from api.records.rows import FormRow, SegmentRow, UploadRow
from api.services import Services
from api.staging.digest import Digest
from api.staging.folders import SEGMENTS
from api.staging.segments import Mark, SegmentWriter, feed
from api.staging.strands import CATCH_UP, Strand, digest_before, extents_of, run_of
from api.texts.errors import Problem
from api.uploads.admission import Admission
from api.uploads.finishing import finish
from api.uploads.resumable import MOST, UNNAMED, Announced, begin
from shared.crash_points import reached
from shared.ids import new_id
from shared.status import UploadStatus


class Place(NamedTuple):
    """Where in its file a piece belongs."""

    start: int
    size: int | None
    """Its bytes; None where its end shows how many they were."""
    filename: str = ""
    """What the client calls the whole, where it says so with each piece."""


class _Found(NamedTuple):
    upload: UploadRow
    form: FormRow
    is_here: bool
    """Whether the upload has these bytes."""
    strand: Strand | None
    """What this process has hashed."""
    unhashed: list[SegmentRow]
    """What is behind that, and before the piece."""


async def begin_once(services: Services, admission: Admission, announced: Announced) -> UploadRow:
    """Begin an upload in the name that the client gave it, or go on with it. Raises `Problem`
    key-reused where the file of that name is of another length, and as `begin` does."""
    found = await services.database.read(_named, admission)
    if found is None:
        return await begin(services, admission, announced)
    if found.size != announced.length:
        raise Problem("key-reused", field=admission.field.name)
    return found


async def put_piece(
    services: Services, upload_id: str, place: Place, data: AsyncIterator[bytes | memoryview]
) -> UploadRow:
    """Take the bytes of a piece, and return the upload as it is then. What raises in `data` leaves
    no trace; bytes that are here already are read, and the first ones stay.

    Raises `Problem` not-found, upload-gone, form-submitted, piece-mismatch, and as the volume, the
    end of an upload, and `data` do.
    """
    found = await _looked_up(services, upload_id, place)
    row = found.upload
    if row.status is UploadStatus.RECEIVING:
        check_draft(found.form)
        _check_place(row, place)
    if found.is_here:
        async for _ in data:  # so that it is answered, and doesn't come again
            pass
    else:
        await services.mount.require()
        row = await _Putting(services, found, place).run(data)
    if row.status is UploadStatus.RECEIVING and row.received == row.size:
        row = await finish(services, upload_id)
    return row


async def here_from_start(services: Services, upload_id: str) -> tuple[UploadRow, int]:
    """The upload, and how many of its first bytes are here without a hole. Raises `Problem`
    not-found, upload-gone."""
    row, _ = await services.database.read(_open, upload_id)
    if row.status is not UploadStatus.RECEIVING:
        return row, row.size
    end = 0
    for each in await services.database.scan(segments.of_upload, upload_id):
        if each.start > end:
            break
        end = each.end
    return row, end


def _named(conn: Connection, admission: Admission) -> UploadRow | None:
    winner = admission.winner_of(uploads.counted(conn, admission.form.id))
    return uploads.get(conn, winner.id) if winner else None


def _open(conn: Connection, upload_id: str) -> tuple[UploadRow, FormRow]:
    """An upload that takes bytes, or was all here: then a repeated piece changes nothing, whatever
    became of it. Raises `Problem` not-found, or upload-gone where it ended before its last byte."""
    row = uploads.get(conn, upload_id)
    form = forms.get(conn, row.form_id) if row else None
    if row is None or form is None or form.status == forms.PURGING:
        raise Problem("not-found")
    if row.status is not UploadStatus.RECEIVING and row.sha256 is None:
        raise Problem("upload-gone", field=row.field)
    return row, form


async def _looked_up(services: Services, upload_id: str, place: Place) -> _Found:
    strand = services.strands.of(upload_id)
    hashed = strand.segment.end if strand and strand.digest else 0

    def look(conn: Connection) -> _Found:
        row, form = _open(conn, upload_id)
        if row.status is not UploadStatus.RECEIVING:
            return _Found(row, form, is_here=True, strand=strand, unhashed=[])
        is_here = place.size == 0 or (
            place.size is not None and pieces.is_here(conn, upload_id, place.start, place.size)
        )
        near = 0 <= place.start - hashed <= CATCH_UP
        unhashed = pieces.between(conn, upload_id, hashed, place.start) if near else []
        return _Found(row, form, is_here, strand, unhashed)

    return await services.database.read(look)


def _check_place(row: UploadRow, place: Place) -> None:
    if place.start + (place.size or 0) > row.size:
        raise beyond_the_end()
    _check_size(row, place.start, place.size)


def _check_size(row: UploadRow, start: int, size: int | None) -> None:
    """Each piece but the last has its share, so that there are no more than `MOST`."""
    if size and size * MOST < row.size and start + size < row.size:
        raise Problem("piece-mismatch", f"A file comes in {MOST} chunks at most: make them larger.")


def beyond_the_end() -> Problem:
    """piece-mismatch, of a piece that has more bytes than fit where it belongs."""
    return Problem("piece-mismatch", "The chunk goes beyond its end.")


async def _catch_up(services: Services, upload: UploadRow) -> None:
    """Hash what has come out of order and has no hole before it by now. It is in the machine's
    memory yet, and the last piece isn't kept waiting for all of it. Never raises: what isn't hashed
    is read at the end."""
    strand = services.strands.of(upload.id)
    hash_, start = None, 0
    if strand and strand.digest:
        hash_, start = await strand.digest.value(), strand.segment.end
    if hash_ is None:
        hash_, start = hashlib.sha256(), 0
    with suppress(Problem):
        behind = await services.database.read(pieces.between, upload.id, start, upload.size)
        run = run_of(behind, start)
        for each in extents_of(run):
            await services.staging.run(feed, hash_, services.staging.root / SEGMENTS, each)
        if run:
            services.strands.keep_further(Strand(run[-1], Digest(hash_)))


class _Putting:
    """One piece on its way into a segment of its own."""

    def __init__(self, services: Services, found: _Found, place: Place) -> None:
        self._services = services
        self._upload = found.upload
        self._place = place
        self._name = new_id("seg")
        digest, before = digest_before(found.strand, found.unhashed, place.start)
        self._file = SegmentWriter(services.staging, self._name, Mark(0, digest), before=before)
        self._size = 0
        self._is_kept = False
        """Its file is the upload's; or nobody knows, which is the sweep's to find out."""

    async def run(self, data: AsyncIterator[bytes | memoryview]) -> UploadRow:
        """The upload with the piece. Raises as `put_piece` does."""
        try:
            async for chunk in data:
                await self._take(chunk)
            if self._place.size not in (None, self._size):
                raise Problem("piece-mismatch", "The chunk is shorter than it said.")
            _check_size(self._upload, self._place.start, self._size)
            return await self._acknowledged() if self._size else self._upload
        finally:
            await self._file.close()
            if not self._is_kept:
                with suppress(Problem):  # the sweep takes it, too
                    await self._services.staging.drop(SEGMENTS, self._name)

    async def _take(self, chunk: bytes | memoryview) -> None:
        self._size += len(chunk)
        most = self._place.size
        if most is None:
            most = self._upload.size - self._place.start
        if self._size > most:
            raise beyond_the_end()
        await self._file.write(chunk)

    async def _acknowledged(self) -> UploadRow:
        mark = await self._file.finish()
        segment = SegmentRow(
            name=self._name,
            upload_id=self._upload.id,
            start=self._place.start,
            size=mark.size,
            condemned=False,
        )
        placed = await self._placed(segment)
        reached("api-after-offset")
        if placed.is_new:
            if mark.digest:
                self._services.strands.keep_further(Strand(segment, mark.digest))
            if not mark.digest or placed.upload.received != segment.end:
                await _catch_up(self._services, placed.upload)
        return placed.upload

    async def _placed(self, segment: SegmentRow) -> Placed:
        services = self._services
        is_unnamed = self._upload.filename == UNNAMED
        self._is_kept = True  # until it is known not to be
        try:
            placed = await services.database.write(
                pieces.place,
                segment,
                filename=self._place.filename if is_unnamed else None,
                keep_ms=services.settings.retention.receiving_ms,
            )
        except CommitUnknown:
            raise
        except Problem:
            self._is_kept = False
            raise
        self._is_kept = placed is not None and placed.is_new
        if placed is None:  # it has ended, or was whole, meanwhile
            row, _ = await services.database.read(_open, self._upload.id)
            return Placed(row, is_new=False)
        return placed
