"""compose.yaml as a stack on a Swarm of this engine's own, replaced task by task while people upload."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.compose import CHECKOUT
from tests.support.engine import Deployment, EngineError, docker, until
from tests.support.uploading import people

pytestmark = pytest.mark.slow  # a deployment more

STACK = "longshore-stack"
REPLICAS = {"api": 2, "worker": 2}
"""As deploy/swarm/compose.yaml has them."""
PUBLISHED_ON_LOOPBACK = {
    "com.docker.network.bridge.host_binding_ipv4": "127.0.0.1",
    "com.docker.network.bridge.name": "docker_gwbridge",
    "com.docker.network.bridge.enable_icc": "false",
}


@pytest.fixture
def swarm(running: Deployment, tmp_path: Path) -> Iterator[Deployment]:
    """As docs/deployment.md says, on one node; skipped where the engine is somebody's node already, for
    this leaves its Swarm and removes a network that others on it may use."""
    state = docker("info", "--format={{.Swarm.LocalNodeState}}")
    left_over = _is_ours() if state == "active" else False
    if state != "inactive" and not left_over:
        pytest.skip(f"this engine is part of a Swarm ({state}), which the test would have to leave")
    if state == "inactive" and _has_users("docker_gwbridge"):
        pytest.skip("containers use docker_gwbridge, which the test would have to remove")
    running("down")
    made = Deployment(STACK, tmp_path)
    made.overrides = [CHECKOUT / "deploy/swarm/compose.yaml"]
    # a Swarm takes its time to take its networks away
    for number, name in enumerate(("PUBLIC", "FRONT", "BACK"), 182):
        made.settings[f"{name}_SUBNET"] = f"10.231.{number}.0/24"
    _leave()  # what an earlier run may have left
    try:
        options = [f"--opt={name}={value}" for name, value in PUBLISHED_ON_LOOPBACK.items()]
        docker("network", "create", *options, "docker_gwbridge")
        docker("swarm", "init", "--advertise-addr=127.0.0.1")
        node = docker("info", "--format={{.Swarm.NodeID}}")
        docker("node", "update", "--label-add=longshore=data", node)
        deploy(made)
        until(_makes_bucket, "the store is there")
        until(_all_run, "every task of every service runs and is healthy")
        yield made
    finally:
        _leave()
        running.up()


def deploy(made: Deployment) -> None:
    project = made.folder / "project.json"
    made("config", "--format=json", f"--output={project}")
    stack = subprocess.run(
        [sys.executable, CHECKOUT / "deploy/swarm/stack.py"],
        input=project.read_text("utf-8"),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    docker(
        "stack", "deploy", "--detach", "--resolve-image=never", "--compose-file=-", STACK,
        given=stack,
    )  # fmt: skip


def _leave() -> None:
    """Nothing of the stack is left: neither its data nor the Swarm."""
    with contextlib.suppress(EngineError):  # where there is none
        docker("stack", "rm", "--detach=false", STACK)
        until(
            lambda: not _networks(), "its networks are gone"
        )  # else the engine keeps one for good
    for words in (
        ("swarm", "leave", "--force"),
        ("network", "rm", "docker_gwbridge"),
        ("volume", "rm", *(f"{STACK}_{n}" for n in ("staging", "postgres", "redis", "objects"))),
    ):
        with contextlib.suppress(EngineError):
            docker(*words)


def _is_ours() -> bool:
    """Whether the Swarm is one that an earlier run made and couldn't leave: it has our stack alone."""
    try:
        stacks = docker("stack", "ls", "--format={{.Name}}").split()
        nodes = docker("node", "ls", "--quiet").split()
    except EngineError:  # of a node that is no manager
        return False
    return stacks == [STACK] and len(nodes) == 1


def _has_users(network: str) -> bool:
    with contextlib.suppress(EngineError):  # where there is none
        return docker("network", "inspect", "--format={{len .Containers}}", network) != "0"
    return False


def _networks() -> str:
    return docker("network", "ls", "-q", f"--filter=label=com.docker.stack.namespace={STACK}")


def _tasks(service: str) -> list[str]:
    """The containers of a service that run."""
    label = f"label=com.docker.swarm.service.name={STACK}_{service}"
    return docker("ps", "--quiet", "--no-trunc", "--filter", label).split()


def _all_run() -> bool:
    said = docker("service", "ls", "--filter=mode=replicated", "--format={{.Replicas}}").split()
    return all(running == wanted for running, wanted in (each.split("/") for each in said))


def _makes_bucket() -> bool:
    script = (CHECKOUT / "deploy/objectstore/make_bucket.sh").read_text("utf-8")
    with contextlib.suppress(EngineError, ValueError):
        (task,) = _tasks("objectstore")
        docker("exec", "-i", task, "sh", given=script)
        return True
    return False


def _migrations() -> int:
    """How often the job has come to its end."""
    states = docker("service", "ps", "--format={{.CurrentState}}", f"{STACK}_migrate")
    return states.count("Complete")


def test_a_stack_is_replaced_task_by_task_and_no_request_is_refused(
    swarm: Deployment, notes: list[str]
) -> None:
    with people(swarm.url) as uploading:
        until(uploading.more, "people upload")
        docker("service", "update", "--force", "--detach=false", f"{STACK}_migrate")
        assert _migrations() == 2
        for service, replicas in REPLICAS.items():
            before = set(_tasks(service))
            assert len(before) == replicas
            docker("service", "update", "--force", "--detach=false", f"{STACK}_{service}")
            now = set(_tasks(service))
            assert len(now) == replicas
            assert not now & before
            until(uploading.more, "and go on")
    notes.append(f"on a Swarm: {len(uploading.uploads)} uploads while apis and workers went")
