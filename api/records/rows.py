"""Rows as the rest of the api sees them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from shared.status import UploadStatus

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class FormRow:
    """A form as it was read. Moments are milliseconds by the database's clock."""

    id: str
    type: str
    reference: str | None
    status: str
    token_hash: str
    data: Json
    version: int
    edit: int
    created_at: int
    updated_at: int
    submitted_at: int | None
    success_redirect: str | None
    error_redirect: str | None
    metadata: Any
    edited_at: int | None

    @classmethod
    def of(cls, row: Mapping[Any, Any]) -> Self:
        """From a row with all columns."""
        return cls(**row)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownUpload:
    """An upload as far as clients are shown it. Moments are milliseconds, by the database."""

    id: str
    form_id: str
    field: str
    slot: str
    status: UploadStatus
    stage: str | None
    version: int
    attempts: int
    filename: str
    size: int
    received: int | None
    """Acknowledged bytes of a resumable upload, of `size`; None of one that came whole."""
    sha256: str | None
    declared_type: str | None
    detected_type: str | None
    object: Json | None
    derivatives: dict[str, Json]
    notices: list[Json]
    flags: list[Json]
    withheld: bool
    """Flagged and not released: stored, and no value of its field."""
    released_at: int | None
    error: Json | None
    scan: Json | None
    public_url: str | None
    deadline: int
    """When a pending upload ends: `receiving` as `expired`, else as `failed`."""
    created_at: int
    updated_at: int

    @classmethod
    def of(cls, row: Mapping[Any, Any]) -> Self:
        """From a row with all columns."""
        values: dict[str, Any] = dict(row)
        values["status"] = UploadStatus(values["status"])
        return cls(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedUpload:
    """An upload as far as it matters to the others of its form, of which there may be hundreds."""

    id: str
    field: str
    slot: str
    seq: int
    key: str | None
    status: UploadStatus
    size: int
    bytes: str

    @classmethod
    def of(cls, row: Mapping[Any, Any]) -> Self:
        """From a row with these columns."""
        return cls(**{**row, "status": UploadStatus(row["status"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRow(ShownUpload):
    """An upload as it was read."""

    seq: int
    key: str | None
    generation: int
    applied_generation: int
    claim_id: str | None
    work_until: int | None
    lease_until: int | None
    lost_generations: list[int]
    decoder_deaths: int
    backoffs: int
    next_attempt_at: int
    wake: int
    wakes_unanswered: int
    wake_at: int
    bytes: str
    writer: int
    """Which request may add bytes to a resumable upload: the last one that began."""
    announced_sha256: str | None
    """What the client said the whole of a resumable upload is."""
    tus_metadata: str | None
    """As the client sent it."""
    from_id: str | None
    """The upload of the form that it reuses."""
    from_prefix: str | None
    """Where in the bucket its bytes are; None where they are on the volume."""
    from_name: str | None
    policy: Json
    key_base: str
    request_id: str | None


Counted = CountedUpload | UploadRow
"""One that is counted, be it known whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRow:
    """A file of what one process has received of a resumable upload."""

    name: str
    upload_id: str
    start: int
    size: int
    condemned: bool

    @property
    def end(self) -> int:
        """Where in the upload the next byte comes."""
        return self.start + self.size

    @classmethod
    def of(cls, row: Mapping[Any, Any]) -> Self:
        """From a row with all columns."""
        return cls(**{**row, "condemned": bool(row["condemned"])})
