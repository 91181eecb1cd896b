"""Uploads past their deadline."""

import structlog

from api.records import stalled, uploads
from api.records.database import Database, Transaction
from api.records.rows import UploadRow
from api.texts.rejections import upload_error
from api.upkeep.each import Each, as_found
from shared.policy import FilePolicy
from shared.status import UploadStatus

log = structlog.get_logger()


class Overdue:
    """Ends uploads that nobody could promote in their time."""

    def __init__(self, database: Database, each: Each) -> None:
        self._database = database
        self._each = each

    async def fail_overdue(self) -> None:
        """Past its deadline an upload is visibly `failed`, with its bytes kept."""
        await self._each(await self._database.scan(stalled.overdue), self._fail)

    @staticmethod
    def _fail(tx: Transaction, row: UploadRow) -> None:
        current = as_found(tx, row)
        if current and current.deadline == row.deadline:
            policy = FilePolicy.model_validate(row.policy)
            error = upload_error("deadline-passed", {}, policy)
            uploads.transition(tx, current, UploadStatus.FAILED, error=error)
            log.error("upload_overdue", upload_id=row.id, form_id=row.form_id)
