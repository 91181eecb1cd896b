"""Where the pages are. No section's name can hold a hyphen, so these never stand in its way."""

from urllib.parse import quote

from api.posts import Outcome
from shared.form_definition import FormType, Section

START = "/"
CHECK = "/signup/check-answers"
THANK_YOU = "/signup/thank-you"
START_OVER = "/signup/start-over"


def of_section(section: Section, field: str = "", *, missing: bool = False) -> str:
    """A section's page; at a field; with what is `missing` pointed out too."""
    query = "?missing=1" if missing else ""
    return f"/signup/{section.name}{query}{f'#{quote(field)}' if field else ''}"


def of_field(form_type: FormType, field: str, *, missing: bool = False) -> str:
    return of_section(_section(form_type, form_type.fields[field].section), field, missing=missing)


def after(outcome: Outcome) -> str:
    """Back to the page where something is to be done, or on to the next."""
    form_type = outcome.form_type
    if outcome.submit:
        return CHECK if outcome.refused else f"{THANK_YOU}{'?later=1' if outcome.failed else ''}"
    if outcome.removed:
        return of_field(form_type, outcome.removed[-1].field)
    section = outcome.section
    if section is None or outcome.to_mend:
        return of_section(section or form_type.sections[0])
    following = form_type.sections[form_type.sections.index(section) + 1 :]
    return of_section(following[0]) if following else CHECK


def _section(form_type: FormType, name: str) -> Section:
    return next(section for section in form_type.sections if section.name == name)
