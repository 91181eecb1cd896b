"""Which ports the stack listens on: chosen once, then kept, since stored URLs hold some of them."""

import errno
import random
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

from dev.say import Problem
from dev.seaweedfs import INNER_PORTS

Ports = dict[str, int]
NAMES = ("public", "internal", "s3", "redis", *INNER_PORTS)
NOT_STORED = ("internal", "redis", *INNER_PORTS)
"""Only running processes know them, so they give way to whatever else listens there."""
DEFAULT = 8000
# Below what systems hand out for outgoing connections, which would take a kept port now and then;
# and not beside the public port, where a second stack has its own.
FREE = range(20_000, 30_000)
NOT_KEPT = range(11_000, 20_000)  # no browser opens 10080


def still_ours(kept: Ports, patience: float) -> Ports:
    """The kept ports without those that something else has taken, and that no stored URL holds.

    `patience`: as for `check`.
    """
    deadline = time.monotonic() + patience
    return {
        name: port
        for name, port in kept.items()
        if name not in NOT_STORED or _comes_free(port, deadline)
    }


def choose(kept: Ports, public: int | None, is_free: Callable[[int], bool]) -> Ports:
    """Keep the ports of earlier runs, but for a public one asked for now; pick what is missing."""
    public = public or kept.get("public", DEFAULT)
    if public == kept.get("s3"):
        raise Problem(f"port {public} is this stack's S3 endpoint: choose another with --port")
    ports = {name: port for name, port in kept.items() if port != public} | {"public": public}
    for name in NAMES:
        while name not in ports:
            candidate = random.choice(FREE)  # noqa: S311 - only to keep two first runs apart
            if candidate not in ports.values() and is_free(candidate):
                ports[name] = candidate
    return ports


class Reserved:
    """Ports that no other start chooses, until what is to listen on them does so: several that
    begin at once would choose one that is free for each of them."""

    def __init__(self) -> None:
        self._held = ExitStack()

    def take(self, port: int) -> bool:
        """Whether nobody listens there or has reserved it; then it is reserved here."""
        held = socket.socket()
        try:
            held.bind(("127.0.0.1", port))  # strictly, so that two can't both have it
        except OSError:
            held.close()
            return False
        if sys.platform == "linux":  # elsewhere nothing could listen beside it
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._held.enter_context(held)
        else:
            held.close()
        return True

    def close(self) -> None:
        self._held.close()


_HELD = Reserved()
_LEFT = iter(random.sample(NOT_KEPT, len(NOT_KEPT)))  # two processes begin apart


def free_port() -> int:
    """One to use while this process runs: no other call gives it, here or in another process."""
    return next(port for port in _LEFT if _HELD.take(port))


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise Problem(f"cannot listen on port {port}: {error.strerror}") from None
            return False
        except OverflowError:
            return False
    return True


def check(ports: Ports, patience: float) -> None:
    """Refuse to start on a port in use, naming what holds it and what to do about it.

    `patience`: seconds for the children of a killed run to end, which hold these very ports.
    """
    deadline = time.monotonic() + patience
    for name, port in ports.items():
        if not _comes_free(port, deadline):
            remedy = "choose another with --port" if name == "public" else KEPT
            raise Problem(f"port {port} is in use{holder(port)}: {remedy}")


def _comes_free(port: int, deadline: float) -> bool:
    while not is_free(port):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


KEPT = (
    "stop what holds it, or use another --state-dir"
    " (this one has kept the port, and stored URLs may hold it)"
)


def holder(port: int) -> str:
    """Who listens there, where /proc tells."""
    with suppress(OSError, ValueError):
        inodes = _listening(port)
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if inodes.intersection(_open_files(process)):
                    name = (process / "comm").read_text("utf-8").strip()
                    return f" by {name}, process {process.name}"
    return ""


def _open_files(process: Path) -> Iterator[str]:
    for descriptor in (process / "fd").iterdir():
        with suppress(OSError):  # closed in between
            yield str(descriptor.readlink())


def _listening(port: int) -> set[str]:
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text("ascii").splitlines()[1:]:
            _, local, _, status, *rest = line.split()
            if status == "0A" and int(local.rsplit(":", 1)[1], 16) == port:
                found.add(f"socket:[{rest[5]}]")
    return found
