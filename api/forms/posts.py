"""What an HTML form sends: a section saved, an upload removed, the form submitted, in one POST.

HTML forms know no PATCH and no DELETE, and send nothing for an unticked box. Here that becomes the
use cases that everybody else calls, and nothing else.
"""

from dataclasses import dataclass

from api.access.tokens import PERSON
from api.forms import closing, drafts, sections
from api.forms.completeness import value_problems
from api.receive.files import Received
from api.receive.sections import SectionBody
from api.records import uploads
from api.records.rows import CountedUpload, FormRow, ShownUpload, UploadRow
from api.services import Services
from api.texts.errors import Problem, wrong_member
from api.uploads.acknowledge import deleting_unless_committed
from api.uploads.quotas import Beginner
from api.uploads.retry_or_remove import remove
from shared.form_definition import CheckboxField, FormType, Section
from shared.status import PENDING, TERMINAL, UploadStatus

CONTROLS = frozenset({"section", "go", "remove", "submit", "token"})
"""Names in the body that are no fields; form definitions can't use them."""
CHECK_STEP = "check"
"""Where `go` leads besides sections: to the answers, to check them."""
SUBMIT_PATIENCE = 10.0
"""Seconds that a submit waits for files under way: a page without a script can't ask again."""


@dataclass(frozen=True, slots=True)
class Post:
    """A body, read."""

    section: Section | None
    go: str | None
    """The section that the person wants to go to after saving, or `CHECK_STEP`."""
    remove: list[str]
    submit: bool
    edits: sections.Edits

    @property
    def is_blank(self) -> bool:
        """Whether it is a page on which nothing was typed, ticked, chosen or asked for.

        A page sends its fields nevertheless: a post without any is a program's, which means it.
        """
        values = self.edits.text.values()
        typed = any(str(value).strip() for value in values if value)
        asked = self.go or self.remove or self.submit
        return bool(values) and not (typed or asked or self.edits.files or self.edits.problems)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one post of a page: what was saved, and what to show next."""

    form_type: FormType
    section: Section | None
    go: str | None
    saved: sections.Saved
    removed: list[UploadRow]
    wrong: list[dict[str, str]]
    """What of the section needs the person: values, and files that were refused at once, each with
    `field` and `code`, in the order of the form."""
    unsaved: list[str]
    """Fields whose values can't be kept at all."""
    submit: bool
    """Whether the person pressed the button."""
    refused: Problem | None
    """Why a submit came to nothing."""

    @property
    def to_mend(self) -> bool:
        """Something of the section needs the person."""
        return bool(self.wrong)


async def begin(
    services: Services,
    type_name: str,
    body: SectionBody,
    *,
    beginner: Beginner,
    request_id: str,
    client: str,
    even_blank: bool,
) -> tuple[FormRow, str, Outcome] | None:
    """A new draft with its first section, and its token. None where there is nothing to save, and
    a draft isn't wanted `even_blank`."""
    async with deleting_unless_committed(services, _received(body)):
        post = read(services.form_types[type_name], body)
        if post.is_blank and not even_blank:
            return None
        form, token, _ = await drafts.create(services, type_name, {}, None, beginner=beginner)
    outcome = await _apply(services, form, post, request_id=request_id, client=client)
    return form, token, outcome


async def take(
    services: Services,
    form: FormRow,
    body: SectionBody,
    *,
    request_id: str,
    client: str,
    by_browser: bool,
) -> Outcome:
    """Save, remove, submit: what of them the body asks for, in this order.

    `client` is whom a submit that waits is counted for. A program that sends a file again, other
    than a browser, means it.

    Typed values are kept whatever button was pressed. Raises `Problem` not-found for an upload
    that is not the form's.
    """
    async with deleting_unless_committed(services, _received(body)):
        post = read(services.form_types[form.type], body)
        if by_browser:
            await _leave_out_what_is_there(services, post.edits, await _uploads(services, form))
    return await _apply(services, form, post, request_id=request_id, client=client)


def read(form_type: FormType, body: SectionBody) -> Post:
    """Tell the controls from the fields; boxes of the section that are absent are unticked.

    Raises `Problem` bad-request or invalid-request.
    """
    if any(file.name in CONTROLS for file in body.files):
        raise Problem("bad-request", "A control of the form holds a file.")
    if CONTROLS & set(body.unreadable):
        raise Problem("bad-request", "A control of the form can't be read.")
    values = [part for part in body.text if part.name in CONTROLS]
    body.text = [part for part in body.text if part.name not in CONTROLS]
    section = _section(form_type, [part.value for part in values if part.name == "section"])
    edits = sections.edits_of_multipart(form_type, body)
    for field in section.fields if section else ():
        if isinstance(field, CheckboxField):
            edits.text.setdefault(field.name, False)
    return Post(
        section=section,
        go=_destination(form_type, [part.value for part in values if part.name == "go"]),
        remove=[part.value for part in values if part.name == "remove"],
        submit=any(part.name == "submit" for part in values),
        edits=edits,
    )


async def _apply(
    services: Services, form: FormRow, post: Post, *, request_id: str, client: str
) -> Outcome:
    files = [file.received for file in post.edits.files if file.received]
    async with deleting_unless_committed(services, files):
        removed = [await _named(services, form, upload_id) for upload_id in post.remove]
    saved = await sections.save(services, form, post.edits, if_match=None, request_id=request_id)
    for row in removed:
        await remove(services, row, by=PERSON)
    refused_files = [
        {"field": row.field, "code": str(row.error["code"])} for row in saved.refused if row.error
    ]
    wrong = [*_wrong_values(services, form, post), *saved.edits.problems, *refused_files]
    names = list(services.form_types[form.type].fields)
    refused = await _submit(services, form, client) if post.submit else None
    return Outcome(
        form_type=services.form_types[form.type],
        section=post.section,
        go=post.go,
        saved=saved,
        removed=removed,
        wrong=sorted(wrong, key=lambda each: names.index(each["field"])),
        unsaved=[problem["field"] for problem in saved.edits.problems],
        submit=post.submit,
        refused=refused,
    )


async def _submit(services: Services, form: FormRow, client: str) -> Problem | None:
    """Submit once no file is under way, or after a while; the reason where it can't be."""

    async def read() -> tuple[list[CountedUpload], int]:
        return await services.database.read(uploads.counted_at, form.id)

    await services.waiters.wait_until(
        form.id,
        read,
        lambda rows: not any(row.status in PENDING for row in rows),
        SUBMIT_PATIENCE,
        client=client,
    )
    try:
        await closing.submit(services, form)
    except Problem as problem:
        if problem.code not in ("uploads-pending", "form-incomplete"):
            raise
        return problem
    return None


def _wrong_values(services: Services, form: FormRow, post: Post) -> list[dict[str, str]]:
    """Of the section's fields, as they were sent."""
    sent = {name: value for name, value in post.edits.text.items() if value is not None}
    return value_problems(services.form_types[form.type], sent)


def _section(form_type: FormType, names: list[str]) -> Section | None:
    if not names:
        return None
    found = [section for section in form_type.sections if section.name == names[-1]]
    if not found:
        raise _no_such_section("section")
    return found[0]


def _destination(form_type: FormType, names: list[str]) -> str | None:
    if not names:
        return None
    if names[-1] not in {CHECK_STEP, *(section.name for section in form_type.sections)}:
        raise _no_such_section("go")
    return names[-1]


def _no_such_section(control: str) -> Problem:
    says = "This form has no such section."
    return wrong_member(control, "no such section", says=says)


async def _leave_out_what_is_there(
    services: Services, edits: sections.Edits, rows: list[ShownUpload]
) -> None:
    """A browser that goes back sends a section's files once more: what came under the same name
    with the same bytes, and is there or on its way, adds nothing."""
    there = {
        (row.field, row.filename, row.sha256)
        for row in _newest(rows)
        if row.status in {*PENDING, UploadStatus.STORED}
    }
    for file in list(edits.files):
        staged = file.received and file.received.staged
        if staged and (file.name, file.filename, staged.sha256) in there:
            edits.files.remove(file)
            edits.ignore(file.name, "already-there")
            await services.staging.delete(staged.name)


def _newest(rows: list[ShownUpload]) -> list[ShownUpload]:
    """The newest upload of each slot: in a field for one file, who chooses an earlier one again
    wants it back."""
    return list({row.slot: row for row in rows if row.status not in TERMINAL}.values())


def _received(body: SectionBody) -> list[Received]:
    return [file.received for file in body.files if file.received]


async def _uploads(services: Services, form: FormRow) -> list[ShownUpload]:
    return await services.database.read(uploads.shown, form.id)


async def _named(services: Services, form: FormRow, upload_id: str) -> UploadRow:
    found = await services.database.read(uploads.get, upload_id)
    if found is None or found.form_id != form.id:
        raise Problem("not-found")
    return found
