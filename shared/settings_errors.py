"""Wrong settings in one line each: which one, and what is wrong with it."""

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from shared.finding import Finding, Level

_WORDS = {
    "missing": "is not set",
    "int_parsing": "is no whole number",
    "int_from_float": "is no whole number",
    "float_parsing": "is no number",
    "literal_error": "is none of {expected}",
    "greater_than": "has to be over {gt}",
    "greater_than_equal": "has to be at least {ge}",
    "less_than": "has to be under {lt}",
    "less_than_equal": "has to be at most {le}",
    "string_type": "is not set",
}
"""By pydantic's type of error; what isn't here is told in pydantic's words."""


def explain(error: ValidationError) -> list[Finding]:
    """All that is wrong, in the order of the settings. Values are not repeated: some are secret."""
    return [_finding(each) for each in error.errors(include_url=False, include_input=False)]


def _finding(error: ErrorDetails) -> Finding:
    name = str(error["loc"][0]).upper() if error["loc"] else "settings"
    words = _WORDS.get(error["type"])
    text = words.format(**error.get("ctx", {})) if words else error["msg"]
    return Finding(Level.WRONG, name, text.removeprefix("Value error, "))
