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

from api.access.rights import check_draft
from api.receive.body import Body, ClientGone
from api.receive.files import check_size
from api.receive.names import clean_filename
from api.receive.turns import locked
from api.receive.tus import Checksum
from api.records import forms, segments, staged, uploads, wake_ups
from api.records.database import Moment, Transaction
from api.records.rows import SegmentRow, UploadRow
from api.services import Services
from api.staging.segments import SegmentLost
from api.texts.errors import Problem
from api.uploads.acknowledge import rules_of
from api.uploads.admission import Admission
from api.uploads.appending import Appending
from api.uploads.finishing import find, finish, give_up
from api.uploads.lost_segments import end_if_lost
from shared.status import UploadStatus

UNNAMED = "file"
MOST = 10_000
"""Segments of one upload: each is a file on the volume until the last byte has come."""


@dataclass(frozen=True, slots=True)
class Announced:
    """What the client says of a file before it sends it."""

    length: int
    filename: str = ""
    declared_type: str | None = None
    tus_metadata: str | None = None
    """As it came, to be given back."""


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


async def begin_with_bytes(
    services: Services,
    admission: Admission,
    announced: Announced,
    body_of: Callable[[int], Body],
    checksum: Checksum | None = None,
) -> UploadRow:
    """Begin an upload by a request that brings its first bytes. Where it breaks off, or they are
    refused, nobody is told the address: unless a key finds the upload again it is removed, as it
    would keep its form from being submitted.

    Raises as `begin` and `append` do.
    """
    row = await begin(services, admission, announced)
    if row.received:  # a key that is repeated
        return row
    try:
        return await append(services, row.id, 0, body_of, checksum)
    except (Problem, ClientGone):
        if admission.key is None:
            with suppress(Problem):  # it expires
                await give_up(services, row.id)
        raise


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
            return await finish(services, upload_id)
        row = (await services.database.read(find, upload_id)).row  # unless that has ended it
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
        body = body_of(row.size - offset)  # which may refuse
        if offset == row.size:
            async with turn.reading():
                async for _ in body:  # which refuses as soon as anything comes
                    pass
            if checksum and not checksum.is_of(b""):
                raise Problem("checksum-mismatch")
        else:
            await services.mount.require()
            appending = Appending(
                services, row, services.strands.take(upload_id, its_segments), checksum
            )
            try:
                row = await appending.run(turn, body)
            except SegmentLost:
                await end_if_lost(services, upload_id)
                await services.database.read(find, upload_id)  # which may say that it is gone
                raise
        if row.status is UploadStatus.RECEIVING and row.received == row.size:
            row = await finish(services, upload_id)
    return row


def _preempted(tx: Transaction, upload_id: str) -> UploadRow:
    return segments.preempt(tx, upload_id) or find(tx.conn, upload_id).row


def _taken(tx: Transaction, upload_id: str, offset: int) -> tuple[UploadRow, list[SegmentRow]]:
    """The upload, with nobody before us able to move it; or as it is when it is all here."""
    found = find(tx.conn, upload_id)
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
        find(tx.conn, upload_id)
        raise locked()
    its_segments = segments.of_upload(tx.conn, upload_id)
    if its_segments and its_segments[-1].end != offset:
        raise Problem("piece-mismatch", "This upload comes in pieces, and some are missing.")
    if len(its_segments) >= MOST:  # each request came to another process
        raise Problem("piece-mismatch", "This upload came in too many pieces: make them larger.")
    return taken, its_segments


def _keep_ms(services: Services) -> int:
    return services.settings.retention.receiving_ms
