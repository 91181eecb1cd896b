"""Proxies whose word is taken about the client, as TRUSTED_PROXIES names them."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


ForwardingHeader = Literal["x-forwarded-for", "forwarded"]


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """Whose word is taken about who the client is, and the one header in which they give it.

    Only one header is read: proxies pass on what they don't know, so a client could say in the
    other whatever it likes.
    """

    networks: tuple[Network, ...] = ()
    header: ForwardingHeader = "x-forwarded-for"

    @classmethod
    def of(
        cls, entries: Iterable[str], header: ForwardingHeader = "x-forwarded-for"
    ) -> "TrustedProxies":
        """Raises `ValueError` for an entry that is no address or network, or is everybody."""
        return cls(tuple(network(entry) for entry in entries), header)

    def trusts(self, address: str) -> bool:
        """Whether it is a proxy's: what `client_address` says of a client that stayed unknown."""
        found = address_in(address)
        return found is not None and self.holds(found)

    def holds(self, address: Address) -> bool:
        """Whether the address is in one of the networks."""
        return any(address in network for network in self.networks)


def network(entry: str) -> Network:
    """Raises `ValueError`, without the value, for what is none."""
    try:
        found = ipaddress.ip_network(entry)
    except ValueError:
        raise ValueError("addresses or networks, such as 10.0.0.7 or 10.1.0.0/16") from None
    if not found.prefixlen:
        raise ValueError("a network of everybody; whoever is in it can claim any address")
    return found


@lru_cache(maxsize=1024)
def address_in(text: str) -> Address | None:
    """IPv4 in its IPv6 form (RFC 4291, section 2.5.5.2) is IPv4; a zone is left out."""
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
