"""Start the api with its internal listener in the network of INTERNAL_NAME, and in no other.

A container has an address in each of its networks, and none of them is known beforehand.
INTERNAL_NAME is a name that the apis, and nothing else, have in the network that the workers share
and the proxy doesn't: an alias of theirs. Of its addresses, one for each replica, one is our own.
Where a name is only given to who is healthy already, INTERNAL_NETWORK says the network's subnet.
With a module's name, as `api.check`, it starts that one in place of the api.
"""  # noqa: INP001 - a script that the image holds beside the packages

import ipaddress
import os
import socket
import sys
import time
from collections.abc import Mapping
from typing import Any

PATIENCE = 20.0
"""Seconds in which our own address has to be among those of the name."""
PAUSE = 0.2


def environment(environ: Mapping[str, str], patience: float = PATIENCE) -> dict[str, str]:
    """`environ` with INTERNAL_HOST, unless it is set. Raises `OSError` when none of the name's
    addresses is ours, or none of ours in the network; `ValueError` when that isn't one."""
    if environ.get("INTERNAL_HOST"):
        return dict(environ)
    if network := environ.get("INTERNAL_NETWORK"):
        return {**environ, "INTERNAL_HOST": address_in(network)}
    return {**environ, "INTERNAL_HOST": own_address(environ["INTERNAL_NAME"], patience)}


def address_in(network: str) -> str:
    """This machine's address in the network: the one from which it would call its first. Nothing is
    sent."""
    wanted = ipaddress.ip_network(network)
    ((family, _, _, _, first),) = socket.getaddrinfo(str(wanted[1]), 9, type=socket.SOCK_DGRAM)
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect(first)
        own = str(probe.getsockname()[0])
    if ipaddress.ip_address(own) not in wanted:
        raise OSError(f"no address of ours is in {network}")
    return own


def own_address(name: str, patience: float) -> str:
    """The name's address that is this machine's. A container may start before its name is known."""
    deadline = time.monotonic() + patience
    while True:
        try:
            found = socket.getaddrinfo(name, 0, type=socket.SOCK_DGRAM)
            own = [str(address[0]) for family, *_, address in found if _is_ours(family, address)]
            if own:
                return own[0]
            reason = "no address of this name is ours"
        except OSError as error:
            reason = str(error)
        if time.monotonic() > deadline:
            raise OSError(reason)
        time.sleep(PAUSE)


def _is_ours(family: int, address: tuple[Any, ...]) -> bool:
    """Whether we would call it from itself: what no other machine's address can do, whatever the
    kernel lets us bind. Nothing is sent."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((address[0], 9, *address[2:]))
        except OSError:
            return False
        return bool(probe.getsockname()[0] == address[0])


def main() -> None:
    try:
        env = environment(os.environ)
    except (KeyError, OSError, ValueError) as error:
        name = "INTERNAL_NETWORK" if os.environ.get("INTERNAL_NETWORK") else "INTERNAL_NAME"
        sys.exit(f"api: {name}: {error}")
    module = sys.argv[1:] or ["api"]
    os.execve(sys.executable, [sys.executable, "-m", *module], env)  # noqa: S606 - PID and signals stay


if __name__ == "__main__":
    main()
