"""Why another service can't be reached, in words."""

import errno
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

CUT_OFF = (OSError, RuntimeError, AttributeError)
"""What a connection raises that can't be made, or breaks: the last two are what uvloop's streams
make of one that is reset while it is being made. A silence cut short is an `OSError` too."""


def address(url: str, default_port: int) -> str:
    """Host and port of a URL: all of it that may be shown."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return parts.path
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host or 'localhost'}:{parts.port or default_port}"


def why(error: BaseException, where: str) -> str | None:
    """What the operating system said, behind whatever a library made of it; None when it said
    nothing, and the error is an answer of the service itself."""
    for cause in _causes(error):
        if isinstance(cause, socket.gaierror):
            return f"there is no host of this name ({where})"
        if isinstance(cause, TimeoutError):
            return f"{where} doesn't answer in time"
        if isinstance(cause, OSError) and cause.errno is not None:
            return _refusal(cause, where)
    return None


def _refusal(error: OSError, where: str) -> str:
    if error.errno in {errno.ECONNREFUSED, errno.ENOENT}:
        return f"nothing listens at {where}"
    if error.errno in {errno.ECONNRESET, errno.EPIPE}:
        return f"{where} breaks the connection off"
    return f"{where} can't be reached ({(error.strerror or str(error)).lower()})"


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        if isinstance(current, BaseExceptionGroup):
            yield from current.exceptions
        yield current
        current = current.__cause__ or current.__context__ or getattr(current, "os_error", None)
