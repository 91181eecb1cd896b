"""Who may change a form, and when."""

from api.access.tokens import Actor, ServiceKey
from api.records import forms
from api.records.rows import FormRow
from api.texts.errors import Problem


def check_draft(form: FormRow) -> None:
    """A submitted form takes no more writes from the person."""
    if form.status != forms.DRAFT:
        raise Problem("form-submitted")


def check_may_change(form: FormRow, by: Actor) -> None:
    """A service key may change what is in any form. Raises `Problem` form-submitted."""
    if not isinstance(by, ServiceKey):
        check_draft(form)
