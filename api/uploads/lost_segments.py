"""A resumable upload of which the volume has lost acknowledged bytes ends, visibly.

It can't become its file any more, and who sends it would otherwise be told for hours to try again.
"""

import structlog

from api.records import forms, lifecycle, segments, uploads
from api.records.database import Transaction
from api.records.rows import UploadRow
from api.services import Services
from api.staging.segments import lost
from api.staging.strands import extents_of
from api.texts.rejections import upload_error
from shared.policy import FilePolicy
from shared.status import UploadStatus

log = structlog.get_logger()


async def end_if_lost(services: Services, upload_id: str) -> None:
    """End the upload as `failed` if bytes of it aren't on the volume, which is the right one; who
    asks for it is told upload-gone from then on, and begins anew. Called where a segment wasn't as
    it should be: this is the second look."""
    its_segments = await services.database.scan(segments.of_upload, upload_id)
    names = await services.staging.run(lost, services.staging.root, extents_of(its_segments))
    if names and await services.mount.matches():
        row = await services.database.write(_failed, upload_id)
        if row:
            log.error("segments_lost", upload_id=row.id, form_id=row.form_id, names=names)


def _failed(tx: Transaction, upload_id: str) -> UploadRow | None:
    """The upload; None where it wasn't being received any more, so that nothing of it is lost."""
    row = uploads.get(tx.conn, upload_id)
    if row:
        forms.lock_any(tx, row.form_id)
        row = uploads.hold(tx, upload_id)
    if row is None or row.status is not UploadStatus.RECEIVING:
        return None
    error = upload_error("bytes-lost", {}, FilePolicy.model_validate(row.policy))
    return lifecycle.end(tx, row, UploadStatus.FAILED, error=error)
