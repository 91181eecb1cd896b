"""Rows as clients see them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    Field,
)

from api.forms.completeness import judge, value_problems
from api.records import forms
from api.records.rows import FormRow, ShownUpload
from shared.form_definition import FormType
from shared.status import PENDING, UploadStatus, Verdict

POLL_AFTER_MS = 1000
HIDDEN = {UploadStatus.REMOVED, UploadStatus.EXPIRED}
"""Not listed in their form."""


Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
"""RFC 3339, in UTC."""


class Progress(BaseModel):
    received: int
    total: int


def _is_unknown(value: int | None) -> bool:
    return value is None


IfKnown = Annotated[int | None, Field(exclude_if=_is_unknown)]
"""Left out where the file has no such thing."""


class ObjectView(BaseModel):
    """What is in the bucket."""

    content_type: str
    size: int
    sha256: str
    width: IfKnown = None
    height: IfKnown = None
    pages: IfKnown = None


class UploadError(BaseModel):
    code: str
    detail: str
    params: dict[str, Any]
    retryable: bool


class NoticeView(BaseModel):
    code: str
    detail: str
    params: dict[str, Any] = {}


class FlagView(BaseModel):
    """A finding for which the file is kept aside, in place of being rejected."""

    code: str
    detail: str
    params: dict[str, Any]


class ScanView(BaseModel):
    """What the virus scanner said, and when that was reported."""

    verdict: Verdict
    at: Moment


class UploadView(BaseModel):
    """An upload's status resource."""

    id: str
    url: str
    form_id: str
    field: str
    status: UploadStatus
    stage: Annotated[str | None, Field(description="what a worker is at, while `processing`")]
    filename: str
    size: int
    declared_type: str | None
    detected_type: str | None
    sha256: Annotated[str | None, Field(description="of the bytes received")]
    progress: Progress
    public_url: Annotated[
        str | None, Field(description="its address for your records; the object is private")
    ]
    object: ObjectView | None
    derivatives: Annotated[dict[str, ObjectView], Field(description="smaller ones, by name")]
    notices: Annotated[list[NoticeView], Field(description="found in a file that is good")]
    flags: Annotated[
        list[FlagView],
        Field(description="what the back end has to decide on: no `public_url` until it does"),
    ]
    released_at: Annotated[Moment | None, Field(description="when it did")]
    error: UploadError | None
    scan: Annotated[ScanView | None, Field(description="null where no scanner was asked (yet)")]
    attempts: int
    created_at: Moment
    updated_at: Moment
    expires_at: Annotated[
        Moment | None, Field(description="while `receiving`: it ends then, unless more bytes come")
    ]
    poll_after_ms: Annotated[
        int | None, Field(description="ask again after so long; null once it is final")
    ]


class LinkView(BaseModel):
    """Where an object can be fetched, for a while."""

    url: str
    expires_at: Moment


class Ignored(BaseModel):
    field: str
    reason: str


class ValueProblem(BaseModel):
    field: str
    code: str
    detail: str


class FormView(BaseModel):
    """A form's record with its uploads, oldest first."""

    id: str
    type: str
    reference: str | None
    metadata: Annotated[Any, Field(description="what the back end gave with it, any JSON")]
    status: Literal["draft", "submitted"]
    complete: Annotated[
        bool,
        Field(description="nothing is missing, wrong, pending, failed or kept aside"),
    ]
    version: Annotated[int, Field(description="grows with every change")]
    edit: Annotated[int, Field(description="grows when the person edits")]
    data: Annotated[
        dict[str, Any],
        Field(description="values by field; of a file field the `public_url` of what is stored"),
    ]
    uploads: dict[str, list[UploadView]]
    ignored: Annotated[list[Ignored], Field(description="sent for a file field, and no file")]
    problems: Annotated[list[ValueProblem], Field(description="what submit would refuse")]
    created_at: Moment
    updated_at: Moment
    submitted_at: Moment | None
    expires_at: Annotated[
        Moment | None,
        Field(description="purged then, unless the person goes on with the draft before"),
    ]


class FormEvent(BaseModel):
    """What a stream says of the form itself."""

    version: int
    status: Literal["draft", "submitted"]
    complete: bool
    edit: Annotated[int, Field(description="grows when the person edits")]


class FormList(BaseModel):
    """One page of forms, oldest first."""

    forms: list[FormView]
    next: str | None
    """Send it as `after` for the next page; null on the last one."""


class NewFormView(FormView):
    token: str
    """Shown this once."""


def upload_view(row: ShownUpload, base_url: str) -> UploadView:
    shown = row.status is UploadStatus.STORED
    return UploadView(
        id=row.id,
        url=f"{base_url}/v1/uploads/{row.id}",
        form_id=row.form_id,
        field=row.field,
        status=row.status,
        stage=row.stage,
        filename=row.filename,
        size=row.size,
        declared_type=row.declared_type,
        detected_type=row.detected_type,
        sha256=row.sha256,
        progress=Progress(
            received=row.size if row.received is None else row.received, total=row.size
        ),
        public_url=row.public_url if shown else None,
        object=ObjectView.model_validate(row.object) if shown and row.object else None,
        derivatives={
            name: ObjectView.model_validate(each)
            for name, each in (row.derivatives if shown else {}).items()
        },
        notices=[NoticeView.model_validate(each) for each in row.notices],
        flags=[FlagView.model_validate(each) for each in row.flags],
        released_at=None if row.released_at is None else timestamp(row.released_at),
        error=UploadError.model_validate(row.error) if row.error else None,
        scan=_scan_view(row),
        attempts=row.attempts,
        created_at=timestamp(row.created_at),
        updated_at=timestamp(row.updated_at),
        expires_at=timestamp(row.deadline) if row.status is UploadStatus.RECEIVING else None,
        poll_after_ms=POLL_AFTER_MS if row.status in PENDING else None,
    )


def _scan_view(row: ShownUpload) -> ScanView | None:
    """By which signatures stays in the record: people could try out what they don't know."""
    if row.scan is None:
        return None
    return ScanView(verdict=row.scan["verdict"], at=timestamp(row.scan["at"]))


def form_view(
    form_type: FormType,
    form: FormRow,
    rows: Sequence[ShownUpload],
    base_url: str,
    *,
    expires_at: int | None = None,
    ignored: list[dict[str, str]] | None = None,
    problems: list[dict[str, str]] | None = None,
) -> FormView:
    """The record; `data` takes file attributes from the uploads and from nothing else (P8)."""
    found = judge(form_type, form, rows)
    submitted = form.status == forms.SUBMITTED
    return FormView(
        id=form.id,
        type=form.type,
        reference=form.reference,
        metadata=form.metadata,
        status=form.status,
        complete=found.complete,
        version=form.version,
        edit=form.edit,
        data={**form.data, **_file_values(form_type, rows)},
        uploads={
            name: [
                upload_view(row, base_url)
                for row in rows
                if row.field == name and row.status not in HIDDEN
            ]
            for name in form_type.file_fields
        },
        ignored=[Ignored.model_validate(each) for each in ignored or []],
        problems=[
            ValueProblem.model_validate(each)
            for each in [
                *value_problems(form_type, form.data),
                *(problems or []),
                *(found.notices if submitted else []),
            ]
        ],
        created_at=timestamp(form.created_at),
        updated_at=timestamp(form.updated_at),
        submitted_at=None if form.submitted_at is None else timestamp(form.submitted_at),
        expires_at=None if expires_at is None else timestamp(expires_at),
    )


def _file_values(form_type: FormType, rows: Sequence[ShownUpload]) -> dict[str, str | list[str]]:
    values: dict[str, str | list[str]] = {}
    for name, field in form_type.file_fields.items():
        urls = [
            row.public_url
            for row in rows
            if row.field == name
            and row.status is UploadStatus.STORED
            and not row.withheld
            and row.public_url
        ]
        if urls:
            values[name] = urls if field.max_files > 1 else urls[-1]
    return values


def timestamp(milliseconds: int) -> str:
    """RFC 3339, in UTC, to the millisecond."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
