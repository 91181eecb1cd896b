"""The signup's pages: one for each section, one to check and send, one to say thank you."""

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.responses import HTMLResponse

from api.forms import judge
from api.pages import addresses
from api.pages.models import Draft, FileLine, field_box, file_line, mistakes, pending, steps
from api.pages.pages import render
from shared.form_definition import AnyField, FileField, Section
from shared.status import UploadStatus


@dataclass(frozen=True, slots=True)
class Answer:
    """A field on the page where answers are checked."""

    field: AnyField
    text: str
    files: list[FileLine]
    problem: str
    change: str


def section_page(
    draft: Draft,
    section: Section,
    *,
    root: str,
    missing: bool = False,
    unsaved: Sequence[str] = (),
) -> HTMLResponse:
    """A section to fill in. `missing` points out required answers that aren't there, `unsaved`
    names those that came and couldn't be kept; `root` is the public path."""
    wrong = mistakes(draft, missing=missing, unsaved=unsaved)
    names = {each.name for each in section.fields}
    own = [each for each in wrong if each.field in names]
    return render(
        "section.html",
        root=root,
        form_type=draft.form_type,
        section=section,
        action=draft.action,
        steps=steps(draft, wrong, section),
        mistakes=[(each, f"#{each.field}") for each in own],
        boxes=[field_box(draft, each, own) for each in section.fields],
        with_files=any(isinstance(each, FileField) for each in section.fields),
        pending=pending(draft),
        refresh=addresses.of_section(section, missing=missing),
        start_over=addresses.START_OVER if draft.form else None,
    )


def check_page(draft: Draft, *, root: str) -> HTMLResponse:
    """All answers, what is missing, and the button that sends them."""
    wrong = mistakes(draft, missing=True)
    verdict = judge(draft.form_type, draft.form, list(draft.rows)) if draft.form else None
    to_mend = {each["field"] for each in verdict.errors} if verdict else set()
    hard = [each for each in wrong if each.field in to_mend]
    texts = {each.field: each.detail for each in reversed(wrong)}
    return render(
        "check.html",
        root=root,
        form_type=draft.form_type,
        action=draft.action,
        steps=steps(draft, wrong, None),
        mistakes=[
            (each, addresses.of_field(draft.form_type, each.field, missing=True)) for each in hard
        ],
        sections=[
            (section, [_answer(draft, each, texts.get(each.name, "")) for each in section.fields])
            for section in draft.form_type.sections
        ],
        pending=pending(draft),
        refresh=addresses.CHECK,
        start_over=addresses.START_OVER,
    )


def thank_you_page(*, root: str, later: bool) -> HTMLResponse:
    """The end; `later` where files of ours are still to be processed."""
    return render("thank_you.html", root=root, later=later, start=addresses.START)


def _answer(draft: Draft, each: AnyField, problem: str) -> Answer:
    value = draft.form.data.get(each.name, "") if draft.form else ""
    if each.kind == "checkbox":
        value = "Yes" if value else "No"
    files = [
        file_line(row)
        for row in draft.uploads
        if row.field == each.name and row.status is not UploadStatus.REJECTED
    ]
    change = addresses.of_field(draft.form_type, each.name)
    return Answer(field=each, text=str(value), files=files, problem=problem, change=change)
