"""Object keys: `{rendered template}/{upload_id}.{generation}/{name}`.

The template is the form definition's; the upload and the generation are added whatever it says,
so that two attempts at one upload can never write the same key.
"""

import string
from collections.abc import Mapping
from urllib.parse import quote

PLACEHOLDERS = frozenset({"form_type", "form_id", "reference", "field", "year", "month"})
DEFAULT_TEMPLATE = "{form_type}/{form_id}/{field}"
MAX_KEY_BASE = 512
"""Bytes, all ASCII: leaves room for upload, generation and name below S3's limit of 1024."""
MAX_KEY = 1024
"""Bytes of a whole key, as S3 has it."""
_MAX_VALUE = 100
_MAX_VALUES = {"year": 4, "month": 2}
"""Bytes of what a placeholder stands for; of each other one as above."""
SAFE = frozenset(string.ascii_letters + string.digits + "!-_.*'()/")
"""What every store takes in a key, every path in an address, and S3 names safe."""
FLAGGED = "flagged/"
"""The folder of the bucket for what is kept although something was found in it."""


class KeyTemplateError(ValueError):
    """A key template names an unknown placeholder, would leave its folder, or isn't for a key."""


def check_template(template: str) -> None:
    """Raise `KeyTemplateError` unless `template` renders to a clean relative path."""
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise KeyTemplateError(f"is not a template: {error}") from error
    longest = 0
    for text, name, spec, conversion in parts:
        if wrong := sorted(set(text) - SAFE):
            raise KeyTemplateError(f"has {wrong[0]!r}, which isn't safe in a key")
        longest += len(text)
        if name is None:
            continue
        if name not in PLACEHOLDERS or spec or conversion:
            known = ", ".join(sorted(PLACEHOLDERS))
            raise KeyTemplateError(f"has the placeholder {{{name}}}; known are {known}")
        longest += _MAX_VALUES.get(name, _MAX_VALUE)
    segments = template.split("/")
    if any(segment in ("", ".", "..") for segment in segments):
        raise KeyTemplateError("must be a relative path without empty, '.' or '..' segments")
    if longest > MAX_KEY_BASE:
        reason = f"may become {longest} characters long; the most are {MAX_KEY_BASE}"
        raise KeyTemplateError(reason)


def render_key_base(template: str, values: Mapping[str, str]) -> str:
    """Render `template`; each value becomes one path segment that can't climb out of it."""
    safe = {name: _segment(values.get(name, "")) for name in PLACEHOLDERS}
    return template.format_map(safe)[:MAX_KEY_BASE].rstrip("/")


def generation_prefix(key_base: str, upload_id: str, generation: int) -> str:
    """The prefix that one attempt, and nothing else, writes under. Ends in a slash."""
    return f"{key_base}/{upload_id}.{generation}/"


def flagged_prefix(key_base: str, upload_id: str, generation: int) -> str:
    """The same for a file that is kept and flagged. All of these lie below one folder of the
    bucket, so that who reads there can be kept out of it."""
    return FLAGGED + generation_prefix(key_base, upload_id, generation)


def public_url(base: str, bucket: str, key: str) -> str:
    """The address of an object as the form's record holds it. The object itself is private."""
    return f"{base.rstrip('/')}/{quote(bucket)}/{quote(key)}"


def _segment(value: str) -> str:
    kept = "".join(
        char if (char.isascii() and char.isalnum()) or char in "-_." else "-" for char in value
    )[:_MAX_VALUE]
    return kept if kept.strip(".-") else "none"
