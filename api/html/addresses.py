"""Where the pages are. No section's name can hold a hyphen, so these never stand in its way."""

from collections.abc import Sequence
from urllib.parse import quote, urlencode

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
    """The page of a field's section, at the field; see `of_section`."""
    section = form_type.section(form_type.fields[field].section)
    return of_section(section, field, missing=missing)
