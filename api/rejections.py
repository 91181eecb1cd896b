"""What a person reads of a file: why it was rejected or we gave up on it, and what we noticed."""

from typing import Any

from api.errors import ERRORS
from api.receive.files import size
from shared.form_definition import FilePolicy
from shared.formats import NAMES

NOTICE_TEXTS = {
    "active-content": "The document has scripts or actions in it",
    "active-content-removed": "Scripts and actions were taken out of the document",
    "animation-dropped": "Only the first frame was kept",
    "attachments": "The document has files attached to it",
    "attachments-removed": "The files attached to the document were taken out",
    "converted": "It was converted from {from_name} to {to_name}",
    "has-macros": "The document has macros in it",
    "low-resolution": "The image is smaller than recommended ({width} × {height} pixels)",
    "macros-removed": "The macros of the document were taken out",
    "many-pages": "The document has more pages than recommended ({pages})",
    "metadata-removed": "Camera and location data were taken out",
    "not-converted": "It was stored as it was sent, without being converted",
    "not-scanned": "The virus scanner can't look into this file",
    "owner-password": "The document is protected against changes",
    "pages-dropped": "Only the first page was kept",
    "pages-not-checked": "The document can't be opened without a key: its pages were not checked",
    "repaired": "The file was slightly damaged and has been repaired",
    "xfa": "The document has a form in it that only some programs can show",
}
"""By code of a notice, with its params."""


def upload_notice(code: str, params: dict[str, Any], policy: FilePolicy) -> dict[str, Any]:
    """One of the `notices` of an upload: `{"code", "detail", "params"}`, worded as an error is."""
    template = policy.messages.get(code) or NOTICE_TEXTS.get(code) or "Something was noticed"
    known = {**_of_policy(policy), **params}
    return {"code": code, "detail": template.format_map(_Blank(known)), "params": params}


def upload_error(code: str, params: dict[str, Any], policy: FilePolicy) -> dict[str, Any]:
    """The `error` of an upload: `{"code", "detail", "params", "retryable"}`.

    The text is the form definition's where it has one for the code, else the built-in one.
    """
    spec = ERRORS.get(code)
    known = {**_of_policy(policy), **params}
    template = policy.messages.get(code) or (spec.detail if spec else "The file can't be accepted")
    return {
        "code": code,
        "detail": template.format_map(_Blank(known)),
        "params": params,
        "retryable": bool(spec and spec.retryable),
    }


def upload_flag(code: str, params: dict[str, Any], policy: FilePolicy) -> dict[str, Any]:
    """One of the `flags` of an upload, `{"code", "detail", "params"}`: in the words in which it
    would be rejected."""
    error = upload_error(code, params, policy)
    return {key: error[key] for key in ("code", "detail", "params")}


def accepted(policy: FilePolicy) -> str:
    """'JPG, PNG or WebP'."""
    names = [NAMES.get(each, each) for each in policy.accepted_types]
    return " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _of_policy(policy: FilePolicy) -> dict[str, Any]:
    return {
        "accepted": accepted(policy),
        "max_size": size(policy.max_bytes),
        "min_size": size(policy.min_bytes),
        "max_bytes": policy.max_bytes,
        "min_bytes": policy.min_bytes,
        "max_files": policy.max_files,
        "max_pages": policy.pdf.max_pages,
        "min_width": policy.image.min_width or 1,
        "min_height": policy.image.min_height or 1,
    }


class _Blank(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "?"
