"""Beginning a form."""

from dataclasses import asdict, dataclass
from typing import Any

from api.access.tokens import hash_token, new_token
from api.forms.sections import Edits, edits_of_json
from api.records import forms
from api.records.database import Transaction
from api.records.rows import FormRow
from api.services import Services
from api.texts.errors import Problem
from api.uploads.quotas import Beginner, check_text
from shared.ids import new_id


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

    form, token, edits = await create(services, "acceptance", {}, None, beginner=None)

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
