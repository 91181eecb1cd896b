"""Where a post leads: the page on which something is to be done, or the next."""

from api.forms.posts import CHECK_STEP, Outcome
from api.html.addresses import CHECK, THANK_YOU, of_field, of_section


def after_post(outcome: Outcome) -> str:
    """Back to the page where something is to be done, or on to where the person wants to go."""
    form_type = outcome.form_type
    if outcome.submit:
        return _after_submit(outcome)
    if outcome.removed:
        return of_field(form_type, outcome.removed[-1].field)
    section = outcome.section
    if outcome.unsaved or (not outcome.go and (section is None or outcome.to_mend)):
        return of_section(section or form_type.sections[0], unsaved=outcome.unsaved)
    if outcome.go:
        return CHECK if outcome.go == CHECK_STEP else of_section(form_type.section(outcome.go))
    following = form_type.sections[form_type.sections.index(section) + 1 :] if section else ()
    return of_section(following[0]) if following else CHECK


def _after_submit(outcome: Outcome) -> str:
    if outcome.refused is None:
        return THANK_YOU
    why = "waited" if outcome.refused.code == "uploads-pending" else "missing"
    return f"{CHECK}?{why}=1"
