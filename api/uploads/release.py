"""Files that were kept although something was found in them: the back end decides."""

import structlog

from api.access.tokens import ServiceKey
from api.outside.links import object_url
from api.records import forms, lifecycle, uploads
from api.records.database import Transaction
from api.records.rows import UploadRow
from api.services import Services
from api.texts.errors import Problem
from shared.status import UploadStatus

log = structlog.get_logger()


async def release(services: Services, upload: UploadRow, *, by: ServiceKey) -> UploadRow:
    """Let a flagged upload be the value of its field, as a good one is; repeating it changes
    nothing. What it is flagged for stays with it.

    Raises `Problem` not-flagged where there is nothing to release: nothing was found in the file,
    or it is gone.
    """

    def done(tx: Transaction) -> tuple[UploadRow, bool]:
        forms.lock(tx, upload.form_id)
        row = uploads.get(tx.conn, upload.id)
        if row is None or row.status is not UploadStatus.STORED or not (row.flags and row.object):
            raise Problem("not-flagged", field=upload.field)
        if not row.withheld:
            return row, False
        url = object_url(services.settings, str(row.object["key"]))
        return lifecycle.release(tx, row, public_url=url), True

    row, is_new = await services.database.write(done)
    if not is_new:
        return row
    log.info("upload_released", upload_id=row.id, form_id=row.form_id, by=by.name)
    return row
