"""What requests of resumable uploads have in common, whichever protocol they speak."""

from collections.abc import Callable

from fastapi import Request

from api.http.bodies import media_type
from api.receive.body import Body, declared_length
from api.records.rows import UploadRow
from api.services import Services
from api.texts.errors import Problem
from shared.ids import is_id

NO_STORE = {"Cache-Control": "no-store"}


def has_body(request: Request) -> bool:
    """Whether the request brings bytes."""
    declared = declared_length(request)
    return bool(declared) if declared is not None else "transfer-encoding" in request.headers


def require_type(request: Request, expected: str) -> None:
    """Raise `Problem` unsupported-media-type for bytes of another."""
    if media_type(request) != expected:
        raise Problem("unsupported-media-type", params={"expected": expected})


def checked_id(upload_id: str) -> str:
    """Raises `Problem` not-found for what can't be one."""
    if not is_id(upload_id):
        raise Problem("not-found")
    return upload_id


def body_of(request: Request, services: Services) -> Callable[[int], Body]:
    """What makes the request's body, given how many bytes it may have."""
    return lambda limit: Body(request, limit=limit, pace=services.settings.pace)


def offset(row: UploadRow) -> int:
    """How many bytes of it were acknowledged."""
    return row.size if row.received is None else row.received
