"""What a person reads when a file was rejected or we gave up on it."""

from typing import Any

from api.errors import ERRORS
from api.receive.files import size
from shared.file_types import FILE_TYPES
from shared.form_definition import FilePolicy


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


def accepted(policy: FilePolicy) -> str:
    """'JPG, PNG or WebP'."""
    types = policy.accepted_types
    names = [FILE_TYPES[each].name if each in FILE_TYPES else each for each in types]
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
