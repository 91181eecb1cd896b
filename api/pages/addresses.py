"""Where the pages are. No section's name can hold a hyphen, so these never stand in its way."""

from collections.abc import Sequence
from urllib.parse import quote, urlencode

from api.posts import Outcome
from shared.form_definition import FormType, Section

START = "/"
CHECK = "/signup/check-answers"
THANK_YOU = "/signup/thank-you"
START_OVER = "/signup/start-over"


def of_section(
    section: Section, field: str = "", *, missing: bool = False, unsaved: Sequence[str] = ()
) -> str:
    """A section's page, at a field. It points out answers that are `missing`, if wanted, and those
    that came and are `unsaved`: the record tells nothing of them."""
    query = [("missing", "1")] if missing else []
    query += [("unsaved", name) for name in unsaved]
    fragment = f"#{quote(field)}" if field else ""
    return f"/signup/{section.name}{'?' if query else ''}{urlencode(query)}{fragment}"


def of_field(form_type: FormType, field: str, *, missing: bool = False) -> str:
    section = _section(form_type, form_type.fields[field].section)
    return of_section(section, field, missing=missing)


def after(outcome: Outcome) -> str:
    """Back to the page where something is to be done, or on to the next."""
    form_type = outcome.form_type
    if outcome.submit:
        return CHECK if outcome.refused else f"{THANK_YOU}{'?later=1' if outcome.failed else ''}"
    if outcome.removed:
        return of_field(form_type, outcome.removed[-1].field)
    section = outcome.section
    if section is None or outcome.to_mend:
        return of_section(section or form_type.sections[0], unsaved=outcome.unsaved)
    following = form_type.sections[form_type.sections.index(section) + 1 :]
    return of_section(following[0]) if following else CHECK


def _section(form_type: FormType, name: str) -> Section:
    return next(section for section in form_type.sections if section.name == name)
