"""What `docker stack deploy` takes, made of what `docker compose config --format json` says.

A Swarm knows less than Compose, and some of it by other words. What it has no word for is left
out; docs/deployment.md says what stands in its place. Reads stdin, writes stdout.
"""  # noqa: INP001 - a script, called by its path

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

LEFT_OUT = {
    "build",  # images are pulled, or on the node
    "pull_policy",
    "depends_on",  # who doesn't find yet what it needs waits, or ends and is started again
    "restart",  # a Swarm always does, but for a job
    "memswap_limit",  # nodes without swap
    "security_opt",  # `no-new-privileges` of the engine
    "tmpfs",  # a kind of volume, see `_volumes`
    "shm_size",
}
ENDED_WHEN_UNHEALTHY = {"api"}
"""A Swarm ends who is unhealthy. All others go on by themselves, once they find what they need."""
NEVER = 1_000_000
"""Failed checks until who was healthy is unhealthy: with one in 5 s, after two months."""
UNITS = {"k": 2**10, "m": 2**20, "g": 2**30}


def stack(project: dict[str, Any]) -> dict[str, Any]:
    """A stack file of a project as Compose has put it together."""
    return {
        "services": {name: _service(name, each) for name, each in project["services"].items()},
        "networks": {name: _network(each) for name, each in project["networks"].items()},
        "volumes": project["volumes"],
        "configs": {name: _config(each) for name, each in project["configs"].items()},
    }


def _service(name: str, said: dict[str, Any]) -> dict[str, Any]:
    made = {key: value for key, value in said.items() if value and key not in LEFT_OUT}
    given = said.get("environment", {})
    made["environment"] = {key: value for key, value in given.items() if value is not None}
    made["volumes"] = _volumes(said)
    made["ports"] = [
        {"target": each["target"], "published": int(each["published"]), "mode": "host"}
        for each in said.get("ports", ())
    ]
    if "healthcheck" in said and name not in ENDED_WHEN_UNHEALTHY:
        made["healthcheck"] = {**said["healthcheck"], "retries": NEVER}
    return made


def _volumes(said: dict[str, Any]) -> list[dict[str, Any]]:
    """Those of the service, and what is in memory: a stack's own `tmpfs` does nothing."""
    sizes = dict(map(_tmpfs, said.get("tmpfs", ())))
    if "shm_size" in said:
        sizes["/dev/shm"] = int(said["shm_size"])  # noqa: S108 - the container's
    in_memory = [
        {"type": "tmpfs", "target": target, "tmpfs": {"size": size}}
        for target, size in sizes.items()
    ]
    return [*said.get("volumes", ()), *in_memory]


def _tmpfs(words: str) -> tuple[str, int]:
    """Path and bytes. Owner and mode can't be said: root, and that of the image's folder."""
    target, _, options = words.partition(":")
    size = dict(each.partition("=")[::2] for each in options.split(","))["size"]
    return target, int(size[:-1]) * UNITS[size[-1]]


def _network(said: dict[str, Any]) -> dict[str, Any]:
    subnets = [{"subnet": each["subnet"]} for each in said.get("ipam", {}).get("config", ())]
    made = {"driver": "overlay", "internal": said.get("internal", False)}
    return made | ({"ipam": {"config": subnets}} if subnets else {})


def _config(said: dict[str, Any]) -> dict[str, Any]:
    """A config can't be changed: another content is another one, by its name."""
    digest = hashlib.sha256(Path(said["file"]).read_bytes()).hexdigest()
    return {"name": f"{said['name']}_{digest[:8]}", "file": said["file"]}


if __name__ == "__main__":
    json.dump(stack(json.load(sys.stdin)), sys.stdout, indent=2)
