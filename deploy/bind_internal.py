"""Start the api with its internal listener in the network of Redis, and in no other.

A container has an address in each of its networks, and none of them is known beforehand. The one
that it would reach Redis from lies in the network that the workers share and the proxy doesn't.
"""  # noqa: INP001 - a script that the image holds beside the packages

import os
import socket
import sys
from collections.abc import Mapping
from urllib.parse import urlsplit


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` with INTERNAL_HOST, unless it is set. Raises `OSError` when Redis has no name."""
    if environ.get("INTERNAL_HOST"):
        return dict(environ)
    return {**environ, "INTERNAL_HOST": address_towards(environ["REDIS_URL"])}


def address_towards(url: str) -> str:
    """This machine's address in the network of the URL's host. Nothing is sent."""
    parts = urlsplit(url)
    if not parts.hostname:
        raise OSError(f"no host in it: {parts.scheme}:")
    family, kind, protocol, _, address = socket.getaddrinfo(
        parts.hostname, parts.port or 6379, type=socket.SOCK_DGRAM
    )[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.connect(address)
        return str(probe.getsockname()[0])


def main() -> None:
    try:
        env = environment(os.environ)
    except (KeyError, OSError) as error:
        sys.exit(f"api: REDIS_URL: {error}")
    os.execve(sys.executable, [sys.executable, "-m", "api"], env)  # noqa: S606 - PID and signals stay


if __name__ == "__main__":
    main()
