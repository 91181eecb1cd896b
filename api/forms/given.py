"""What a back end may give with a form that it creates, and nobody else."""

import json
import math
from collections.abc import Mapping
from typing import Any

from api.access.tokens import unauthorized
from api.forms.drafts import Given
from api.forms.way_back import check_redirect
from api.services import Services
from api.texts.errors import wrong_member

NAMES = ("success_redirect", "error_redirect", "metadata")
MAX_METADATA = 4096
"""Bytes as JSON, in UTF-8 and without spaces."""
MAX_INTEGER = 2**53 - 1
"""Up to which every integer is exact in every reader of JSON."""


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
    _check_numbers(value)
    written = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if len(written.encode()) > MAX_METADATA:
        raise wrong_member("metadata", f"must be at most {MAX_METADATA} bytes as JSON")
    return value


def _check_numbers(value: Any) -> None:
    """What is kept comes back as it was given, whoever reads it. Raises `Problem` invalid-request
    for an infinite number, or an integer that a double (RFC 8259, section 6) would round."""
    left = [value]  # no recursion: it may be nested deeply
    while left:
        each = left.pop()
        if isinstance(each, dict):
            left.extend(each.values())
        elif isinstance(each, list):
            left.extend(each)
        elif isinstance(each, float) and not math.isfinite(each):
            raise wrong_member("metadata", "must hold no number that is too large for a double")
        elif isinstance(each, int) and abs(each) > MAX_INTEGER:
            raise wrong_member(
                "metadata", f"must hold no integer beyond {MAX_INTEGER}: give it as a string"
            )
