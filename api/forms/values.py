"""What a person typed: which values a field takes, and what is wrong with one that it keeps."""

import re
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from api.texts.errors import Problem, wrong_member
from shared.form_definition import (
    AnyField,
    CheckboxField,
    ChoiceField,
    FileField,
    FormType,
    TextField,
)

VALUE_PROBLEMS: dict[str, str] = {
    "required": "{label} is required",
    "too-long": "{label} must be {max_length} characters or fewer",
    "invalid-email": "{label} must be an email address, like name@example.com",
    "invalid-tel": "{label} must be a phone number, like 555 0100",
    "invalid-url": "{label} must be a web address, like https://example.com",
    "invalid-date": "{label} must be a real date, like 2027-03-31",
    "invalid-choice": "{label} must be one of the choices",
    "invalid-value": "{label} can't be that",
    "not-text": "{label} takes text, not a file",
    "unreadable-text": "{label} has characters that can't be read; type it again",
    "upload-rejected": "{label}: choose another file",
    "form-too-long": "{label} can't be saved: the answers are too long together",
    "form-full": "{label}: the form holds as many files as it may; remove some first",
}
"""Problems of values, by code; `docs/errors.md` lists them too."""

MAX_TEXT = 64 * 1024
"""Characters any one value may have, whatever its field says: more is not an answer."""

# The pattern browsers use for <input type=email> (HTML, "valid e-mail address").
_EMAIL = re.compile(
    r"[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
    r"(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)+"
)
_TEL = re.compile(r"\+?[\d\s().\-/]{4,40}(?:\s*(?:x|ext\.?)\s*\d{1,8})?", re.IGNORECASE)
MAX_TEL = 100
"""Characters: the pattern tries longer ones many times over."""
_CHECKED = {"on", "true", "1", "yes"}

AnyTextField = TextField | ChoiceField | CheckboxField


def text_field(form_type: FormType, name: str) -> AnyTextField | None:
    """The field of this name; None where there is none, or it takes files."""
    field = form_type.fields.get(name)
    return None if field is None or isinstance(field, FileField) else field


def from_form(field: AnyTextField, value: str) -> str | bool:
    """The value of a text part. Raises `Problem` invalid-request for one that can't be kept."""
    if isinstance(field, CheckboxField):
        return value.strip().lower() in _CHECKED
    value = _api_value(value)
    _check_text(field, value)
    return value


def from_json(field: AnyTextField, value: Any) -> str | bool:
    """The value of a JSON member, which isn't null. Raises `Problem` invalid-request for one of
    the wrong type."""
    if isinstance(field, CheckboxField):
        if isinstance(value, bool):
            return value
    elif isinstance(value, str):
        text = _api_value(value)
        _check_text(field, text)
        return text
    wanted = "true or false" if isinstance(field, CheckboxField) else "a string"
    raise _invalid(field, f"{_called(field)} must be {wanted}")


def problem_of(field: AnyTextField, value: Any) -> dict[str, str] | None:
    """What is wrong with a kept value, as `{"field", "code", "detail"}`; None when it is fine."""
    if value in ("", None) or isinstance(field, CheckboxField):
        return None
    if isinstance(field, ChoiceField):
        return None if value in field.choices else value_problem(field, "invalid-choice")
    if _length(value) > field.max_length:
        return value_problem(field, "too-long", max_length=field.max_length)
    if not _is_a(field.kind, value):
        return value_problem(field, f"invalid-{field.kind}")
    return None


def missing(field: AnyTextField, value: Any) -> dict[str, str] | None:
    """The problem of a required field without an answer; an unticked box is none."""
    return (
        value_problem(field, "required") if field.required and value in ("", None, False) else None
    )


def value_problem(field: AnyField, code: str, **params: object) -> dict[str, str]:
    """`{"field", "code", "detail"}` of a value, with a text from `VALUE_PROBLEMS`."""
    detail = VALUE_PROBLEMS[code].format(label=_called(field), **params)
    if code == "required" and isinstance(field, CheckboxField):
        detail = f"Tick {_called(field)}"
    if code == "required" and field.missing:
        detail = field.missing
    return {"field": field.name, "code": code, "detail": detail}


def _called(field: AnyField) -> str:
    """The field in a sentence: the label of a checkbox is one by itself, and quoted."""
    return f"“{field.label}”" if isinstance(field, CheckboxField) else field.label


def _api_value(value: str) -> str:
    """As HTML has the value of a control, with line feeds alone ("API value"); it is submitted
    with CRLF."""
    return value.replace("\r\n", "\n").replace("\r", "\n")


def _length(value: str) -> int:
    """In UTF-16 code units, as `maxlength` counts (HTML, "length"): browser and api agree."""
    return len(value.encode("utf-16-le", "surrogatepass")) // 2


def _is_a(kind: str, value: str) -> bool:
    match kind:
        case "email":
            return _EMAIL.fullmatch(value.strip()) is not None
        case "tel":
            number = value.strip()
            return len(number) <= MAX_TEL and _TEL.fullmatch(number) is not None
        case "url":
            return _is_web_address(value.strip())
        case "date":
            return _is_date(value.strip())
        case _:
            return True


def _is_web_address(value: str) -> bool:
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _is_date(value: str) -> bool:
    try:
        return date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def _check_text(field: AnyTextField, value: str) -> None:
    if len(value) > MAX_TEXT:
        raise _invalid(field, f"{_called(field)} is longer than {MAX_TEXT} characters")
    if "\x00" in value or not _is_unicode(value):
        raise _invalid(field, f"{_called(field)} has characters that are no text")


def _is_unicode(value: str) -> bool:
    """Without lone surrogates, which nothing can store."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _invalid(field: AnyTextField, detail: str) -> Problem:
    return wrong_member(field.name, detail, says=detail)
