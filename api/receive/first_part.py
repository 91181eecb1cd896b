"""The first part of a multipart body, read before anything behind it."""

from collections.abc import AsyncIterator

from api.receive.multipart import Event, PartData, PartEnd, PartStart

MAX_BYTES = 200
"""More than any credential has."""


async def first_text(events: AsyncIterator[Event], name: str) -> bytes | None:
    """The value of the first part if it is a text of that name, else None. What comes behind it
    is left in `events`."""
    start = await anext(events, None)
    if not isinstance(start, PartStart) or start.name != name or start.filename is not None:
        return None
    value = b""
    async for event in events:
        if isinstance(event, PartEnd):
            return value
        if isinstance(event, PartData):
            value += event.data
            if len(value) > MAX_BYTES:
                return None
    return None
