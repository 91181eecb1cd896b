"""When a form is purged if nobody touches it."""

from api.records import forms
from api.records.rows import FormRow
from api.settings.retention import Retention


def expires_at(form: FormRow, retention: Retention) -> int | None:
    """Milliseconds since 1970; None where no end is planned."""
    if form.status == forms.DRAFT:
        return None if form.edited_at is None else form.edited_at + retention.draft_ms
    if retention.submitted_ms is None or form.submitted_at is None:
        return None
    return form.submitted_at + retention.submitted_ms
