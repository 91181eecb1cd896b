"""Errors in the description: what each status of an operation can mean, with an example a code."""

from collections import defaultdict
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ConfigDict

from api.openapi.headers import header_objects
from api.texts.errors import ERRORS, GUIDE, Problem
from shared.codes import Params

UNIVERSAL = (
    "bad-request",
    "request-timeout",
    "too-many-requests",
    "uri-too-long",
    "unsupported-content-encoding",
    "header-too-large",
    "internal-error",
    "method-not-implemented",
    "unsupported-transfer-coding",
    "unavailable",
    "http-version-not-supported",
)
"""Of every operation: a head that can't be parsed, is too much or never ends, a client that has its
share under way, a fault of ours, a service that is stopping, crowded, or without its database."""

Coded = str | tuple[str, int]
"""An error code; or a code with another status than its own."""


class ProblemItem(BaseModel):
    """One of several things that are wrong."""

    model_config = ConfigDict(extra="allow")

    pointer: str
    """Where, as a JSON pointer into the body (RFC 6901)."""
    code: str
    detail: str


class PendingUpload(BaseModel):
    id: str
    field: str
    filename: str
    status: str


class ProblemDetails(BaseModel):
    """What went wrong, for people and for programs (RFC 9457)."""

    type: str
    """Leads to what is said of the code in a page of this service: `/docs/errors#` and the code."""
    title: str
    status: int
    detail: str
    """For people, in a sentence."""
    code: str
    """Stable; what programs compare."""
    retryable: bool
    """Whether sending the same again can help."""
    field: str = ""
    params: Params = {}
    """What the text was made of."""
    errors: list[ProblemItem] = []
    uploads: list[PendingUpload] = []
    """With `uploads-pending`: which."""
    request_id: str = ""
    """With a fault of ours: what finds it in the logs."""
    error: str = ""
    """The text once more, in an answer of type `application/json`."""


_PARAMS: dict[str, Any] = {
    "expected": "multipart/form-data",
    "header": "Cookie",
    "max_bytes": 20_000_000,
    "max_size": "20 MB",
    "max_files": 10,
    "offset": 5_242_880,
}
_PHRASES = {460: "Checksum Mismatch"}
"""Of statuses that only tus has."""
_MORE: dict[str, dict[str, Any]] = {
    "too-many-files": {"field": "certificates"},
    "unknown-field": {
        "field": "headshoot",
        "errors": [{"pointer": "/headshoot", "code": "unknown-field", "detail": "no such field"}],
    },
    "form-incomplete": {
        "errors": [
            {
                "pointer": "/licence",
                "field": "licence",
                "code": "upload-rejected",
                "detail": "The selected file is damaged and can't be read",
            }
        ]
    },
    "invalid-request": {
        "errors": [{"pointer": "/type", "code": "invalid-value", "detail": "must name a form type"}]
    },
    "uploads-pending": {
        "uploads": [
            {
                "id": "upl_7w3rpmaaqtbyhxg6vts2u5nqjm",
                "field": "licence",
                "filename": "licence.pdf",
                "status": "processing",
            }
        ]
    },
}


def error_responses(codes: tuple[Coded, ...]) -> dict[int, dict[str, Any]]:
    """The responses for these codes, one a status."""
    by_status: dict[int, list[str]] = defaultdict(list)
    for coded in (*codes, *UNIVERSAL):
        code, status = coded if isinstance(coded, tuple) else (coded, ERRORS[coded].status)
        by_status[status].append(code)
    return {status: _response(status, found) for status, found in sorted(by_status.items())}


def _response(status: int, codes: list[str]) -> dict[str, Any]:
    schema = {
        "allOf": [
            {"$ref": "#/components/schemas/ProblemDetails"},
            {"properties": {"code": {"enum": codes}, "status": {"const": status}}},
        ]
    }
    examples = {code: {"value": _example(code, status)} for code in codes}
    described = {"schema": schema, "examples": examples}
    return {
        "description": f"{_PHRASES.get(status) or HTTPStatus(status).phrase}: {', '.join(codes)}",
        "headers": header_objects(("Cache-Control",), _sometimes(status, codes)),
        "content": {
            "application/problem+json": described,
            "application/json": described,  # for who accepts that and not the other
            "text/html": {"schema": {"type": "string"}},  # for a browser's navigation
        },
    }


def _sometimes(status: int, codes: list[str]) -> tuple[str, ...]:
    names = ["Connection"]
    if any(ERRORS[code].retryable for code in codes):
        names.append("Retry-After")
    if status == HTTPStatus.UNAUTHORIZED:
        names.append("WWW-Authenticate")
    if "unsupported-content-encoding" in codes:
        names.append("Accept-Encoding")
    if "precondition-failed" in codes:
        names.append("ETag")
    if "wrong-offset" in codes:
        names.append("Upload-Offset")
    if "tus-version" in codes:
        names.append("Tus-Version")
    return tuple(names)


def _example(code: str, status: int) -> dict[str, Any]:
    spec = ERRORS[code]
    params = {name: value for name, value in _PARAMS.items() if f"{{{name}}}" in spec.detail}
    problem = Problem(code, params=params, status=status)
    example = {
        "type": f"{GUIDE}#{code}",
        "title": problem.title,
        "status": status,
        "detail": problem.detail,
        "code": code,
        "retryable": problem.retryable,
        **({"params": params} if params else {}),
        **_MORE.get(code, {}),
    }
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        example["request_id"] = "req_3hq7ktwkd5m2u6vyp4xzfbnsce"
    return example
