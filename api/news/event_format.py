"""Events as they go over the wire: server-sent events, as the HTML standard has them."""

import json

HEARTBEAT = b":\n\n"
"""A comment, which clients skip: it shows proxies that the stream is alive, and us that the client
is."""


def event(name: str, data: str, version: int | None = None) -> bytes:
    """One event; `data` is JSON on one line. When it comes back, the client says that it knows all
    until the last `version` it got, which is the form's."""
    known = "" if version is None else f"id: {version}\n"
    return f"event: {name}\n{known}data: {data}\n\n".encode()


def retry(milliseconds: int) -> bytes:
    """How long a client whose stream broke off waits before it asks again."""
    return b"retry: %d\n\n" % milliseconds


def end(reason: str) -> bytes:
    """The last event of a stream, after which nobody needs to come back."""
    return event("end", json.dumps({"reason": reason}, separators=(",", ":")))
