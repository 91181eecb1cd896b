"""Which apis a call may go to: every address of the name in `INTERNAL_URL`, each URL by commas."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httpx

RESOLVE_SECONDS = 2.0
"""For a look-up: a name server that is slow must not hold up what its last answer allows."""
RESOLVE_EVERY = 5.0
"""Replicas come and go: as often the name is looked up, at most."""

Resolve = Callable[[str, int], Awaitable[list[str]]]


@dataclass(frozen=True)
class Replica:
    """One address. `host` and `name` stay those of the URL: for the Host header, and for TLS."""

    url: httpx.URL
    host: str
    name: str


async def addresses_of(host: str, port: int) -> list[str]:
    """Raises `OSError` for a name that there isn't."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


@dataclass
class Replicas:
    """The replicas in the order in which to try them: who answered last comes first, who was
    silent comes last."""

    urls: list[httpx.URL]
    resolve: Resolve = addresses_of
    _known: list[Replica] = field(default_factory=list)
    _resolved_at: float | None = None

    async def in_turn(self) -> list[Replica]:
        """Raises `httpx.ConnectError` when no name has an address, and none ever had."""
        now = time.monotonic()
        if self._resolved_at is None or now - self._resolved_at >= RESOLVE_EVERY or not self._known:
            self._resolved_at = now
            await self._look_up()
        return list(self._known)

    def answered(self, replica: Replica) -> None:
        self._known.sort(key=lambda each: each != replica)

    def silent(self, replica: Replica) -> None:
        self._known.sort(key=lambda each: each == replica)

    async def _look_up(self) -> None:
        """What was known keeps its turn, what is new comes behind it. A name that can't be looked
        up just now keeps the addresses it had."""
        found: list[Replica] = []
        failure: OSError | None = None
        for url in self.urls:
            try:
                async with asyncio.timeout(RESOLVE_SECONDS):
                    addresses = await self.resolve(url.host, url.port or 0)
            except OSError as error:  # a TimeoutError is one
                failure = error
                found += [each for each in self._known if each.host == _host(url)]
            else:
                found += [_replica(url, address) for address in addresses]
        kept = [each for each in self._known if each in found]
        self._known = kept + [each for each in dict.fromkeys(found) if each not in kept]
        if not self._known:
            raise httpx.ConnectError(f"no address: {failure}") from failure


def _host(url: httpx.URL) -> str:
    return url.netloc.decode("ascii")


def _replica(url: httpx.URL, address: str) -> Replica:
    return Replica(url.copy_with(host=address), _host(url), url.host)
