"""The services of compose.yaml as a stack on a Swarm of this engine's own, replaced while people upload.

A Swarm knows no order of starts and no container in another's network, so the bucket is made by
hand; it gives each task an address and publishes on the node. All else is compose.yaml's own.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.compose import CHECKOUT, Service, environment
from tests.support.engine import Deployment, EngineError, docker, until
from tests.support.uploading import people

pytestmark = pytest.mark.slow

STACK = "longshore-stack"
REPLICAS = {"api": 2, "worker": 2}
NOT_OF_A_SWARM = ("build", "depends_on", "memswap_limit", "pull_policy", "restart", "security_opt")


def stack_file(made: Deployment) -> dict[str, Any]:
    """What `docker stack deploy` takes, of what Compose makes of compose.yaml."""
    project: dict[str, Any] = json.loads(made("config", "--format", "json"))
    services = project["services"]
    del services["bucket"]
    return {
        "services": {name: _service(name, each) for name, each in services.items()},
        "networks": {
            name: {"driver": "overlay", "internal": each.get("internal", False)} | _subnet(each)
            for name, each in project["networks"].items()
        },
        "volumes": {name: {} for name in project["volumes"]},
        "configs": {name: {"file": each["file"]} for name, each in project["configs"].items()},
    }


def _subnet(network: dict[str, Any]) -> dict[str, Any]:
    configured = network.get("ipam", {}).get("config")
    return {"ipam": {"config": [{"subnet": configured[0]["subnet"]}]}} if configured else {}


def _service(name: str, service: Service) -> Service:
    kept = {key: value for key, value in service.items() if value and key not in NOT_OF_A_SWARM}
    kept["environment"] = environment(service)
    once = service.get("restart") == "no"
    kept["deploy"] = {
        "replicas": REPLICAS.get(name, 1),
        "endpoint_mode": "dnsrr",
        "restart_policy": {"condition": "on-failure" if once else "any", "delay": "1s"},
        "update_config": {
            "parallelism": 1,
            "order": "start-first" if name in REPLICAS else "stop-first",
        },
        "resources": service["deploy"]["resources"],
    }
    kept["volumes"] = [
        *({**each, "volume": {}} for each in service.get("volumes", [])),
        *map(_tmpfs, kept.pop("tmpfs", [])),
    ]
    if "ports" in service:
        kept["ports"] = [
            {"target": p["target"], "published": int(p["published"]), "mode": "host"}
            for p in service["ports"]
        ]
    return kept


def _tmpfs(said: str) -> dict[str, Any]:
    target, _, options = said.partition(":")
    size = dict(each.partition("=")[::2] for each in options.split(","))["size"]
    factor = {"m": 1024**2, "g": 1024**3}[size[-1]]
    return {
        "type": "tmpfs",
        "target": target,
        "tmpfs": {"size": int(size[:-1]) * factor, "mode": 0o1777},
    }


@pytest.fixture
def swarm(running: Deployment, tmp_path: Path) -> Iterator[Deployment]:
    running("down")
    made = Deployment(STACK, tmp_path)
    docker("swarm", "init", "--advertise-addr=127.0.0.1")
    try:
        _deploy(made)
        until(lambda: _makes_bucket(made), "the store is there")
        until(made.is_ready, "the stack is ready")
        yield made
    finally:
        docker("swarm", "leave", "--force")
        running.up()


def _deploy(made: Deployment) -> None:
    file = made.folder / "stack.json"
    file.write_text(json.dumps(stack_file(made)))
    docker("stack", "deploy", "--detach", "--resolve-image=never", f"--compose-file={file}", STACK)


def _tasks(service: str) -> list[str]:
    label = f"label=com.docker.swarm.service.name={STACK}_{service}"
    return docker("ps", "--quiet", "--no-trunc", "--filter", label).split()


def _makes_bucket(made: Deployment) -> bool:
    script = (CHECKOUT / "deploy/objectstore/make_bucket.sh").read_text("utf-8")
    try:
        (task,) = _tasks("objectstore")
        docker("exec", "-i", task, "sh", given=script)
    except (EngineError, ValueError):
        return False
    return made.settings["S3_BUCKET"] != ""


def test_a_stack_is_replaced_task_by_task_without_a_refused_request(swarm: Deployment) -> None:
    def replaced(service: str, before: set[str]) -> bool:
        now = set(_tasks(service))
        return len(now) == REPLICAS[service] and not now & before

    with people(swarm) as uploading:
        until(uploading.more, "people upload")
        for service, replicas in REPLICAS.items():
            before = set(_tasks(service))
            assert len(before) == replicas
            docker("service", "update", "--detach", "--force", f"{STACK}_{service}")
            until(lambda service=service, before=before: replaced(service, before), service)  # type: ignore[misc] # of this turn
            until(uploading.more, "and go on")
