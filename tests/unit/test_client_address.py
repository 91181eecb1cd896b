"""Whom a request is counted for, held against what clients and proxies may write."""

import time

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from api.http.client_address import Origin, client_address, origin
from api.http.connections import Connections
from api.settings.settings import Settings
from api.settings.trusted_proxies import TrustedProxies, network

PROXY, OTHER_PROXY, CLIENT, LIAR = "10.0.0.2", "10.0.0.3", "203.0.113.7", "198.51.100.1"
TRUSTED = TrustedProxies.of(["10.0.0.0/24", "2001:db8:ffff::2"])
FORWARDED = TrustedProxies.of(["10.0.0.0/24"], "forwarded")


def headers(*values: str, name: str = "x-forwarded-for") -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode("latin-1")) for value in values]


def forwarded(*values: str) -> list[tuple[bytes, bytes]]:
    return headers(*values, name="forwarded")


@pytest.mark.parametrize("trusted", [TrustedProxies(), TRUSTED, FORWARDED])
def test_what_a_client_says_of_itself_is_not_taken(trusted: TrustedProxies) -> None:
    said = [*headers(LIAR), *forwarded(f"for={LIAR}"), *headers("https", name="x-forwarded-proto")]
    assert origin(CLIENT, said, trusted) == Origin(CLIENT, None, by_proxy=False)


def test_who_comes_by_a_socket_without_addresses_came_by_no_proxy() -> None:
    assert origin("", headers(CLIENT), TRUSTED) == Origin("", None, by_proxy=False)


@pytest.mark.parametrize(
    ("lines", "client"),
    [
        ([CLIENT], CLIENT),
        ([f"{LIAR}, {CLIENT}"], CLIENT),
        ([f"{LIAR}, {CLIENT}, {OTHER_PROXY}"], CLIENT),
        ([LIAR, CLIENT], CLIENT),
        ([f"{LIAR},{CLIENT}", OTHER_PROXY], CLIENT),
        ([f"{CLIENT}:4711"], CLIENT),
        ([f"::ffff:{CLIENT}"], CLIENT),
        (["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::/64"),
        (["[2001:db8:1:2::9]:443"], "2001:db8:1:2::/64"),
        (["2001:db8:1:2::9%eth0"], "2001:db8:1:2::/64"),
        ([f"{CLIENT}, 2001:db8:ffff::2"], CLIENT),
    ],
)
def test_behind_proxies_the_client_is_the_last_address_that_is_none_of_theirs(
    lines: list[str], client: str
) -> None:
    assert client_address(PROXY, headers(*lines), TRUSTED) == client


@pytest.mark.parametrize(
    ("lines", "client"),
    [
        ([f"for={CLIENT}"], CLIENT),
        ([f"For={CLIENT};Proto=https;by={PROXY}"], CLIENT),
        ([f"for={LIAR}, for={CLIENT};proto=http"], CLIENT),
        ([f"for={LIAR}", f'proto=https ; for="{CLIENT}:99", for={OTHER_PROXY}'], CLIENT),
        (['for="[2001:db8:1:2::9]:4711"'], "2001:db8:1:2::/64"),
        ([f'for=" , for={CLIENT}'], CLIENT),
        ([f'for="{LIAR}\\", for={CLIENT}'], CLIENT),
        ([f'for={LIAR}, for={CLIENT};host="a,b;c"', f"for={OTHER_PROXY}"], CLIENT),
    ],
)
def test_forwarded_is_read_as_its_standard_has_it(lines: list[str], client: str) -> None:
    assert client_address(PROXY, forwarded(*lines), FORWARDED) == client


@pytest.mark.parametrize(
    "value", ["unknown", "_hidden", "", "for", "for=", "for=unknown", f"for={LIAR};for={CLIENT}"]
)
def test_a_client_that_stays_unknown_has_the_address_of_the_proxy(value: str) -> None:
    for trusted, said in ((FORWARDED, forwarded(value)), (TRUSTED, headers(value))):
        address = client_address(PROXY, said, trusted)
        assert address == PROXY
        assert trusted.trusts(address)
    assert not TRUSTED.trusts(CLIENT)


def test_an_unknown_hop_ends_what_is_known() -> None:
    said = headers(f"{LIAR}, unknown, {OTHER_PROXY}")
    assert client_address(PROXY, said, TRUSTED) == OTHER_PROXY


def test_only_the_header_that_was_chosen_is_read() -> None:
    both = [*headers(CLIENT), *forwarded(f"for={LIAR};proto=https")]
    assert origin(PROXY, both, TRUSTED) == Origin(CLIENT, None, by_proxy=True)
    both = [
        *headers(LIAR),
        *headers("https", name="x-forwarded-proto"),
        *forwarded("for=" + CLIENT),
    ]
    assert origin(PROXY, both, FORWARDED) == Origin(CLIENT, None, by_proxy=True)


@pytest.mark.parametrize(
    ("said", "scheme"), [("https", "https"), ("HTTPS ", "https"), ("ftp", None), ("a, https", None)]
)
def test_a_trusted_proxy_says_which_scheme_the_client_used(said: str, scheme: str | None) -> None:
    lines = headers(said, name="x-forwarded-proto")
    assert origin(PROXY, lines, TRUSTED).scheme == scheme
    assert origin(CLIENT, lines, TRUSTED).scheme is None


def test_the_scheme_of_forwarded_is_the_one_of_the_client_s_own_hop() -> None:
    lines = forwarded(
        f"for={LIAR};proto=http, for={CLIENT};proto=https, for={OTHER_PROXY};proto=http"
    )
    assert origin(PROXY, lines, FORWARDED).scheme == "https"


@pytest.mark.parametrize(
    ("peer", "client"),
    [
        ("::ffff:203.0.113.7", CLIENT),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("", ""),
        ("/run/api.sock", "/run/api.sock"),
    ],
)
def test_a_peer_is_counted_by_its_network_where_it_has_many_addresses(
    peer: str, client: str
) -> None:
    assert client_address(peer, headers(LIAR), TRUSTED) == client


@pytest.mark.parametrize(
    "character", ['"', "\\", ";", ",", "=", "%", "(", " ", "\t", ":", "[", "1"]
)
def test_a_header_of_any_size_is_read_at_once(character: str) -> None:
    for trusted, name in ((TRUSTED, "x-forwarded-for"), (FORWARDED, "forwarded")):
        for value in (character * 60_000, f"for={CLIENT}{character}" * 4_000, character * 500):
            begun = time.process_time()
            client_address(PROXY, headers(value, value, name=name), trusted)
            assert time.process_time() - begun < 0.05


@pytest.mark.parametrize("entry", ["proxy", "10.0.0.1/8", "0.0.0.0/0", "::/0", "10.0.0"])
def test_a_proxy_that_is_no_address_or_is_everybody_stops_the_start(
    entry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="network"):
        network(entry)
    monkeypatch.setenv("TRUSTED_PROXIES", f"10.0.0.1,{entry}")
    with pytest.raises(ValidationError) as refused:
        Settings()
    found = [error for error in refused.value.errors() if error["loc"] == ("trusted_proxies",)]
    assert len(found) == 1
    assert "network" in found[0]["msg"]


def test_one_client_s_share_of_connections_is_that_of_its_whole_network() -> None:
    counted = Connections(in_all=5, per_client=2)
    assert counted.admit("2001:db8::1")
    assert counted.admit("2001:db8::2")
    assert not counted.admit("2001:db8::3")
    assert counted.admit("2001:db8:0:1::1")
    counted.gone("2001:db8::2")
    assert counted.admit("2001:db8::3")


def test_an_operator_is_told_who_wants_more_than_its_share_and_not_each_time() -> None:
    shared = Connections(per_client=1)
    shared.admit(CLIENT)
    with capture_logs() as logs:
        assert [shared.admit(CLIENT) for _ in range(3)] == [False] * 3
    assert [(line["event"], line["client"]) for line in logs] == [("client_has_its_share", CLIENT)]


def test_a_trusted_proxy_has_no_share_and_is_bounded_with_all() -> None:
    counted = Connections(in_all=4, per_client=2, proxies=TRUSTED)
    assert all(counted.admit(PROXY) for _ in range(4))
    assert not counted.admit(PROXY)
    counted.gone(PROXY)
    assert counted.admit(CLIENT)
