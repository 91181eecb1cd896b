"""What a route says about itself, as arguments for FastAPI's decorator."""

from typing import Any

from pydantic import BaseModel

from api.openapi.errors import Coded, error_responses
from api.openapi.headers import header_objects

Credential = dict[str, list[str]]
"""A security requirement: a scheme of the document, and its scopes, of which we have none."""

FORM_TOKEN: Credential = {"form_token": []}
SERVICE_KEY: Credential = {"service_key": []}
SESSION: Credential = {"session": []}
INTERNAL_SECRET: Credential = {"internal_secret": []}
OWNER = (FORM_TOKEN, SERVICE_KEY)
"""Who may do anything with a form and its uploads."""
OWNER_OR_PAGES = (*OWNER, SESSION)
"""The same, and our own pages."""

RECEIVING: tuple[Coded, ...] = (
    "fragment-not-supported",
    "form-submitted",
    "form-full",
    "storage-full",
)
"""What receiving files can meet."""
MULTIPART: tuple[Coded, ...] = (
    "unsupported-media-type",
    "malformed-multipart",
    "unsupported-transfer-encoding",
)

NOT_MODIFIED: dict[str, Any] = {
    "description": "What the client has is the newest",
    "headers": header_objects(("ETag", "Cache-Control"), ("Preference-Applied",)),
}


def answer(
    description: str,
    model: type[BaseModel] | None = None,
    *,
    example: Any = None,
    always: tuple[str, ...] = (),
    sometimes: tuple[str, ...] = (),
    links: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """One status of an operation: its body if it has one, its headers, and where it leads."""
    response: dict[str, Any] = {
        "description": description,
        "headers": header_objects(always, sometimes),
    }
    if model:
        response["model"] = model
        response["content"] = {"application/json": {"example": example} if example else {}}
    if links:
        response["links"] = links
    return response


def leads_to(parameter: str, *operations: str) -> dict[str, Any]:
    """Links to operations on what was answered, by its id."""
    return {
        name: {"operationId": name, "parameters": {parameter: "$response.body#/id"}}
        for name in operations
    }


def operation(
    *,
    answers: dict[int, dict[str, Any]],
    errors: tuple[Coded, ...] = (),
    may: tuple[Credential, ...] = (),
    takes: tuple[dict[str, Any], ...] = (),
    body: dict[str, Any] | None = None,
    body_required: bool = True,
) -> dict[str, Any]:
    """Arguments of a route's decorator that describe it.

    `may` are the credentials that open it, none for everybody; `takes` its request headers; `body`
    what it reads, by media type.
    """
    extra: dict[str, Any] = {"security": list(may)}
    if takes:
        extra["parameters"] = list(takes)
    if body:
        extra["requestBody"] = {"required": body_required, "content": body}
    codes = (*(("unauthorized",) if may else ()), *errors)
    responses = error_responses(codes)
    for status, response in answers.items():
        responses[status] = (
            _either(response, responses[status]) if status in responses else response
        )
    return {"responses": responses, "openapi_extra": extra}


def _either(response: dict[str, Any], error: dict[str, Any]) -> dict[str, Any]:
    """A status that an operation answers with, and that an error has too."""
    return {
        **response,
        "headers": {**response["headers"], **error["headers"]},
        "content": {**error["content"], **response["content"]},
    }
