"""Forms: create, judge, submit, purge."""

from dataclasses import asdict, dataclass, field
from typing import Any

from api.access.tokens import hash_token, new_token
from api.forms.sections import Edits, edits_of_json
from api.forms.values import VALUE_PROBLEMS, missing, problem_of
from api.records import forms, lifecycle, uploads
from api.records.database import Transaction
from api.records.rows import FormRow, UploadRow
from api.services import Services
from api.texts.errors import Problem
from api.uploads import uploads as use_uploads
from api.uploads.quotas import Beginner, check_text
from shared.form_definition import FileField, FormType
from shared.ids import new_id
from shared.status import PENDING, TERMINAL, UploadStatus


@dataclass(frozen=True, slots=True)
class Given:
    """What only a back end gives with a form."""

    success_redirect: str | None = None
    """Where a post from a page of its own leads when all is well."""
    error_redirect: str | None = None
    """And where if not."""
    metadata: Any = None
    """Any JSON: nothing is done with it."""


NOTHING_GIVEN = Given()


async def create(
    services: Services,
    type_name: str,
    data: dict[str, Any],
    reference: str | None,
    *,
    beginner: Beginner | None,
    given: Given = NOTHING_GIVEN,
) -> tuple[FormRow, str, Edits]:
    """A new draft, its token (shown once, stored hashed), and what of `data` was ignored.

    `beginner` is None for a service key, whose drafts nobody counts. Raises `Problem`
    unknown-form-type, form-full or too-many-forms.
    """
    form_type = services.form_types.get(type_name)
    if form_type is None:
        types = ", ".join(services.form_types)
        raise Problem(
            "unknown-form-type",
            f"There is no form type {type_name[:50]!r}. There is {types}.",
            field="type",
            params={"types": types},
        )
    edits = edits_of_json(form_type, data, below=("data",))
    kept = {name: value for name, value in edits.text.items() if value is not None}
    check_text(services.settings, kept)
    token = new_token()

    def created(tx: Transaction) -> FormRow:
        row = forms.create(
            tx,
            form_id=new_id("frm"),
            form_type=type_name,
            reference=reference,
            token_hash=hash_token(token),
            data=kept,
            **asdict(given),
        )
        if beginner:  # after the create, which lets one draft begin after the other
            beginner.count(tx)
        return row

    row = await services.database.write(created)
    return row, token, edits


def value_problems(form_type: FormType, data: dict[str, Any]) -> list[dict[str, str]]:
    """What is wrong with the values a draft keeps."""
    found = [
        problem_of(each, data.get(name))
        for name, each in form_type.fields.items()
        if not isinstance(each, FileField)
    ]
    return [problem for problem in found if problem]


@dataclass(slots=True)
class Verdict:
    """What stands between a form and being whole."""

    pending: list[UploadRow] = field(default_factory=list)
    errors: list[dict[str, str]] = field(default_factory=list)
    """Of values and of required files: the person must act."""
    notices: list[dict[str, str]] = field(default_factory=list)
    failed: list[UploadRow] = field(default_factory=list)
    """Our fault: submitting goes on, completeness waits."""
    withheld: list[UploadRow] = field(default_factory=list)
    """Kept aside until the back end decides: the person has done their part."""

    @property
    def complete(self) -> bool:
        return not (self.pending or self.errors or self.failed or self.withheld)


def judge(form_type: FormType, form: FormRow, rows: list[UploadRow]) -> Verdict:
    """Judge the values and the newest upload of each slot (protocol P10)."""
    verdict = Verdict()
    for name, each in form_type.fields.items():
        if isinstance(each, FileField):
            of_field = [row for row in rows if row.field == name and row.status not in TERMINAL]
            _judge_files(each, of_field, verdict)
        else:
            value = form.data.get(name)
            problem = missing(each, value) or problem_of(each, value)
            if problem:
                verdict.errors.append(problem)
    return verdict


def _judge_files(each: FileField, rows: list[UploadRow], verdict: Verdict) -> None:
    newest = list({row.slot: row for row in rows}.values())  # rows come oldest first
    stored = [row for row in rows if row.status is UploadStatus.STORED]
    bad_slots = {row.slot for row in newest if row.status is UploadStatus.REJECTED}
    stored_slots = {row.slot for row in stored}
    verdict.pending += [
        row
        for row in rows
        if row.status in PENDING
        and (row in newest or row.slot in bad_slots - stored_slots)  # an older one may still do
    ]
    failed = [row for row in newest if row.status is UploadStatus.FAILED]
    rejected = [row for row in newest if row.status is UploadStatus.REJECTED]
    verdict.failed += failed
    verdict.withheld += [row for row in stored if row.withheld]
    if stored or not each.required:
        verdict.notices += [_notice(each, row, kept=bool(stored)) for row in rejected]
    elif not failed and not any(row.status in PENDING for row in newest):
        code = "upload-rejected" if rejected else "required"
        detail = VALUE_PROBLEMS[code].format(label=each.label)
        if rejected and rejected[-1].error:
            detail = str(rejected[-1].error["detail"])
        verdict.errors.append({"field": each.name, "code": code, "detail": detail})


def _notice(each: FileField, row: UploadRow, *, kept: bool) -> dict[str, str]:
    reason = str((row.error or {}).get("detail", ""))
    detail = f"{each.label}: {'the earlier file is kept. ' if kept else ''}{reason}"
    return {"field": each.name, "code": "upload-rejected", "detail": detail}


async def submit(services: Services, form: FormRow) -> None:
    """Close the form to the person. Raises `Problem` uploads-pending or form-incomplete."""
    form_type = services.form_types[form.type]

    def submitted(tx: Transaction) -> None:
        locked = forms.lock(tx, form.id)
        use_uploads.check_draft(locked)
        verdict = judge(form_type, locked, uploads.of_form(tx.conn, form.id))
        if verdict.pending:
            names = [
                {"id": row.id, "field": row.field, "filename": row.filename, "status": row.status}
                for row in verdict.pending
            ]
            raise Problem("uploads-pending", headers={"Retry-After": "1"}, extra={"uploads": names})
        if verdict.errors:
            raise Problem(
                "form-incomplete",
                errors=[{"pointer": f"/{each['field']}", **each} for each in verdict.errors],
            )
        forms.submit(tx, locked)

    await services.database.write(submitted)


async def purge(services: Services, form: FormRow, *, always: bool) -> None:
    """Erase the form: at once for everybody outside, its bytes and objects soon after. The person
    may while it is a draft, a service key `always`."""

    def purged(tx: Transaction) -> None:
        locked = forms.lock(tx, form.id)
        if not always:
            use_uploads.check_draft(locked)
        purge_locked(tx, locked)

    await services.database.write(purged)


def purge_locked(tx: Transaction, form: FormRow) -> None:
    """The same within a transaction that locked the form."""
    for row in uploads.of_form(tx.conn, form.id):
        if row.status not in TERMINAL:
            lifecycle.end(tx, row, UploadStatus.REMOVED)
    forms.purge(tx, form)
    uploads.forget_personal(tx, form.id)
