"""Uploads that come in several requests: begun, gone on with, and made a file like any other.

    row = await begin(services, admission, Announced(length=…, filename=…))
    row = await append(services, row.id, 0, body_of)     # and again, from `row.received` on
    row = await stand(services, row.id)                  # how far it is

When the last byte is in, `append` makes it `staged`: from there it is an upload as all are. What
`received` says was acknowledged, and is never lost (docs/decisions/0053-resumable-uploads.md).
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

import structlog
from sqlalchemy import Connection

from api.access.rights import check_draft
from api.receive.body import Body
from api.receive.files import check_size
from api.receive.names import clean_filename
from api.receive.turns import locked
from api.receive.tus import Checksum
from api.records import forms, lifecycle, segments, staged, uploads, wake_ups
from api.records.database import NOW, Moment, Transaction
from api.records.rows import FormRow, SegmentRow, UploadRow
from api.services import Services
from api.staging.segments import Piece, feed, join
from api.staging.strands import pieces_of
from api.texts.errors import Problem
from api.uploads.acknowledge import rules_of
from api.uploads.admission import Admission
from api.uploads.appending import Appending
from shared.crash_points import reached
from shared.status import UploadStatus
from shared.volume import STAGED

log = structlog.get_logger()

UNNAMED = "file"
ALL_HERE = frozenset(
    {UploadStatus.STAGED, UploadStatus.PROCESSING, UploadStatus.STORED, UploadStatus.FAILED}
)
"""What an upload is after its last byte, as long as there is nothing for its sender to do."""


@dataclass(frozen=True, slots=True)
class Announced:
    """What the client says of a file before it sends it."""

    length: int
    filename: str = ""
    declared_type: str | None = None
    tus_metadata: str | None = None
    """As it came, to be given back."""


class Found(NamedTuple):
    """An upload that can be gone on with, or is all here."""

    row: UploadRow
    form: FormRow


async def begin(services: Services, admission: Admission, announced: Announced) -> UploadRow:
    """Begin an upload of `announced.length` bytes, which is `receiving` until they are here, and
    takes up their room from now on. A key that was used before finds its upload, if that is as
    long.

    Raises `Problem` file-empty, file-too-large, form-submitted, too-many-files, form-full,
    storage-full, unavailable, key-reused.
    """
    staging = services.staging
    length = announced.length
    check_size(length, admission.field.max_bytes)
    promised = await services.database.scan(segments.receiving_bytes)
    staging.space.outstanding = promised.outstanding
    async with admission.open(least=length, most=length, holds_key=False):
        row = await services.database.write(_begun, services, admission, announced)
        staging.space.outstanding += length
    return row


def _begun(
    tx: Transaction, services: Services, admission: Admission, announced: Announced
) -> UploadRow:
    form = forms.lock(tx, admission.form.id)
    rows = uploads.counted(tx.conn, form.id)
    winner = admission.check(form, rows, more=announced.length)
    if winner:
        row = uploads.get(tx.conn, winner.id)
        if row is None or row.size != announced.length:
            raise Problem("key-reused", field=admission.field.name)
        return row
    staged.own(tx, admission.upload_id)  # so that no sweep takes its file for an orphan
    return uploads.create(
        tx,
        admission.upload_id,
        form.id,
        **rules_of(form, admission.field, admission.upload_id),
        key=admission.key,
        status=UploadStatus.RECEIVING,
        deadline=Moment(_keep_ms(services)),
        **wake_ups.never(),
        filename=clean_filename(announced.filename) or UNNAMED,
        size=announced.length,
        received=0,
        declared_type=announced.declared_type,
        announced_sha256=admission.digest,
        tus_metadata=announced.tus_metadata,
        bytes="kept",
        request_id=admission.request_id,
    )


async def stand(services: Services, upload_id: str) -> UploadRow:
    """The upload as it is once nobody writes to it: who did and is stalled keeps what it has, and
    can't add to it any more.

    Raises `Problem` not-found, upload-gone, or upload-locked while somebody here is writing.
    """
    await services.turns.free(upload_id)
    row = await services.database.note(_preempted, upload_id)
    if row.status is UploadStatus.RECEIVING and row.received == row.size:  # its api died at the end
        with suppress(Problem):  # whatever it is: all bytes are here, and the sweep goes on
            row = await finish(services, upload_id)
    return row


async def append(
    services: Services,
    upload_id: str,
    offset: int,
    body_of: Callable[[int], Body],
    checksum: Checksum | None = None,
) -> UploadRow:
    """Take more bytes, which come at `offset`; `body_of` makes their body, given how many may come.
    With a `checksum` all of them count or none.

    Of a body that breaks off what has come is kept, and what it raised is raised. Raises `Problem`
    not-found, upload-gone, form-submitted, wrong-offset, upload-locked, checksum-mismatch,
    digest-mismatch, and as the volume and the body do.
    """
    async with services.turns.taken(upload_id) as turn:
        row, its_segments = await services.database.note(_taken, upload_id, offset)
        if row.received is not None and row.received < row.size:
            body = body_of(row.size - offset)  # which may refuse
            appending = Appending(
                services, row, services.strands.take(upload_id, its_segments), checksum
            )
            row = await appending.run(turn, body)
        if row.status is UploadStatus.RECEIVING and row.received == row.size:
            row = await finish(services, upload_id)
    return row


def _preempted(tx: Transaction, upload_id: str) -> UploadRow:
    return segments.preempt(tx, upload_id) or _find(tx.conn, upload_id).row


def _taken(tx: Transaction, upload_id: str, offset: int) -> tuple[UploadRow, list[SegmentRow]]:
    """The upload, with nobody before us able to move it; or as it is when it is all here."""
    found = _find(tx.conn, upload_id)
    row = found.row
    if row.status is UploadStatus.RECEIVING:
        check_draft(found.form)
    at = row.received if row.received is not None else row.size
    if at != offset:
        raise Problem("wrong-offset", headers={"Upload-Offset": str(at)}, params={"offset": at})
    if at == row.size:
        return row, []
    taken = segments.take(tx, upload_id, offset)
    if taken is None:  # it has ended meanwhile, or another replica was quicker
        _find(tx.conn, upload_id)
        raise locked()
    its_segments = segments.of_upload(tx.conn, upload_id)
    if its_segments and its_segments[-1].end != offset:
        raise Problem("piece-mismatch", "This upload comes in pieces, and some are missing.")
    return taken, its_segments


def _find(conn: Connection, upload_id: str) -> Found:
    """Raises `Problem` not-found, or upload-gone where nothing of it is wanted any more."""
    row = uploads.get(conn, upload_id)
    form = forms.get(conn, row.form_id) if row else None
    if row is None or form is None or form.status == forms.PURGING:
        raise Problem("not-found")
    if row.status is not UploadStatus.RECEIVING and row.status not in ALL_HERE:
        raise Problem("upload-gone", field=row.field)
    return Found(row, form)


async def finish(services: Services, upload_id: str) -> UploadRow:
    """Make an upload whose bytes are all here one file, and `staged`. May be done again, and at
    the same time on another replica.

    Raises `Problem` not-found, upload-gone, form-submitted, digest-mismatch, and as the volume
    does.
    """
    found, its_segments = await services.database.read(_with_segments, upload_id)
    row = found.row
    if row.status is not UploadStatus.RECEIVING:
        return row
    check_draft(found.form)
    sha256 = await _joined(services, row, its_segments)
    if row.announced_sha256 not in (None, sha256):
        await services.database.write(_removed, row)
        raise Problem("digest-mismatch", field=row.field)
    reached("api-before-finish")
    row = await services.database.write(_finished, services, row, sha256)
    reached("api-after-commit")
    services.queue.wake_soon(row.id, row.wake)
    return row


async def _joined(services: Services, row: UploadRow, its_segments: list[SegmentRow]) -> str:
    staging, pieces = services.staging, pieces_of(its_segments)
    hash_, hashed = services.strands.hashed(row.id, its_segments)
    with staging.space.reserve(row.size if len(pieces) > 1 else 0):
        await staging.run(join, staging.root, row.id, pieces)
    reached("api-after-join")
    if hashed < row.size:
        rest = Piece(row.id, row.size - hashed, skip=hashed)
        await staging.run(feed, hash_, staging.root / STAGED, rest)
    return hash_.hexdigest()


def _with_segments(conn: Connection, upload_id: str) -> tuple[Found, list[SegmentRow]]:
    return _find(conn, upload_id), segments.of_upload(conn, upload_id)


def _finished(tx: Transaction, services: Services, row: UploadRow, sha256: str) -> UploadRow:
    form = forms.lock(tx, row.form_id)
    current = _find(tx.conn, row.id).row
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


def _removed(tx: Transaction, row: UploadRow) -> None:
    """It can't become what its client wants: what re-selects the file begins anew."""
    forms.lock(tx, row.form_id)
    current = uploads.get(tx.conn, row.id)
    if current and current.status is UploadStatus.RECEIVING:
        lifecycle.end(tx, current, UploadStatus.REMOVED)


def _keep_ms(services: Services) -> int:
    return services.settings.retention.receiving_ms
