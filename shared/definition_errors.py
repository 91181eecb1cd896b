"""What is wrong in a form definition, in one line each: which field, which key, and why."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from shared.policy import Derivative, DocumentLimits, FilePolicy, ImageLimits, Model, PdfLimits

_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "is no key that is known",
    "int_type": "has to be a whole number",
    "int_parsing": "has to be a whole number",
    "int_from_float": "has to be a whole number",
    "bool_type": "has to be true or false",
    "bool_parsing": "has to be true or false",
    "string_type": "has to be a text in quotes",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "has to begin with a small letter, and to have only small letters, "
    "digits and _, at most 50",
    "tuple_type": "has to be a list",
    "dict_type": "has to be a table",
    "model_type": "has to be a table",
    "model_attributes_type": "has to be a table",
    "too_short": "must not be empty",
    "literal_error": "has to be {expected}",
    "union_tag_not_found": "is missing",
    "union_tag_invalid": "has to be one of {expected_tags}",
    "greater_than": "has to be over {gt}",
    "greater_than_equal": "has to be at least {ge}",
    "less_than": "has to be under {lt}",
    "less_than_equal": "has to be at most {le}",
}
"""By pydantic's type of error; what isn't here is told in its own words."""

_MODELS: tuple[type[Model], ...] = (
    FilePolicy, ImageLimits, PdfLimits, DocumentLimits, Derivative,
)  # fmt: skip
_KEYS = {key for model in _MODELS for key in model.model_fields}
_OF_FORMS = {"fields", "hint", "kind", "label", "name", "required", "sections", "title", "type"}
"""Keys of forms, sections and all fields, whose models are beyond this module."""

_ABOUT_KIND = ("union_tag_not_found", "union_tag_invalid")


def explain(error: ValidationError, defined: Mapping[str, Any]) -> Iterator[str]:
    """`section about, field headshot: image.min_width: is more than max_width`, one line for all
    that is wrong with `defined`, in its order."""
    found = error.errors(include_url=False)
    for each in found:
        if each["type"] == "too_short" and any(_is_within(other, each) for other in found):
            continue  # nothing was left of the list, since what it holds is wrong
        place, key = _place(each, defined)
        yield ": ".join(filter(None, (place, key, _reason(each))))


def _is_within(inner: ErrorDetails, outer: ErrorDetails) -> bool:
    depth = len(outer["loc"])
    return len(inner["loc"]) > depth and inner["loc"][:depth] == outer["loc"]


def _place(error: ErrorDetails, defined: Mapping[str, Any]) -> tuple[str, str]:
    """The section and field by their names, and the key from there downwards."""
    loc = list(error["loc"])
    named: list[str] = []
    within: Any = defined
    for many, one in (("sections", "section"), ("fields", "field")):
        if len(loc) > 1 and loc[0] == many and isinstance(loc[1], int):
            within = within[many][loc[1]]
            named.append(f"{one} {_name(within, loc[1])}")
            del loc[:2]
    if len(named) == len(("section", "field")) and loc and loc[0] == within.get("kind"):
        del loc[0]  # which of pydantic's models it is
    if loc and loc[-1] == "[key]":  # pydantic's word for the name of an entry
        del loc[-1]
    if error["type"] in _ABOUT_KIND:
        loc.append("kind")
    whole = "" if named else "(the whole definition)"
    return ", ".join(named), ".".join(map(str, loc)) or whole


def _name(defined: object, index: int) -> str:
    """Its name; where it has none that can be read, which one it is."""
    name = defined.get("name") if isinstance(defined, dict) else None
    return name if isinstance(name, str) and name else str(index + 1)


def _reason(error: ErrorDetails) -> str:
    words = _WORDS.get(error["type"])
    text = words.format(**error.get("ctx", {})) if words else error["msg"]
    if error["type"] == "extra_forbidden":
        text = _unknown(str(error["loc"][-1]))
    return " ".join(text.removeprefix("Value error, ").split())


def _unknown(key: str) -> str:
    known = _KEYS | _OF_FORMS
    if key in known:
        return "is no key that is known here, but elsewhere"
    meant = get_close_matches(key, sorted(known), n=1)
    return _WORDS["extra_forbidden"] + (f"; did you mean {meant[0]}?" if meant else "")
