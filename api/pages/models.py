"""A form as the signup's pages see it, and what in it the person must act on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from api.forms.completeness import judge, value_problems
from api.forms.values import value_problem
from api.html import addresses
from api.records.rows import FormRow, ShownUpload
from shared.form_definition import FileField, FormType
from shared.status import PENDING, TERMINAL, UploadStatus

_UNSAVED = {False: "invalid-value", True: "form-full"}
"""Why something that came isn't in the record, by whether it is a file."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A form as it is now; a new signup has no row yet."""

    form_type: FormType
    form: FormRow | None = None
    rows: Sequence[ShownUpload] = ()
    """All uploads it ever had, oldest first."""

    @property
    def data(self) -> Mapping[str, Any]:
        """The values by field; empty before the first is saved."""
        return self.form.data if self.form else {}

    @property
    def uploads(self) -> list[ShownUpload]:
        """Those that count. A refused file is history once another came after it, even one that
        was taken away again."""
        last = {row.slot: row for row in self.rows}
        return [
            row
            for row in self.rows
            if row.status not in TERMINAL
            and (row.status is not UploadStatus.REJECTED or row is last[row.slot])
        ]

    @property
    def pending(self) -> int:
        """Files that are still being checked."""
        return sum(row.status in PENDING for row in self.uploads)

    @property
    def action(self) -> str:
        """Where its pages post to; the first post creates the form."""
        return f"/v1/forms/{self.form.id}" if self.form else addresses.START


@dataclass(frozen=True, slots=True)
class Mistake:
    """Something the person must act on, told beside its field and at the top of the page."""

    field: str
    detail: str
    code: str


def mistakes(draft: Draft, *, missing: bool, unsaved: Sequence[str] = ()) -> list[Mistake]:
    """Of the whole form, in its order: wrong values, refused files; `missing` answers if asked,
    and `unsaved` ones, which came and couldn't be kept."""
    fields = draft.form_type.fields
    found = [_mistake(each) for each in value_problems(draft.form_type, dict(draft.data))]
    newest = {row.slot: row for row in draft.uploads}.values()
    found += [
        Mistake(row.field, f"{row.filename}: {reason(row)}", "upload-rejected")
        for row in newest
        if row.status is UploadStatus.REJECTED
    ]
    if missing:
        found += [_mistake(value_problem(fields[name], "required")) for name in unanswered(draft)]
    found += [
        _mistake(value_problem(fields[name], _UNSAVED[isinstance(fields[name], FileField)]))
        for name in unsaved
        if name in fields
    ]
    order = list(fields)
    return sorted(found, key=lambda each: order.index(each.field))


def unanswered(draft: Draft) -> set[str]:
    """Required fields without an answer or a file; a refused file is a mistake of its own."""
    if draft.form is None:
        return {name for name, each in draft.form_type.fields.items() if each.required}
    errors = judge(draft.form_type, draft.form, draft.uploads).errors
    return {each["field"] for each in errors if each["code"] == "required"}


def hindrances(draft: Draft) -> set[str]:
    """Fields for which the form can't be sent."""
    if draft.form is None:
        return unanswered(draft)
    return {each["field"] for each in judge(draft.form_type, draft.form, draft.uploads).errors}


def reason(row: ShownUpload) -> str:
    """Why a file was refused, or why we gave it up."""
    return str((row.error or {}).get("detail", "It can't be used"))


def _mistake(problem: dict[str, str]) -> Mistake:
    return Mistake(problem["field"], problem["detail"], problem["code"])
