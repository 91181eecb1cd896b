"""application/x-www-form-urlencoded (URL standard): a section without files, small enough to be
read whole."""

from collections.abc import Callable
from urllib.parse import parse_qsl

from api.errors import Problem
from api.receive.body import Body
from api.receive.multipart import MAX_PARTS
from api.receive.sections import SectionBody, TextPart

MAX_URLENCODED = 1024 * 1024
URLENCODED = "application/x-www-form-urlencoded"


async def receive_urlencoded(body: Body, known: Callable[[str], object]) -> SectionBody:
    """All values, in their order. `known` raises `Problem` unknown-field.

    Raises `Problem` bad-request for what is not UTF-8 or has too many values.
    """
    raw = await body.read()
    try:
        pairs = parse_qsl(
            raw.decode("utf-8"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_PARTS,
        )
    except ValueError as error:
        detail = f"The body is not UTF-8, or has more than {MAX_PARTS} values."
        raise Problem("bad-request", detail) from error
    for name, _ in pairs:
        known(name)
    return SectionBody(text=[TextPart(name, value) for name, value in pairs])
