"""The way through the form: a step for each section, and one to check and send."""

from dataclasses import dataclass
from typing import Literal

from api.forms.posts import CHECK_STEP
from api.html import addresses
from api.pages.models import Draft, Mistake, unanswered
from shared.form_definition import FileField, Section
from shared.status import PENDING

State = Literal["done", "todo", "optional", "problem", "checking"]

_WORDS: dict[State, str] = {
    "done": "Done",
    "todo": "To do",
    "optional": "Optional",
    "checking": "Checking files",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One section in the list of all, or the check of the answers at its end."""

    number: int
    name: str
    """What leads there: the section's name, or `check`."""
    title: str
    address: str
    current: bool
    state: State
    words: str
    """The state, as people read it."""
    files: tuple[str, ...] = ()
    """Its file fields: while their files are sent, only the browser knows."""


def steps(draft: Draft, wrong: list[Mistake], current: Section | None) -> list[Step]:
    """All steps; None stands for the last one, where the answers are checked. `wrong` are mistakes
    without the answers that are only missing yet."""
    sections = draft.form_type.sections
    open_fields = unanswered(draft)
    found = [
        _step(draft, number, section, wrong, open_fields, current=section == current)
        for number, section in enumerate(sections, 1)
    ]
    ready = all(step.state in ("done", "optional") for step in found)
    return [
        *found,
        Step(
            number=len(sections) + 1,
            name=CHECK_STEP,
            title="Check and send",
            address=addresses.CHECK,
            current=current is None,
            state="todo",
            words="Ready" if ready else "To do",
        ),
    ]


def _step(
    draft: Draft,
    number: int,
    section: Section,
    wrong: list[Mistake],
    open_fields: set[str],
    *,
    current: bool,
) -> Step:
    names = {each.name for each in section.fields}
    mistakes = sum(each.field in names for each in wrong)
    state: State = (
        "problem" if mistakes else _state(draft, section, is_open=bool(names & open_fields))
    )
    return Step(
        number=number,
        name=section.name,
        title=section.title,
        address=addresses.of_section(section),
        current=current,
        state=state,
        words=_WORDS.get(state) or f"{mistakes} problem{'s' if mistakes > 1 else ''}",
        files=tuple(each.name for each in section.fields if isinstance(each, FileField)),
    )


def _state(draft: Draft, section: Section, *, is_open: bool) -> State:
    """Of a section without mistakes; it `is_open` where a required answer is missing."""
    names = {each.name for each in section.fields}
    uploads = [row for row in draft.uploads if row.field in names]
    if any(row.status in PENDING for row in uploads):
        return "checking"
    if is_open:
        return "todo"
    answered = uploads or any(draft.data.get(name) not in (None, "", False) for name in names)
    return "done" if answered or any(each.required for each in section.fields) else "optional"
