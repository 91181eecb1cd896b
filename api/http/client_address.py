"""The address that a request really comes from: of whom a share, or a quota, is counted.

A proxy writes the address it got a request from at the end of a header. Anybody can send that
header, so it is read from its end, and only as far as proxies wrote it whom a setting names.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from starlette.types import ASGIApp, Receive, Scope, Send

from api.settings.trusted_proxies import Address, ForwardingHeader, TrustedProxies, address_in

Headers = Iterable[tuple[bytes, bytes]]
"""Names in lower case, as ASGI has them."""

MAX_HOPS = 16
MAX_ELEMENT = 512
"""Characters of one proxy's element; a longer one names nobody."""
CLIENT_PREFIX = 64
"""What one household or one machine gets of IPv6: it can use any of those addresses."""
SCHEMES = frozenset({"http", "https"})
_PAIR = re.compile(r'\s*([!#$%&\'*+.^_`|~\w-]+)=(?:"([^"\\]*)"|([^\s";,]*))\s*(?:;|$)', re.ASCII)


class Origin(NamedTuple):
    """Where a request comes from, past the proxies that are trusted."""

    address: str
    """As `client_address` says."""
    scheme: str | None
    """By which the client came to the first trusted proxy; None where no trusted one says so."""
    by_proxy: bool
    """The peer is a trusted proxy."""


class _Hop(NamedTuple):
    address: Address | None
    scheme: str | None = None


def client_address(peer: str, headers: Headers, trusted: TrustedProxies) -> str:
    """Whom a request is counted for: an IPv4 address, or an IPv6 network of `CLIENT_PREFIX`.

    It is the peer's, unless that is a trusted proxy; then the last address in the header that is
    no trusted proxy's. Where the header names nobody (RFC 7239, section 6: `unknown`, an obfuscated
    name) it is that of the last trusted proxy on the way, whole: see `TrustedProxies.trusts`.
    """
    return origin(peer, headers, trusted).address


def origin(peer: str, headers: Headers, trusted: TrustedProxies) -> Origin:
    """The same, with the scheme of the client's own request."""
    here = address_in(peer)
    if here is None:
        return Origin(peer, None, by_proxy=False)  # a socket without addresses
    if not trusted.holds(here):
        return Origin(_counted(here), None, by_proxy=False)
    scheme = None
    for hop in _hops(headers, trusted.header):
        scheme = hop.scheme
        if hop.address is None:
            break
        here = hop.address
        if not trusted.holds(here):
            return Origin(_counted(here), scheme or _proto(headers, trusted), by_proxy=True)
    return Origin(str(here), scheme or _proto(headers, trusted), by_proxy=True)


def _counted(address: Address) -> str:
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(ipaddress.ip_network((int(address), CLIENT_PREFIX), strict=False))


def _hops(headers: Headers, header: ForwardingHeader) -> Iterable[_Hop]:
    """What each proxy said, the nearest first; only as far as somebody asks."""
    rest = ",".join(_values(headers, header))
    for _ in range(MAX_HOPS):
        if not rest:
            return
        if header == "forwarded":
            rest, element = _last_element(rest)
            yield _forwarded(element)
        else:
            rest, _, element = rest.rpartition(",")
            yield _Hop(_node(element.strip()) if len(element) <= MAX_ELEMENT else None)


def _last_element(text: str) -> tuple[str, str]:
    """What follows the last comma that isn't quoted. Read backwards, so that a quote which the
    client left open before it changes nothing in what a proxy wrote."""
    quoted = False
    for position in range(len(text) - 1, max(len(text) - MAX_ELEMENT, 0) - 1, -1):
        if text[position] == '"':
            quoted = not quoted
        elif text[position] == "," and not quoted:
            return text[:position], text[position + 1 :]
    return "", text if len(text) <= MAX_ELEMENT else ""


def _forwarded(element: str) -> _Hop:
    """One element of `Forwarded` (RFC 7239, section 4); one that isn't well formed says nothing."""
    said: dict[str, str] = {}
    position = 0
    while position < len(element):
        found = _PAIR.match(element, position)
        if not found or found[1].lower() in said:
            return _Hop(None)
        said[found[1].lower()] = found[3] if found[2] is None else found[2]
        position = found.end()
    scheme = said.get("proto", "").lower()
    return _Hop(_node(said.get("for", "")), scheme if scheme in SCHEMES else None)


def _node(text: str) -> Address | None:
    """RFC 7239, section 6: an address, in brackets where it is IPv6, and perhaps a port. IPv6
    without brackets is read too, as `X-Forwarded-For` has it."""
    if text.startswith("["):
        return address_in(text[1:].partition("]")[0])
    return address_in(text.partition(":")[0] if text.count(":") == 1 else text)


def _proto(headers: Headers, trusted: TrustedProxies) -> str | None:
    """`X-Forwarded-Proto`, which goes with `X-Forwarded-For` alone."""
    if trusted.header != "x-forwarded-for":
        return None
    said = [value.strip().lower() for value in _values(headers, "x-forwarded-proto")]
    return said[-1] if said and said[-1] in SCHEMES else None


def _values(headers: Headers, wanted: str) -> list[str]:
    name = wanted.encode()
    return [value.decode("latin-1") for each, value in headers if each == name]


class KnowClient:
    """Notes in the scope whom a request is counted for (`client_address`), whether a trusted proxy
    passed it on (`by_proxy`), and the scheme the client used."""

    def __init__(self, app: ASGIApp, trusted: TrustedProxies) -> None:
        self._app = app
        self._trusted = trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            peer = (scope.get("client") or ("", 0))[0]
            found = origin(peer, scope["headers"], self._trusted)
            scope["client_address"], scope["by_proxy"] = found.address, found.by_proxy
            scope["scheme"] = found.scheme or scope["scheme"]
        await self._app(scope, receive, send)


def address_of(scope: Mapping[str, object]) -> str:
    """Whom a request is counted for."""
    return str(scope.get("client_address", ""))
