"""How long what is kept. Times are milliseconds."""

from dataclasses import dataclass

from api.records import forms
from api.records.rows import FormRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """The ages at which things go; docs/retention.md says why they are what they are."""

    rejected_ms: int
    """Bytes of a rejected upload."""
    failed_ms: int
    """Bytes of a failed one."""
    failed_warning_ms: int
    """So long before `failed_ms` is over an operator is warned."""
    draft_ms: int
    """A draft, since the person's last edit."""
    submitted_ms: int | None
    """A submitted form; None keeps it."""

    def expires_at(self, form: FormRow) -> int | None:
        """When the form is purged if nobody touches it; None when that isn't planned."""
        if form.status == forms.DRAFT:
            return None if form.edited_at is None else form.edited_at + self.draft_ms
        if self.submitted_ms is None or form.submitted_at is None:
            return None
        return form.submitted_at + self.submitted_ms
