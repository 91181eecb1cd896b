"""Who reaches whom, and who may do what: the tables of docs/deployment.md, row by row."""

import json
import re
import socket
from typing import Any

import pytest

from tests.support.compose import CHECKOUT
from tests.support.engine import Deployment, EngineError, docker

DOCS = (CHECKOUT / "docs/deployment.md").read_text("utf-8")
SERVICES = ("proxy", "api", "worker", "redis", "postgres", "objectstore")
PORTS = {
    "proxy": 8080,
    "api": 8000,
    "internal": 8001,
    "redis": 6379,
    "postgres": 5432,
    "objectstore": 8333,
}
OUTSIDE = ("192.0.2.1", 80)
"""An address of nobody's: without a way out there is no route to it."""


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, its head left out."""
    section = DOCS.split(f"\n## {heading}\n", 1)[1]
    table = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)
    assert table
    lines = [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in table[0].splitlines()
    ]
    return [[cell.replace("`", "") for cell in line] for line in lines[2:]]


PLACES = [row for row in rows("What runs where") if row[0].strip("| ") != "clamd"]


@pytest.mark.parametrize("row", PLACES, ids=lambda row: row[0].strip("| "))
def test_a_service_is_where_the_table_says(running: Deployment, row: list[str]) -> None:
    name, _, networks, volumes, published = (cell.strip("| ") for cell in row)
    (container,) = running.containers(name)
    if networks == "the store's own":
        (store,) = running.containers("objectstore")
        assert container["HostConfig"]["NetworkMode"] == f"container:{store['Id']}"
    else:
        joined = {
            n.removeprefix(f"{running.project}_") for n in container["NetworkSettings"]["Networks"]
        }
        assert joined == set(networks.split(", "))
    mounted = {
        m["Name"].removeprefix(f"{running.project}_") + ("" if m["RW"] else ", read-only")
        for m in container["Mounts"]
        if m["Type"] == "volume"
    }
    assert mounted == ({volumes} - {"–"})
    ports = container["HostConfig"]["PortBindings"] or {}
    assert bool(ports) == (published != "–")
    for (binding,) in ports.values():
        bind, _, port = published.partition(":")
        assert (binding["HostIp"], binding["HostPort"]) == (
            running.settings[bind],
            running.settings[port],
        )


@pytest.mark.parametrize("name", [row[0].strip("| ") for row in PLACES])
def test_a_container_is_as_hardened_as_the_docs_say(running: Deployment, name: str) -> None:
    (container,) = running.containers(name)
    host = container["HostConfig"]
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert host["Memory"] > 0
    assert host["MemorySwap"] == host["Memory"], "no swap on top of it"
    assert host["PidsLimit"] > 0
    assert not host["Privileged"]
    assert all(m["Type"] in {"volume", "bind"} for m in container["Mounts"])
    assert all(not m["RW"] for m in container["Mounts"] if m["Type"] == "bind")
    if not container["State"]["Running"]:
        return
    said = dict(
        line.split(":\t", 1)
        for line in running.execute(name, "cat", "/proc/1/status").splitlines()
        if ":\t" in line
    )
    assert "0" not in said["Uid"].split()
    assert "0" not in said["Gid"].split()
    assert {int(said[kind], 16) for kind in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert (said["NoNewPrivs"], said["Seccomp"]) == ("1", "2")
    for place in ("/", "/etc", "/usr/bin", "/app"):
        assert not running.runs(name, "sh", "-c", f": > {place}/probe"), place
    for place in host.get("Tmpfs") or {}:
        assert running.runs(name, "sh", "-c", f": > {place}/probe && rm {place}/probe"), place


@pytest.mark.parametrize("source", SERVICES)
def test_a_service_reaches_those_it_shares_a_network_with_and_nobody_else(
    running: Deployment, source: str
) -> None:
    networks = {row[0].strip("| "): set(row[2].split(", ")) for row in PLACES} | {
        "internal": {"back"}
    }
    asked = {name: addresses(running, name) for name in PORTS if name != source}
    said = in_network_of(running, source, REACH, json.dumps(asked))
    reached = set(json.loads(said))
    assert reached - {"a way out"} == {n for n in asked if networks[source] & networks[n]}
    assert ("a way out" in reached) == bool(networks[source] - {"front", "back"})


REACH = f"""
import json, socket, sys
reached = []
for name, addresses in json.loads(sys.argv[1]).items():
    for address in addresses:
        try:
            socket.create_connection(address, 1).close()
        except OSError:
            continue
        reached.append(name)
        break
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
    try:
        probe.connect({OUTSIDE!r})
        reached.append("a way out")
    except OSError:
        pass
print(json.dumps(reached))
"""


def addresses(running: Deployment, target: str) -> list[tuple[str, int]]:
    """Of a service: its name, and its address in each network, for who knows it."""
    port = PORTS[target]
    (container,) = running.containers("api" if target == "internal" else target)
    joined = container["NetworkSettings"]["Networks"]
    if target == "internal":
        joined = {"back": joined[f"{running.project}_back"]}
    return [(target, port), *((network["IPAddress"], port) for network in joined.values())]


def in_network_of(running: Deployment, source: str, code: str, *words: str) -> str:
    """What Python code says that sees what the service sees of networks and names."""
    (container,) = running.containers(source)
    network = f"--network=container:{container['Id']}"
    return docker("run", "--rm", network, "longshore-api:local", "python", "-c", code, *words)


def test_only_this_machine_reaches_what_is_published(running: Deployment) -> None:
    own = _other_address()
    for name in ("PUBLIC_PORT", "S3_PORT"):
        port = int(running.settings[name])
        socket.create_connection(("127.0.0.1", port), 3).close()
        with pytest.raises(OSError, match=r"refused|timed out|unreachable"):
            socket.create_connection((own, port), 3)


def _other_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(OUTSIDE)
        return str(probe.getsockname()[0])


def test_what_an_internal_network_does_not_close_is_as_the_docs_say(running: Deployment) -> None:
    """A service of the machine that listens everywhere is reached through the bridge's address."""
    network: dict[str, Any] = json.loads(docker("network", "inspect", f"{running.project}_back"))[0]
    gateway = network["IPAM"]["Config"][0].get("Gateway")
    code = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 3)"
    with socket.create_server(("0.0.0.0", 0)) as everywhere:  # noqa: S104 - that is the point
        port = str(everywhere.getsockname()[1])
        in_network_of(running, "redis", code, gateway, port)
    with socket.create_server(("127.0.0.1", 0)) as on_loopback:
        port = str(on_loopback.getsockname()[1])
        with pytest.raises(EngineError, match="refused"):
            in_network_of(running, "redis", code, gateway, port)


def test_the_images_hold_what_the_docs_say(running: Deployment) -> None:
    held = {
        name: set(running.execute(name, "ls", "/app").split()) - {"__pycache__"}
        for name in ("api", "worker")
    }
    assert held["api"] == {"api", "shared", "forms", "browser", "bind_internal.py"}
    assert held["worker"] == {"worker", "shared"}


def test_the_volume_is_the_apis_to_write_and_the_workers_to_read(running: Deployment) -> None:
    staging = "/var/lib/longshore/staging"
    assert running.execute("worker", "stat", "-c", "%u:%g %a", staging).strip() == "10001:10001 750"
    assert running.runs("api", "sh", "-c", f": > {staging}/probe && rm {staging}/probe")
    assert not running.runs("worker", "sh", "-c", f": > {staging}/probe")
    assert running.runs("worker", "ls", staging)


def test_only_s3_and_its_grpc_listen_beyond_the_object_store(running: Deployment) -> None:
    listening = set()
    for line in running.execute(
        "objectstore", "cat", "/proc/net/tcp", "/proc/net/tcp6"
    ).splitlines():
        words = line.split()
        if len(words) > 3 and words[3] == "0A":
            host, _, port = words[1].partition(":")
            if not host.endswith("0100007F") and host != "0100007F":
                listening.add(int(port, 16))
    # beside them Docker's own DNS, on a loopback address of its own
    assert {port for port in listening if port in {8333, 18333}} == {8333, 18333}
    assert not listening & {9333, 19333, 8080, 18080, 8888, 18888}


def test_the_decoder_is_confined_in_its_container(running: Deployment) -> None:
    said = running.execute("worker", "python", "-m", "worker.check")
    assert re.search(
        r"^ok +decoder +has no way to other files, the network or new processes$",
        said,
        re.MULTILINE,
    )
