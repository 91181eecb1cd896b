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
FLAGGED = "flagged/"
"""The folder of the bucket for what is kept although something was found in it."""


class KeyTemplateError(ValueError):
    """A key template names an unknown placeholder or would leave its folder."""


def check_template(template: str) -> None:
    """Raise `KeyTemplateError` unless `template` renders to a clean relative path."""
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise KeyTemplateError(f"is not a template: {error}") from error
    for _, name, spec, conversion in parts:
        if name is None:
            continue
        if name not in PLACEHOLDERS or spec or conversion:
            known = ", ".join(sorted(PLACEHOLDERS))
            raise KeyTemplateError(f"has the placeholder {{{name}}}; known are {known}")
    if not template.isascii():
        raise KeyTemplateError("must be ASCII")
    segments = template.split("/")
    if any(segment in ("", ".", "..") for segment in segments):
        raise KeyTemplateError("must be a relative path without empty, '.' or '..' segments")


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
    )[:100]
    return kept if kept.strip(".-") else "none"
