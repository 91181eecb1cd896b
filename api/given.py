"""What a back end may give with a form that it creates, and nobody else."""

import json
from collections.abc import Mapping
from typing import Any

from api.auth import unauthorized
from api.errors import Problem
from api.forms import Given
from api.services import Services
from api.way_back import check_redirect

NAMES = ("success_redirect", "error_redirect", "metadata")
MAX_METADATA = 4096
"""Bytes as JSON, in UTF-8 and without spaces."""


def given_of(services: Services, body: Mapping[str, Any], *, by_back_end: bool) -> Given:
    """What is given in the body that creates a form.

    Raises `Problem` unauthorized for who has no service key, and invalid-request.
    """
    named = [name for name in NAMES if body.get(name) is not None]
    if named and not by_back_end:
        raise unauthorized(f"Only a service key may give {' and '.join(named)}.")
    return Given(
        success_redirect=check_redirect(services, NAMES[0], body.get(NAMES[0])),
        error_redirect=check_redirect(services, NAMES[1], body.get(NAMES[1])),
        metadata=_metadata(body.get(NAMES[2])),
    )


def _metadata(value: Any) -> Any:
    written = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if len(written.encode()) > MAX_METADATA:
        detail = f"must be at most {MAX_METADATA} bytes as JSON"
        errors = [{"pointer": "/metadata", "code": "invalid-value", "detail": detail}]
        raise Problem("invalid-request", f"metadata {detail}", errors=errors)
    return value
