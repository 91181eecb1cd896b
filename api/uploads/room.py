"""Whether a form and its field take another file."""

from collections.abc import Sequence

from api.access.tokens import Actor, ServiceKey
from api.records import forms
from api.records.rows import FormRow, UploadRow
from api.texts.errors import Problem
from shared.form_definition import FileField
from shared.status import TERMINAL, UploadStatus


def check_draft(form: FormRow) -> None:
    """A submitted form takes no more writes from the person."""
    if form.status != forms.DRAFT:
        raise Problem("form-submitted")


def check_may_change(form: FormRow, by: Actor) -> None:
    """A service key may change what is in any form. Raises `Problem` form-submitted."""
    if not isinstance(by, ServiceKey):
        check_draft(form)


def check_room(field: FileField, of_field: Sequence[UploadRow]) -> None:
    """A field for many files is full at `max_files`; a field for one replaces."""
    if field.max_files > 1 and open_slots(field, of_field) < 1:
        raise Problem("too-many-files", field=field.name, params={"max_files": field.max_files})


def open_slots(field: FileField, of_field: Sequence[UploadRow]) -> int:
    """How many files a field for many takes yet. What was rejected takes up no room."""
    taken = [row for row in of_field if row.status not in {*TERMINAL, UploadStatus.REJECTED}]
    return field.max_files - len(taken)
