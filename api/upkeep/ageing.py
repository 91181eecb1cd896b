"""What ages: bytes that nobody needs any more, and forms that nobody finished.

Found by an index, done in guarded transactions under the form's lock, as all of the sweep is;
nothing here deletes by itself. Bytes are condemned and unlinked later (protocol P5), forms are
purged as by request (P10). What still waits for a worker is never too old: it has a deadline.
"""

import structlog

from api.forms.closing import purge_locked
from api.records import aged, forms, lifecycle, uploads
from api.records.database import Database, Transaction
from api.records.rows import FormRow, UploadRow
from api.settings.retention import Retention
from api.texts.rejections import upload_error
from api.upkeep.each import Each
from shared.policy import FilePolicy
from shared.status import UploadStatus

log = structlog.get_logger()


class Ageing:
    """Ends what is past its age, by the settings that docs/retention.md explains."""

    def __init__(self, database: Database, retention: Retention, each: Each) -> None:
        self._database = database
        self._retention = retention
        self._each = each
        self._warned_until = 0

    async def drop_old_bytes(self) -> None:
        """Condemn the bytes of rejected and failed uploads that are past their age."""
        for status, kept_ms in (
            (UploadStatus.REJECTED, self._retention.rejected_ms),
            (UploadStatus.FAILED, self._retention.failed_ms),
        ):
            rows = await self._database.scan(aged.old_bytes, status, kept_ms)
            await self._each(rows, self._drop)

    def _drop(self, tx: Transaction, row: UploadRow) -> None:
        forms.lock_any(tx, row.form_id)
        current = uploads.get(tx.conn, row.id)
        unchanged = current and (current.status, current.bytes, current.updated_at) == (
            row.status,
            row.bytes,
            row.updated_at,
        )
        if not current or not unchanged:
            return  # tried again, replaced or removed meanwhile
        error = current.error
        if current.status is UploadStatus.FAILED:
            error = upload_error("bytes-expired", {}, FilePolicy.model_validate(current.policy))
        lifecycle.condemn(tx, current, error=error)
        log.info("old_bytes_condemned", upload_id=row.id, form_id=row.form_id, status=row.status)

    async def warn_of_ending_bytes(self) -> None:
        """Say once in each process of each failed upload, before its bytes go, that somebody should
        look at it."""
        retention = self._retention
        kept_ms = max(retention.failed_ms - retention.failed_warning_ms, 0)
        rows = await self._database.scan(
            aged.old_bytes, UploadStatus.FAILED, kept_ms, self._warned_until
        )
        for row in rows:
            log.warning(
                "failed_bytes_end_soon",
                upload_id=row.id,
                form_id=row.form_id,
                code=(row.error or {}).get("code"),
                until_ms=row.updated_at + retention.failed_ms,
            )
        if rows:
            self._warned_until = rows[-1].updated_at

    async def date_drafts(self) -> None:
        """Give drafts of an earlier version the time from which they age: now."""
        undated = await self._database.scan(aged.undated_drafts)
        if undated:
            await self._database.write(aged.date_drafts, undated)

    async def purge_old_forms(self) -> None:
        """Purge drafts that were abandoned, and submitted forms past their retention."""
        draft_ms, submitted_ms = self._retention.draft_ms, self._retention.submitted_ms
        scan = self._database.scan
        drafts = await scan(aged.old_drafts, draft_ms)
        submitted = await scan(aged.old_submitted, submitted_ms) if submitted_ms else []
        await self._each([*drafts, *submitted], self._purge)

    def _purge(self, tx: Transaction, form_id: str) -> None:
        form = forms.lock_any(tx, form_id)
        if form and self._is_old(tx, form):  # the person may have come back meanwhile
            purge_locked(tx, form)
            log.info("old_form_purged", form_id=form_id, status=form.status)

    def _is_old(self, tx: Transaction, form: FormRow) -> bool:
        retention = self._retention
        if form.status == forms.DRAFT:
            return bool(aged.old_drafts(tx.conn, retention.draft_ms, form.id))
        if retention.submitted_ms is None:
            return False
        return bool(aged.old_submitted(tx.conn, retention.submitted_ms, form.id))
