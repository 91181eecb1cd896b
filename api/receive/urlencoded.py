"""application/x-www-form-urlencoded (URL standard): a section without files, small enough to be
read whole."""

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl

from api.receive.body import Body
from api.receive.multipart import MAX_PARTS
from api.receive.sections import CHARSET, EncodedText, SectionBody
from api.texts.errors import Problem

MAX_URLENCODED = 1024 * 1024
_ONE_AT_A_TIME = asyncio.Semaphore(1)
TOKEN = "token"  # noqa: S105 - a name, and no secret
"""The name of the hidden field that shows whose form it is, where no header can."""
URLENCODED = "application/x-www-form-urlencoded"


async def receive_urlencoded(
    body: Body, admit: Callable[[bytes | None], Awaitable[None]], known: Callable[[str], object]
) -> SectionBody:
    """All values, in their order. `known` raises `Problem` unknown-field, `admit` what it has
    against the first value of the name `TOKEN`, which may stand anywhere.

    Raises `Problem` bad-request for too many values.
    """
    raw = await body.read()
    try:
        async with _ONE_AT_A_TIME:  # many threads at once would leave the loop too little
            came = await asyncio.to_thread(_read, raw)  # 0.1 s and more if all is percent-encoded
    except ValueError as error:
        raise Problem("bad-request", f"The body has more than {MAX_PARTS} values.") from error
    await admit(next((each.data for each in came if each.name == TOKEN), None))
    for each in came:
        if each.name != CHARSET:
            known(each.name)
    section = SectionBody()
    section.read_text(came)
    return section


def _read(raw: bytes) -> list[EncodedText]:
    """Byte by byte: which text the bytes are is told by the form, or it is UTF-8."""
    pairs = parse_qsl(
        raw.decode("latin-1"),
        keep_blank_values=True,
        encoding="latin-1",
        max_num_fields=MAX_PARTS,
    )
    return [EncodedText(_name(name), value.encode("latin-1")) for name, value in pairs]


def _name(name: str) -> str:
    return name.encode("latin-1").decode("utf-8", "replace")
