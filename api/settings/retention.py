"""How long what is kept. Times are milliseconds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """The ages at which things go; docs/retention.md says why they are what they are."""

    receiving_ms: int
    """A resumable upload that isn't all here, since bytes of it came last."""
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
