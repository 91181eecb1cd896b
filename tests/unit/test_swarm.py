"""The stack of a Swarm is what compose.yaml says, but for what a Swarm has other words for, or none."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.compose import CHECKOUT, Service, ask_compose, composed, environment

SAID_OTHERWISE = {"tmpfs", "shm_size", "volumes", "ports", "environment", "deploy", "healthcheck"}
WITHOUT_A_WORD = {"build", "pull_policy", "depends_on", "restart", "memswap_limit", "security_opt"}
"""What a stack leaves out; docs/deployment.md says what stands in its place."""


@pytest.fixture(scope="module")
def stack() -> dict[str, Any]:
    """As docs/deployment.md makes it."""
    files = ("-f", "compose.yaml", "-f", "deploy/swarm/compose.yaml")
    said = ask_compose(*files, "config", "--format", "json")
    assert said.returncode == 0, said.stderr
    return stack_of(said.stdout)


def stack_of(project: str) -> dict[str, Any]:
    made = subprocess.run(
        [sys.executable, CHECKOUT / "deploy/swarm/stack.py"],
        input=project,
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(made.stdout)
    return found


@pytest.fixture(scope="module")
def services() -> dict[str, Service]:
    """Of compose.yaml, but for what a stack hasn't."""
    return {n: s for n, s in composed()["services"].items() if n not in {"bucket", "clamd"}}


def test_a_service_is_what_compose_says(
    stack: dict[str, Any], services: dict[str, Service]
) -> None:
    assert set(stack["services"]) == set(services)
    for name, service in services.items():
        made = stack["services"][name]
        said = {key for key, value in service.items() if value} - WITHOUT_A_WORD - SAID_OTHERWISE
        assert {key: made[key] for key in said} == {key: service[key] for key in said}, name
        assert set(made) <= set(service) | SAID_OTHERWISE


def test_a_service_is_told_what_compose_tells_it(
    stack: dict[str, Any], services: dict[str, Service]
) -> None:
    for name, service in services.items():
        told = dict(stack["services"][name]["environment"])
        if name == "api":
            (subnet,) = stack["networks"]["back"]["ipam"]["config"]
            assert told.pop("INTERNAL_NETWORK") == subnet["subnet"]
        assert told == environment(service)


def test_what_is_kept_and_what_is_in_memory_is_the_same(
    stack: dict[str, Any], services: dict[str, Service]
) -> None:
    for name, service in services.items():
        mounts = stack["services"][name]["volumes"]
        assert [m for m in mounts if m["type"] == "volume"] == service.get("volumes", [])
        in_memory = {
            m["target"]: f"{m['tmpfs']['size'] // 2**20}m" for m in mounts if m["type"] == "tmpfs"
        }
        shared = in_memory.pop("/dev/shm", "0m")
        assert shared == f"{int(service.get('shm_size', 0)) // 2**20}m"
        assert in_memory == dict(map(_target_and_size, service.get("tmpfs", []))), name


def _target_and_size(words: str) -> tuple[str, str]:
    target, _, options = words.partition(":size=")
    return target, options.split(",")[0]


def test_limits_and_networks_are_the_same(
    stack: dict[str, Any], services: dict[str, Service]
) -> None:
    for name, service in services.items():
        assert stack["services"][name]["deploy"]["resources"] == service["deploy"]["resources"]
    for name, network in stack["networks"].items():
        assert network["driver"] == "overlay"
        assert network["internal"] == composed()["networks"][name].get("internal", False)


def test_a_port_is_published_by_the_node_that_the_service_is_on(
    stack: dict[str, Any], services: dict[str, Service]
) -> None:
    """And not by the routing mesh, which hides who asks."""
    for name, service in services.items():
        published = [(p["target"], int(p["published"])) for p in service.get("ports", [])]
        ports = stack["services"][name]["ports"]
        assert [(p["target"], p["published"]) for p in ports] == published
        assert {p["mode"] for p in ports} <= {"host"}


def test_what_is_on_a_disk_stays_where_the_disk_is(stack: dict[str, Any]) -> None:
    for service in stack["services"].values():
        if any(mount["type"] == "volume" for mount in service["volumes"]):
            assert service["deploy"]["placement"]["constraints"] == [
                "node.labels.longshore == data"
            ]


def test_an_api_that_is_unhealthy_is_ended_and_who_goes_on_by_itself_is_not(
    stack: dict[str, Any], services: dict[str, Service]
) -> None:
    for name, service in services.items():
        if "healthcheck" in service:
            check = dict(stack["services"][name]["healthcheck"])
            assert (check.pop("retries", 3) > 100_000) is (name != "api")
            assert check == service["healthcheck"]


def test_apis_and_workers_are_replaced_by_ones_that_are_healthy(stack: dict[str, Any]) -> None:
    for name in ("api", "worker"):
        deploy = stack["services"][name]["deploy"]
        assert deploy["replicas"] > 1
        assert deploy["update_config"] == {"parallelism": 1, "order": "start-first"}
    for service in stack["services"].values():
        if service["deploy"].get("mode") != "replicated-job":
            assert service["deploy"]["endpoint_mode"] == "dnsrr", "each has its own address"


def test_another_content_of_a_config_has_another_name(tmp_path: Path) -> None:
    """Otherwise a Swarm refuses it: what it has can't be changed."""
    file = tmp_path / "nginx.conf"
    configs = {"proxy": {"name": "longshore_proxy", "file": str(file)}}
    project = json.dumps({"services": {}, "networks": {}, "volumes": {}, "configs": configs})
    names = []
    for content in ("a", "b", "a"):
        file.write_text(content)
        names.append(stack_of(project)["configs"]["proxy"]["name"])
    assert names[0] == names[2] != names[1]
