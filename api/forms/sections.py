"""Saving a section: text and files of a form, with one bad part losing nothing else."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from api.access.rights import check_draft
from api.forms.values import from_form, from_json, text_field, value_problem
from api.receive.sections import FilePart, SectionBody
from api.records import forms, lifecycle, uploads
from api.records.database import Transaction
from api.records.polled import PolledForm
from api.records.rows import Counted, FormRow, UploadRow
from api.services import Services
from api.texts.errors import Problem, error_of, pointer
from api.uploads.acknowledge import NewUpload, Refused, add_refused, deleting_unless_committed
from api.uploads.quotas import check_form, check_text, open_slots
from shared.form_definition import FileField, FormType
from shared.ids import new_id
from shared.status import UploadStatus

_NOTHING = ("", "0", 0, False)
MAX_ERRORS = 100
"""Of one answer: a form has fewer fields, and a body may have any number of unknown names."""


@dataclass(slots=True)
class Edits:
    """What a request wants changed, checked against the definition, not yet applied."""

    text: dict[str, str | bool | None] = field(default_factory=dict)
    """None takes the value away."""
    files: list[FilePart] = field(default_factory=list)
    cleared: list[str] = field(default_factory=list)
    """File fields whose uploads are to be removed."""
    ignored: list[dict[str, str]] = field(default_factory=list)
    problems: list[dict[str, str]] = field(default_factory=list)

    def ignore(self, name: str, reason: str) -> None:
        """Say in the answer that what came for this field was left aside, and why."""
        self.ignored.append({"field": name, "reason": reason})


@dataclass(frozen=True, slots=True)
class Saved:
    """A section after its commit."""

    edits: Edits
    received: bool
    """Whether a file was taken: then the answer is 202."""
    refused: list[UploadRow]
    """Files that were refused at once."""


def edits_of_json(
    form_type: FormType, patch: Mapping[str, Any], *, below: tuple[str, ...] = ()
) -> Edits:
    """A JSON merge-patch (RFC 7396) of the form's data, which stands `below` these members of the
    body.

    Raises `Problem` unknown-field, or invalid-request where all names are known; `errors` has
    everything that is wrong.
    """
    edits = Edits()
    wrong: list[Problem] = []
    for name, value in patch.items():
        try:
            _edit_of_json(form_type, edits, name, value)
        except Problem as problem:
            problem.errors = [
                {**each, "pointer": pointer(*below) + str(each["pointer"])}
                for each in problem.errors
            ]
            wrong.append(problem)
            if len(wrong) == MAX_ERRORS:  # there may be as many as fit into a body
                break
    if wrong:
        raise _all_of(wrong)
    return edits


def _edit_of_json(form_type: FormType, edits: Edits, name: str, value: Any) -> None:
    """Raises `Problem` unknown-field or invalid-request."""
    if name in form_type.file_fields:
        if value is None:
            edits.cleared.append(name)
        else:
            edits.ignore(name, "empty" if value == [] or value in _NOTHING else "not-a-file")
        return
    target = text_field(form_type, name)
    if target is None:
        raise unknown_field(form_type, name)
    edits.text[name] = None if value is None else from_json(target, value)


def _all_of(wrong: list[Problem]) -> Problem:
    """The first of them, or the first name that is unknown, with the `errors` of all."""
    first = min(wrong, key=lambda each: each.code != "unknown-field")
    first.errors = [error for each in wrong for error in each.errors][:MAX_ERRORS]
    return first


def edits_of_multipart(form_type: FormType, section: SectionBody) -> Edits:
    """Text and file parts by their names; unknown ones were refused while receiving."""
    edits = Edits(files=[file for file in section.files if file.name in form_type.file_fields])
    for name in section.empty:
        if name in form_type.file_fields:
            edits.ignore(name, "empty")
    for name in section.unreadable:
        if name in form_type.file_fields:
            edits.ignore(name, "not-a-file")
        else:
            edits.problems.append(value_problem(form_type.fields[name], "unreadable-text"))
    for part in section.text:
        target = text_field(form_type, part.name)
        if target is None:
            edits.ignore(part.name, "empty" if part.value in _NOTHING else "not-a-file")
        else:
            try:
                edits.text[part.name] = from_form(target, part.value)
            except Problem:  # one bad part loses nothing else: not the files beside it
                edits.problems.append(value_problem(target, "invalid-value"))
    for file in section.files:
        if file.name not in form_type.file_fields:
            edits.problems.append(value_problem(form_type.fields[file.name], "not-text"))
    return edits


async def save(
    services: Services, form: FormRow, edits: Edits, *, if_match: str | None, request_id: str
) -> Saved:
    """Apply everything that was received whole in one transaction.

    saved = await save(services, form, edits_of_json(form_type, body), if_match=None, request_id="")

    What doesn't fit into the form is left out, and named in the `problems` of `edits`. Raises
    `Problem` not-found, form-submitted or precondition-failed; then no file of it is kept.
    """
    form_type = services.form_types[form.type]
    mine = [file.received for file in edits.files if file.received]
    added: list[UploadRow] = []

    def applied(tx: Transaction) -> None:
        locked = forms.lock(tx, form.id)
        check_draft(locked)
        check_precondition(locked, if_match)
        if edits.text or edits.cleared or edits.files:
            forms.save_text(tx, locked, _fitting(services, form_type, locked, edits))
        for name in edits.cleared:
            _clear(tx, locked, name)
        rows: list[Counted] = [*uploads.counted(tx.conn, form.id)] if edits.files else []
        for file in edits.files:
            field_ = form_type.file_fields[file.name]
            of_field = [row for row in rows if row.field == field_.name]
            full = field_.max_files > 1 and open_slots(field_, of_field) < 1
            if not _fits(services, form_type, rows, file, full=full):
                edits.problems.append(value_problem(field_, "form-full"))
                continue
            row = _add(services, tx, locked, field_, file, rows, request_id, full=full)
            rows.append(row)
            added.append(row)

    async with deleting_unless_committed(services, mine, added):
        await services.database.write(applied)
    kept = {row.id for row in added if row.status is UploadStatus.STAGED}
    for row in added:
        if row.id in kept:
            services.queue.wake_soon(row.id, row.wake)
    for received in mine:
        if received.staged.name not in kept:
            with contextlib.suppress(Problem):  # the sweep finds it
                await services.staging.delete(received.staged.name)
    refused = [row for row in added if row.status is UploadStatus.REJECTED]
    return Saved(edits, received=bool(kept), refused=refused)


def check_precondition(form: FormRow, if_match: str | None) -> None:
    """`If-Match` compares what the person edited, not what the worker did meanwhile."""
    if if_match is None or if_match.strip() == "*":
        return
    tags = [tag.strip().removeprefix("W/").strip('"') for tag in if_match.split(",")]
    if not any(tag.split(".")[0] == str(form.edit) for tag in tags):
        raise Problem("precondition-failed", headers={"ETag": etag(form)})


def etag(form: FormRow | PolledForm) -> str:
    """What a form's ETag is made of: the person's edit, and every change.

    If-Match compares the edit alone, so that a worker's outcome makes no conflict.
    """
    return f'"{form.edit}.{form.version}"'


def unknown_field(form_type: FormType, name: str) -> Problem:
    """unknown-field, with the names that there are."""
    shown = name[:50]
    detail = f"This form has no field {shown!r}."
    fields = ", ".join(form_type.fields)
    return Problem(
        "unknown-field",
        f"{detail} It has {fields}.",
        field=shown,
        params={"fields": fields},
        errors=[error_of(shown, "unknown-field", detail)],
    )


def _merged(data: dict[str, Any], text: dict[str, str | bool | None]) -> dict[str, Any]:
    merged = {**data, **text}
    return {name: value for name, value in merged.items() if value is not None}


def _fitting(
    services: Services, form_type: FormType, form: FormRow, edits: Edits
) -> dict[str, Any]:
    """The form's values with the edits; as they were before where they are too long together,
    which is then a problem of each, and loses no file that came with them."""
    merged = _merged(form.data, edits.text)
    try:
        if edits.text:
            check_text(services.settings, merged)
    except Problem:
        if not edits.files:
            raise
        long = [target for name in edits.text if (target := text_field(form_type, name))]
        edits.problems += [value_problem(target, "form-too-long") for target in long]
        return form.data
    return merged


def _fits(
    services: Services, form_type: FormType, rows: list[Counted], file: FilePart, *, full: bool
) -> bool:
    """Whether the form holds this one too, be it only as a refused one without bytes."""
    try:
        more = file.size if file.received and not full else 0
        check_form(services.settings, form_type, rows, more=more)
    except Problem:
        return False
    return True


def _clear(tx: Transaction, form: FormRow, name: str) -> None:
    for row in uploads.live(tx.conn, form.id):
        if row.field == name:
            lifecycle.end(tx, row, UploadStatus.REMOVED)


def _add(
    services: Services,
    tx: Transaction,
    form: FormRow,
    field_: FileField,
    file: FilePart,
    others: list[Counted],
    request_id: str,
    *,
    full: bool,
) -> UploadRow:
    if file.received and not full:
        return NewUpload(services, field_, file.received, request_id).add(tx, form, others)
    refused = Refused(
        upload_id=new_id("upl"),
        filename=file.filename,
        declared_type=file.declared_type,
        size=file.size,
        code="too-many-files" if full else "file-too-large",
        params={"max_files": field_.max_files} if full else {"max_bytes": field_.max_bytes},
    )
    return add_refused(tx, form, field_, refused, others, request_id=request_id)
