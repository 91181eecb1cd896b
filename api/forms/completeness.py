"""What stands between a form and being whole: its values, and the newest upload of each slot
(protocol P10)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from api.forms.values import VALUE_PROBLEMS, missing, problem_of
from api.records.rows import FormRow, ShownUpload
from shared.form_definition import FileField, FormType
from shared.status import PENDING, TERMINAL, UploadStatus


def value_problems(form_type: FormType, data: dict[str, Any]) -> list[dict[str, str]]:
    """What is wrong with the values a draft keeps."""
    found = [
        problem_of(each, data.get(name))
        for name, each in form_type.fields.items()
        if not isinstance(each, FileField)
    ]
    return [problem for problem in found if problem]


@dataclass(slots=True)
class Completeness:
    """What stands between a form and being whole."""

    pending: list[ShownUpload] = field(default_factory=list)
    errors: list[dict[str, str]] = field(default_factory=list)
    """Of values and of required files: the person must act."""
    notices: list[dict[str, str]] = field(default_factory=list)
    failed: list[ShownUpload] = field(default_factory=list)
    """Our fault: submitting goes on, completeness waits."""
    withheld: list[ShownUpload] = field(default_factory=list)
    """Kept aside until the back end decides: the person has done their part."""

    @property
    def complete(self) -> bool:
        """Whether nothing is left to wait for or to do."""
        return not (self.pending or self.errors or self.failed or self.withheld)


def judge(form_type: FormType, form: FormRow, rows: Sequence[ShownUpload]) -> Completeness:
    """Judge the values and the newest upload of each slot (protocol P10).

    judge(form_type, form, uploads.shown(conn, form.id)).complete
    """
    found = Completeness()
    for name, each in form_type.fields.items():
        if isinstance(each, FileField):
            of_field = [row for row in rows if row.field == name and row.status not in TERMINAL]
            _judge_files(each, of_field, found)
        else:
            value = form.data.get(name)
            problem = missing(each, value) or problem_of(each, value)
            if problem:
                found.errors.append(problem)
    return found


def _judge_files(each: FileField, rows: Sequence[ShownUpload], found: Completeness) -> None:
    newest = list({row.slot: row for row in rows}.values())  # rows come oldest first
    stored = [row for row in rows if row.status is UploadStatus.STORED]
    bad_slots = {row.slot for row in newest if row.status is UploadStatus.REJECTED}
    stored_slots = {row.slot for row in stored}
    found.pending += [
        row
        for row in rows
        if row.status in PENDING
        and (
            row in newest
            or row.slot in bad_slots - stored_slots  # an older one may still do
            or row.received == row.size  # not a file yet, and the newest as soon as it is one
        )
    ]
    failed = [row for row in newest if row.status is UploadStatus.FAILED]
    rejected = [row for row in newest if row.status is UploadStatus.REJECTED]
    found.failed += failed
    found.withheld += [row for row in stored if row.withheld]
    if stored or not each.required:
        found.notices += [_notice(each, row, kept=bool(stored)) for row in rejected]
    elif not failed and not any(row.status in PENDING for row in newest):
        code = "upload-rejected" if rejected else "required"
        detail = VALUE_PROBLEMS[code].format(label=each.label)
        if rejected and rejected[-1].error:
            detail = str(rejected[-1].error["detail"])
        found.errors.append({"field": each.name, "code": code, "detail": detail})


def _notice(each: FileField, row: ShownUpload, *, kept: bool) -> dict[str, str]:
    reason = str((row.error or {}).get("detail", ""))
    detail = f"{each.label}: {'the earlier file is kept. ' if kept else ''}{reason}"
    return {"field": each.name, "code": "upload-rejected", "detail": detail}
