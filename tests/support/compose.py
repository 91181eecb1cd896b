"""compose.yaml as Compose itself reads it, and the tools that judge it. None of them needs an engine."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dev import environments, redis_server
from dev.ports import free_port

CHECKOUT = Path(__file__).parents[2]
EXAMPLE = CHECKOUT / ".env.example"
Service = dict[str, Any]


def tool(name: str) -> str:
    """A program beside this Python, or on the PATH; the test is skipped without it."""
    beside = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    found = shutil.which(name, path=beside)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def read_example() -> dict[str, str]:
    lines = EXAMPLE.read_text("utf-8").splitlines()
    pairs = (line.split("=", 1) for line in lines if line and not line.startswith("#"))
    return dict(pairs)


def ask_compose(
    *arguments: str, env_file: Path = EXAMPLE, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    command = [tool("docker-compose"), "--env-file", str(env_file), *arguments]
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **(variables or {})}
    return subprocess.run(
        command, cwd=CHECKOUT, env=env, capture_output=True, text=True, check=False
    )


def composed(**variables: str) -> dict[str, Any]:
    """The whole project after interpolation, with the example's values."""
    answer = ask_compose("--profile", "*", "config", "--format", "json", variables=variables)
    assert answer.returncode == 0, answer.stderr
    project: dict[str, Any] = json.loads(answer.stdout)
    return project


def environment(service: Service) -> dict[str, str]:
    """What the container gets: a variable without a value is not passed on."""
    given = service.get("environment", {})
    return {name: value for name, value in given.items() if value is not None}


def command(words: list[str]) -> list[str]:
    """The words of a command or a health check as the container sees them."""
    plain = [word.replace("$$", "$") for word in words]
    if plain[0] == "CMD":
        return plain[1:]
    if plain[0] == "CMD-SHELL":
        return ["/bin/sh", "-c", plain[1]]
    return plain


def instructions(dockerfile: Path) -> list[tuple[str, str]]:
    """(instruction, arguments), with continued lines joined and comments left out."""
    joined = ""
    found = []
    for line in dockerfile.read_text("utf-8").splitlines():
        if line.lstrip().startswith("#") or not (line.strip() or joined):
            continue
        joined += line.removesuffix("\\")
        if not line.endswith("\\"):
            name, _, rest = joined.strip().partition(" ")
            found.append((name.upper(), rest.strip()))
            joined = ""
    return found


def copied(arguments: str) -> tuple[str | None, list[str], str]:
    """Of a COPY: the stage it copies from, or None for the checkout; the sources; the target."""
    words = shlex.split(arguments)
    stage = next((w.removeprefix("--from=") for w in words if w.startswith("--from=")), None)
    *sources, target = [word for word in words if not word.startswith("--")]
    return stage, sources, target


def program(folder: Path, name: str, script: str) -> None:
    """A stand-in for a program of the image, first on the PATH."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def with_programs(folder: Path, env: dict[str, str]) -> dict[str, str]:
    return {**env, "PATH": f"{folder}:/usr/bin:/bin"}


def _own_redis() -> str:
    """The binary that `./longshore up` runs, which the first test that needs it brings."""
    if not redis_server.can_be_fetched():
        pytest.skip(redis_server.MISSING)
    environments.ensure("redis")
    return str(min(environments.ENVIRONMENTS["redis"].folder.glob("**/redis-server")))


@contextmanager
def run_redis(folder: Path) -> Iterator[tuple[dict[str, str], list[str], int]]:
    """Compose's Redis in a folder of its own: its environment, its client's command, its port."""
    server = shutil.which("redis-server") or _own_redis()
    service = composed()["services"]["redis"]
    port = free_port()
    words = command(service["command"])
    assert words[-1].count("dir /data\n") == 1
    own = f"dir {folder}\nbind 127.0.0.1\nport {port}\n"
    words[-1] = words[-1].replace("dir /data\n", own)
    program(folder / "bin", "redis-server", f'exec {server} "$@"')
    env = with_programs(folder / "bin", environment(service))
    started = subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL)
    try:
        yield env, [str(Path(server).with_name("redis-cli")), "-p", str(port)], port
    finally:
        started.terminate()
        assert started.wait(10) == 0, "SIGTERM reaches Redis, and not a shell around it"
