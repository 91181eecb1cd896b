"""What the signup's pages show of a form: fields with their values, uploads and problems."""

from collections.abc import Sequence
from dataclasses import dataclass

from api.forms import judge, value_problems
from api.pages import addresses
from api.records.rows import FormRow, UploadRow
from api.uploads import open_slots
from api.values import value_problem
from shared.form_definition import AnyField, FileField, FormType, Section
from shared.status import PENDING, TERMINAL, UploadStatus

_AUTOCOMPLETE = {"email": "email", "tel": "tel", "url": "url", "full_name": "name"}
"""What browsers may fill in, by kind or name of a field (WCAG 2.2, 1.3.5)."""

_UNSAVED = {False: "invalid-value", True: "form-full"}
"""Why something that came isn't in the record, by whether it is a file."""

_STATES = {
    UploadStatus.RECEIVING: "Not all here yet",
    UploadStatus.STAGED: "Received, being checked",
    UploadStatus.PROCESSING: "Received, being checked",
    UploadStatus.STORED: "Stored",
    UploadStatus.REJECTED: "Not accepted",
}
_WITHHELD = "We have this file and are checking it. You can go on."


@dataclass(frozen=True, slots=True)
class Draft:
    """A form as it is now; a new signup has no row yet."""

    form_type: FormType
    form: FormRow | None = None
    rows: Sequence[UploadRow] = ()

    @property
    def uploads(self) -> list[UploadRow]:
        return [row for row in self.rows if row.status not in TERMINAL]

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


@dataclass(frozen=True, slots=True)
class FileLine:
    id: str
    filename: str
    size: int
    status: str
    state: str
    """Its status, in words."""
    notices: list[str]


@dataclass(frozen=True, slots=True)
class FieldBox:
    field: AnyField
    value: str | bool
    mistakes: list[Mistake]
    input_type: str
    autocomplete: str | None
    files: list[FileLine]
    room: int
    """How many more files it takes."""
    replaces: bool
    """Whether another file takes the place of a good one."""

    @property
    def described_by(self) -> str:
        """Ids of what a screen reader reads with the input."""
        name = self.field.name
        ids = [f"{name}-hint"] if self.field.hint else []
        ids += [f"{name}-problem"] if self.mistakes else []
        ids += [f"{name}-files"] if self.files else []
        return " ".join(ids)


@dataclass(frozen=True, slots=True)
class Step:
    title: str
    address: str | None
    """None as long as there is no form to go on with."""
    current: bool
    mistakes: int = 0
    pending: int = 0


def mistakes(draft: Draft, *, missing: bool, unsaved: Sequence[str] = ()) -> list[Mistake]:
    """Of the whole form, in its order: wrong values, refused files; `missing` answers if asked,
    and `unsaved` ones, which came and couldn't be kept."""
    if draft.form is None:
        return []
    found = [_mistake(each) for each in value_problems(draft.form_type, draft.form.data)]
    newest = {row.slot: row for row in draft.uploads}.values()  # rows come oldest first
    found += [
        Mistake(row.field, f"{row.filename}: {_reason(row)}", "upload-rejected")
        for row in newest
        if row.status is UploadStatus.REJECTED
    ]
    if missing:
        errors = judge(draft.form_type, draft.form, list(draft.rows)).errors
        found += [_mistake(each) for each in errors if each["code"] == "required"]
    fields = draft.form_type.fields
    found += [
        _mistake(value_problem(fields[name], _UNSAVED[isinstance(fields[name], FileField)]))
        for name in unsaved
        if name in fields
    ]
    order = list(fields)
    return sorted(found, key=lambda each: order.index(each.field))


def field_box(draft: Draft, each: AnyField, wrong: list[Mistake]) -> FieldBox:
    own = [mistake for mistake in wrong if mistake.field == each.name]
    value = draft.form.data.get(each.name, "") if draft.form else ""
    rows = [row for row in draft.uploads if row.field == each.name]
    # A date input shows nothing of a wrong date, which a draft keeps to be mended.
    plain = each.kind == "date" and bool(own)
    return FieldBox(
        field=each,
        value=value,
        mistakes=own,
        input_type="text" if plain else each.kind,
        autocomplete=_AUTOCOMPLETE.get(each.name) or _AUTOCOMPLETE.get(each.kind),
        files=[file_line(row) for row in rows],
        room=max(open_slots(each, rows), 0) if isinstance(each, FileField) else 0,
        replaces=any(row.status is not UploadStatus.REJECTED for row in rows),
    )


def file_line(row: UploadRow) -> FileLine:
    state = _reason(row) if row.status is UploadStatus.FAILED else _STATES.get(row.status, "")
    if row.status is UploadStatus.STORED and row.withheld:
        state = _WITHHELD
    return FileLine(
        id=row.id,
        filename=row.filename,
        size=row.size,
        status=row.status,
        state=state,
        notices=[str(each["detail"]) for each in row.notices],
    )


def steps(draft: Draft, wrong: list[Mistake], current: Section | None) -> list[Step]:
    """The way through the form; None stands for its end, where the answers are checked."""
    return [
        *(_step(draft, section, wrong, current=section == current) for section in _sections(draft)),
        Step("Check and send", addresses.CHECK if draft.form else None, current=current is None),
    ]


def pending(draft: Draft) -> int:
    return sum(row.status in PENDING for row in draft.uploads)


def _sections(draft: Draft) -> tuple[Section, ...]:
    return draft.form_type.sections


def _step(draft: Draft, section: Section, wrong: list[Mistake], *, current: bool) -> Step:
    names = {each.name for each in section.fields}
    return Step(
        title=section.title,
        address=addresses.of_section(section) if draft.form else None,
        current=current,
        mistakes=sum(each.field in names for each in wrong),
        pending=sum(row.field in names and row.status in PENDING for row in draft.uploads),
    )


def _mistake(problem: dict[str, str]) -> Mistake:
    return Mistake(problem["field"], problem["detail"], problem["code"])


def _reason(row: UploadRow) -> str:
    return str((row.error or {}).get("detail", "It can't be used"))
