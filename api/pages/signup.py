"""The signup's pages: one for each section, one to check and send, one for the end."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date

from starlette.responses import HTMLResponse

from api.html import addresses
from api.html.render import Site, render
from api.pages.files import FileLine, file_lines
from api.pages.models import Draft, Mistake, hindrances, mistakes
from api.pages.steps import steps
from api.records.rows import FormRow
from api.uploads.quotas import open_slots
from shared.form_definition import AnyField, FileField, Section
from shared.status import PENDING, UploadStatus

_AUTOCOMPLETE = {"email": "email", "tel": "tel", "url": "url", "full_name": "name"}
"""What browsers may fill in, by kind or name of a field (WCAG 2.2, 1.3.5)."""

_REFERENCE = slice(4, 12)
"""Of a form's id, 40 random bits: enough to tell forms apart, and few enough to read out."""


@dataclass(frozen=True, slots=True)
class FieldBox:
    """A field to fill in."""

    field: AnyField
    value: str | bool
    mistakes: list[Mistake]
    input_type: str
    autocomplete: str | None
    files: list[FileLine]
    room: int
    """How many more files it takes."""

    @property
    def described_by(self) -> str:
        """Ids of what a screen reader reads with the input."""
        name = self.field.name
        ids = [f"{name}-hint"] if self.field.hint else []
        ids += [f"{name}-problem"] if self.mistakes else []
        ids += [f"{name}-files"] if self.files else []
        return " ".join(ids)

    @property
    def replaces(self) -> bool:
        """Whether another file takes the place of one that is there."""
        return bool(self.files) and isinstance(self.field, FileField) and self.field.max_files == 1


@dataclass(frozen=True, slots=True)
class Answer:
    """A field on the page where answers are checked."""

    field: AnyField
    text: str
    files: list[FileLine]
    problem: str
    can_wait: bool
    """Whether the form can be sent in spite of the problem."""
    keeps: bool
    """Whether an earlier file counts, since the newer one can't be used."""
    change: str


def section_page(
    draft: Draft,
    section: Section,
    *,
    site: Site,
    missing: bool = False,
    unsaved: Sequence[str] = (),
    sent_before: bool = False,
) -> HTMLResponse:
    """A section to fill in. `missing` points out required answers that aren't there, `unsaved`
    names those that came and couldn't be kept; `sent_before` that this browser sent another."""
    wrong = mistakes(draft, missing=missing, unsaved=unsaved)
    names = {each.name for each in section.fields}
    own = [each for each in wrong if each.field in names]
    every_step = steps(draft, mistakes(draft, missing=False, unsaved=unsaved), section)
    position = draft.form_type.sections.index(section)
    return render(
        "section.html",
        site=site,
        form_type=draft.form_type,
        section=section,
        action=draft.action,
        form_url=draft.action if draft.form else None,
        steps=every_step,
        number=position + 1,
        back=draft.form_type.sections[position - 1] if position else None,
        mistakes=[(each, f"#{each.field}") for each in own],
        elsewhere=[each for each in every_step if each.state == "problem" and not each.current],
        boxes=[_box(draft, each, own) for each in section.fields],
        with_files=any(isinstance(each, FileField) for each in section.fields),
        pending=draft.pending,
        refresh=addresses.of_section(section, missing=missing),
        start_over=addresses.START_OVER if draft.form else None,
        sent_before=addresses.THANK_YOU if sent_before else None,
    )


def check_page(
    draft: Draft, *, site: Site, waited: bool = False, missing: bool = False
) -> HTMLResponse:
    """All answers, what is missing, and the button that sends them. It was pressed, if `waited`,
    and files are still being checked; if `missing`, and there was something in the way."""
    wrong = mistakes(draft, missing=True)
    in_the_way = hindrances(draft)
    answers = {
        section.name: [_answer(draft, each, wrong, in_the_way) for each in section.fields]
        for section in draft.form_type.sections
    }
    hindering = [each for each in wrong if each.field in in_the_way]
    return render(
        "check.html",
        site=site,
        form_type=draft.form_type,
        action=draft.action,
        steps=steps(draft, mistakes(draft, missing=False), None),
        number=len(draft.form_type.sections) + 1,
        mistakes=[
            (each, addresses.of_field(draft.form_type, each.field, missing=True))
            for each in hindering
        ],
        still_needed=not missing and all(each.code == "required" for each in hindering),
        sections=[(each, answers[each.name]) for each in draft.form_type.sections],
        left_out=[each for section in answers.values() for each in section if each.can_wait],
        pending=draft.pending,
        waited=waited and draft.pending,
        refresh=addresses.CHECK,
        start_over=addresses.START_OVER,
    )


def end_page(draft: Draft | None, *, site: Site) -> HTMLResponse:
    """What became of a form that was sent; None where this browser may not read it any more."""
    if draft is None or draft.form is None:
        return render("sent.html", site=site, start=addresses.START)
    files = [
        (each, lines)
        for each in draft.form_type.file_fields.values()
        if (lines := file_lines(each, draft.uploads))
    ]
    states = {line.status for _, lines in files for line in lines}
    unusable = [_unusable(each, lines) for each, lines in files]
    emails = [each.name for each in draft.form_type.fields.values() if each.kind == "email"]
    return render(
        "thank_you.html",
        site=site,
        form_type=draft.form_type,
        reference=reference_number(draft.form),
        email=next((draft.data[name] for name in emails if draft.data.get(name)), None),
        submitted_at=draft.form.submitted_at,
        files=files,
        answers=[
            (each, text)
            for each in draft.form_type.fields.values()
            if not isinstance(each, FileField) and (text := _text(draft, each))
        ],
        later=bool(states & {*PENDING, UploadStatus.FAILED}),
        unusable=[each for each in unusable if each],
        start=addresses.START,
        start_over=addresses.START_OVER,
    )


def _unusable(field: FileField, lines: list[FileLine]) -> str:
    """What it means that a file of a form that was sent was refused; nothing if none was."""
    refused = [line.filename for line in lines if line.status == UploadStatus.REJECTED]
    if not refused:
        return ""
    could_not = f"We could not use {', '.join(refused)}"
    if _keeps(field, lines):
        return f"{could_not}. We keep the file that you had sent before it."
    if field.required and len(refused) == len(lines):
        return f"{could_not}, so we have no file for “{field.label}” from you."
    return f"{could_not}. You sent the form without it."


def _keeps(field: AnyField, lines: list[FileLine]) -> bool:
    """Whether a field for one file has an earlier one, in whose place the newest can't be put."""
    states = [line.status for line in lines]
    return (
        isinstance(field, FileField)
        and field.max_files == 1
        and states[-1:] == [UploadStatus.REJECTED]
        and UploadStatus.STORED in states
    )


def reference_number(form: FormRow) -> str:
    """A form's reference number, which a person reads out to ask about it: the beginning of its id,
    `ABCD-EFGH`."""
    code = form.id[_REFERENCE].upper()
    return f"{code[:4]}-{code[4:]}"


def _box(draft: Draft, each: AnyField, wrong: list[Mistake]) -> FieldBox:
    own = [mistake for mistake in wrong if mistake.field == each.name]
    rows = [row for row in draft.uploads if row.field == each.name]
    # A date input shows nothing of a wrong date, which a draft keeps to be mended.
    plain = each.kind == "date" and any(mistake.code != "required" for mistake in own)
    return FieldBox(
        field=each,
        value=draft.data.get(each.name, ""),
        mistakes=own,
        input_type="text" if plain else each.kind,
        autocomplete=_AUTOCOMPLETE.get(each.name) or _AUTOCOMPLETE.get(each.kind),
        files=file_lines(each, rows) if isinstance(each, FileField) else [],
        room=max(open_slots(each, rows), 0) if isinstance(each, FileField) else 0,
    )


def _text(draft: Draft, each: AnyField) -> str:
    """What was answered, as people read it, such as `31 March 2030`."""
    value = draft.data.get(each.name, "")
    if each.kind == "checkbox":
        return "Yes" if value else "No"
    if each.kind == "date":
        with suppress(ValueError):  # a draft keeps wrong ones, which are shown as they are
            day = date.fromisoformat(value)
            return f"{day.day} {day:%B %Y}"
    return str(value)


def _answer(draft: Draft, each: AnyField, wrong: list[Mistake], in_the_way: set[str]) -> Answer:
    own = [mistake for mistake in wrong if mistake.field == each.name]
    files = file_lines(each, draft.uploads) if isinstance(each, FileField) else []
    return Answer(
        field=each,
        text=_text(draft, each),
        files=[line for line in files if line.status != UploadStatus.REJECTED],
        problem=own[0].detail if own else "",
        can_wait=bool(own) and each.name not in in_the_way,
        keeps=_keeps(each, files),
        change=addresses.of_field(draft.form_type, each.name, missing=bool(own)),
    )
