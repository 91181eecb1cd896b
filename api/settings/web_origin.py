"""Origins as settings name them and as addresses have them: scheme, host and port, nothing else."""

import re
from urllib.parse import urlsplit

MAX_URL = 2000
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\]")
_PORTS = {"http": 80, "https": 443}
_PLAIN = re.compile(r"[!-~]+")


def origin_of(url: str) -> str:
    """The origin of an absolute http or https address, as browsers write it.

    Takes only what every parser reads in the same way: printable ASCII without a backslash, nobody
    named before the host, no fragment. Raises `ValueError` with the reason.
    """
    if len(url) > MAX_URL or not _PLAIN.fullmatch(url) or "\\" in url:
        raise ValueError(f"must be up to {MAX_URL} ASCII characters, without spaces or backslashes")
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    if scheme not in _PORTS or not url.lower().startswith(f"{scheme}://"):
        raise ValueError("must begin with https://")
    if "@" in parts.netloc or "#" in url:
        raise ValueError("must name no user and have no fragment")
    host = parts.netloc.lower()
    host, port = _divided(host)
    if not _HOST.fullmatch(host):
        raise ValueError("must have a host as browsers send it, in ASCII")
    return f"{scheme}://{host}" + (f":{port}" if port and port != _PORTS[scheme] else "")


def exact_origin(text: str, *, may_be_plain: bool) -> str:
    """What a setting names: an origin, written as one. Raises `ValueError`.

    `may_be_plain`: http is taken as well as https.
    """
    origin = origin_of(text)
    if text.lower() != origin:
        raise ValueError(f"is no origin; write {origin}")
    if origin.startswith("http://") and not may_be_plain:
        raise ValueError("must be https")
    return origin


def _divided(netloc: str) -> tuple[str, int | None]:
    host, colon, digits = netloc.rpartition(":")
    if not colon or netloc.endswith("]"):
        return netloc, None
    if not (digits.isascii() and digits.isdecimal() and len(digits) < 6 and int(digits) < 65536):  # noqa: PLR2004 - ports
        raise ValueError("must have a port that is a number")
    return host, int(digits)
