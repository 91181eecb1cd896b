import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from dev import ports, state
from dev.child import Child, Pace, Spec
from dev.say import Problem
from dev.seaweedfs import INNER_PORTS
from dev.services import Services
from dev.stack import Stack
from dev.state import StateDir

PORTS: ports.Ports = {"public": 8000, "internal": 8001, "s3": 20001, "redis": 20002} | {
    name: 20003 + number for number, name in enumerate(INNER_PORTS)
}
KEY = {"access_key_id": "AKIA", "secret_access_key": "secret"}


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_passwords_are_made_once_and_are_only_the_owners_to_read(tmp_path: Path) -> None:
    folder = StateDir(tmp_path / "state")

    first = folder.secrets()

    assert folder.secrets() == first
    assert mode(tmp_path / "state/secrets.json") == 0o600
    assert mode(tmp_path / "state") == 0o700


def test_a_second_stack_on_the_same_folder_is_refused_with_the_first_ones_process(
    tmp_path: Path,
) -> None:
    StateDir(tmp_path)

    with pytest.raises(Problem, match=rf"already running.*process {os.getpid()}"):
        StateDir(tmp_path)


def test_a_run_that_was_killed_is_told_from_one_that_ended(tmp_path: Path) -> None:
    first = StateDir(tmp_path)
    first.write("stack.json", {})
    os.close(first._lock)  # as the system does when a process is killed

    second = StateDir(tmp_path)
    assert second.was_killed
    assert not (tmp_path / "stack.json").exists()

    second.close()
    os.close(second._lock)
    assert not StateDir(tmp_path).was_killed


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    folder = StateDir(tmp_path)
    (tmp_path / "ports.json").write_text("{")

    with pytest.raises(Problem, match=r"ports\.json is not JSON"):
        folder.read("ports.json")


async def test_stack_json_says_what_runs_and_follows_a_restart(tmp_path: Path) -> None:
    folder = StateDir(tmp_path)
    stack = Stack(folder, PORTS, "redis-server", "weed")
    stack._secrets["s3_worker"] = KEY
    child = tiny_child("worker", stack)
    stack.children = [child]
    await child.start()
    assert not (tmp_path / "stack.json").exists(), "not before everything answers"
    stack._publish()
    stack._published = True
    first = child.pid
    assert read(tmp_path)["pids"] == {"worker": [first]}
    assert mode(tmp_path / "stack.json") == 0o600

    assert first
    os.kill(first, signal.SIGKILL)
    async with asyncio.timeout(5):
        while child.pid in {None, first}:  # noqa: ASYNC110 - processes set no events
            await asyncio.sleep(0.01)
    assert read(tmp_path)["pids"] == {"worker": [child.pid]}

    await stack.stop()
    assert not (tmp_path / "stack.json").exists()
    await child.stop(grace=1)
    assert not (tmp_path / "stack.json").exists(), "not written again by what ends later"


def test_stack_json_has_the_agreed_shape(tmp_path: Path) -> None:
    stack = Stack(StateDir(tmp_path), PORTS, "redis-server", "weed")
    stack._secrets["s3_worker"] = KEY
    stack._publish()

    described = read(tmp_path)

    assert described["url"] == "http://127.0.0.1:8000"
    assert described["internal_url"] == "http://127.0.0.1:8001"
    assert described["database_url"] == f"sqlite:///{tmp_path}/longshore.db"
    assert described["redis_url"].endswith("@127.0.0.1:20002/0")
    assert described["staging_dir"] == str(tmp_path / "staging")
    assert len(described["service_key"]) == 64
    assert set(described["pids"]) == {"api", "worker", "redis", "s3"}
    assert described["s3"] == {
        "endpoint_url": "http://127.0.0.1:20001",
        "region": "us-east-1",
        "bucket": "longshore",
        **KEY,
    }


def read(folder: Path) -> dict[str, Any]:
    return state.read_stack(folder)


def tiny_child(name: str, stack: Stack) -> Child:
    async def answers(_child: Child) -> bool:
        return True

    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    spec = Spec(name, command, lambda: dict(os.environ), answers)
    return Child(
        spec, stack.logs[name].path, stack._publish_again, Pace(first_pause=0.01, look_every=0.01)
    )


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    folder = StateDir(tmp_path)
    folder.write("ports.json", {"public": 1})
    folder.write("ports.json", {"public": 2})

    assert json.loads((tmp_path / "ports.json").read_text()) == {"public": 2}
    assert not list(tmp_path.glob("*.part"))


def test_a_folder_remembers_where_its_records_are_and_says_so_without_the_password(
    tmp_path: Path,
) -> None:
    folder = state.StateDir(tmp_path)
    folder.keep_database("postgresql+asyncpg://me:s3cret@db/records")
    services = Services(tmp_path, PORTS, folder.secrets())
    assert services.database_url == "postgresql+asyncpg://me:s3cret@db/records"
    with pytest.raises(
        Problem, match="postgresql\\+asyncpg://db/records; set DATABASE_URL"
    ) as told:
        folder.keep_database(None)
    assert "s3cret" not in str(told.value)
    folder.keep_database("postgresql+asyncpg://me:new@db/records")
    folder.close()
