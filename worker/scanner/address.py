"""Where clamd listens, as `CLAMD_ADDRESS` has it."""

from urllib.parse import urlsplit

PORT = 3310

Address = tuple[str, int] | str
"""Host and port, or the path of a Unix socket."""


def parse(value: str) -> Address:
    """`clamd:3310`, `clamd` (the port is 3310), `[::1]:3310` or `unix:/run/clamav/clamd.ctl`.

    Raises `ValueError` for anything else.
    """
    if value.startswith("unix:/"):
        return value.removeprefix("unix:")
    parts = urlsplit(f"//{value}")
    port = parts.port  # which raises for a port that is none
    if not parts.hostname or parts.netloc != value or "@" in value or port == 0:
        raise ValueError("is no host and port")
    return parts.hostname, port or PORT
