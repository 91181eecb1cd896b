"""`./longshore up` as a developer meets it."""

import os
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.client import FormClient, problem
from tests.support.files import pdf
from tests.support.stack import CHECKOUT, Stack, free_port

NewStack = Callable[[str], Stack]


@pytest.fixture
def new_stack(tmp_path: Path) -> Iterator[NewStack]:
    """Makes stacks that are stopped when the test ends, however it ends."""
    made: list[Stack] = []

    def make(name: str) -> Stack:
        made.append(Stack(tmp_path / name))
        return made[-1]

    yield make
    for stack in made:
        stack.stop()


def test_data_and_addresses_survive_a_restart_and_stopping_is_quick(
    new_stack: NewStack, tmp_path: Path
) -> None:
    stack = new_stack("state").start()
    client = FormClient(stack.url, full_name="Ann")
    stored = client.stored("resume", pdf(), kind="application/pdf")
    before = stack.info
    mode = stat.S_IMODE((tmp_path / "state/stack.json").stat().st_mode)
    assert mode == 0o600
    assert set(before) == {
        "url",
        "internal_url",
        "database_url",
        "redis_url",
        "staging_dir",
        "service_key",
        "pids",
        "s3",
    }
    assert stack.stop() == 0
    assert not (tmp_path / "state/stack.json").exists()
    for pids in before["pids"].values():
        assert not any(Path(f"/proc/{pid}").exists() for pid in pids)

    stack.start()
    assert stack.info["s3"] == before["s3"]
    read = client.read()
    assert read["data"]["resume"] == stored["public_url"]
    answer = client.http.get(f"/v1/uploads/{stored['id']}/content", follow_redirects=True)
    assert answer.content == pdf()
    stack.stop()


def test_a_killed_part_is_shown_started_again_and_named_anew(new_stack: NewStack) -> None:
    stack = new_stack("state").start()
    for name in ("s3", "worker"):
        old = stack.kill(name)
        deadline = time.monotonic() + 20
        while stack.info["pids"][name] in ([], [old]):
            assert time.monotonic() < deadline, stack.said()
            time.sleep(0.1)
    client = FormClient(stack.url)
    client.stored("resume", pdf(), kind="application/pdf")
    assert "worker ended" in stack.said()
    stack.stop()


def test_two_instances_run_side_by_side(new_stack: NewStack) -> None:
    one, two = new_stack("one"), new_stack("two")
    one.start()
    two.start()
    for stack in (one, two):
        client = FormClient(stack.url)
        client.stored("resume", pdf(), kind="application/pdf")
    assert one.info["s3"]["endpoint_url"] != two.info["s3"]["endpoint_url"]
    assert one.stop() == 0
    assert httpx.get(f"{two.url}/readyz", trust_env=False).status_code == 200
    assert two.stop() == 0


def test_killing_up_itself_leaves_nothing_running(new_stack: NewStack) -> None:
    stack = new_stack("state").start()
    pids = [pid for each in stack.info["pids"].values() for pid in each]
    assert stack.process is not None
    stack.process.send_signal(signal.SIGKILL)
    stack.process.wait()
    deadline = time.monotonic() + 15
    while any(_alive(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    stack.start()
    assert FormClient(stack.url).read()["status"] == "draft"
    stack.stop()


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = _fails("--port", str(port), "--state-dir", str(tmp_path / "state"))
    assert str(port) in said
    assert "--port" in said


def test_a_folder_that_cant_be_written_is_one_clear_line() -> None:
    said = _fails("--port", str(free_port()), "--state-dir", "/proc/longshore")
    assert "/proc/longshore" in said


def test_a_wrong_form_definition_stops_the_start_with_file_key_and_reason(tmp_path: Path) -> None:
    folder = tmp_path / "forms"
    folder.mkdir()
    (folder / "bad.toml").write_text('type = "bad"\ntitle = "Bad"\nsections = []\n')
    said = _fails(
        "--port", str(free_port()), "--state-dir", str(tmp_path / "state"), FORMS_DIR=str(folder)
    )
    assert "bad.toml: sections:" in said


def test_no_usable_python_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("sh", "env"):
        (tmp_path / "bin" / name).symlink_to(f"/bin/{name}")
    done = subprocess.run(
        ["/bin/sh", "./longshore", "up"],
        cwd=CHECKOUT,
        env={"PATH": str(tmp_path / "bin")},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode != 0
    assert "Python 3.11" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def _fails(*arguments: str, **env: str) -> str:
    done = subprocess.run(
        ["./longshore", "up", *arguments],
        cwd=CHECKOUT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout + done.stderr


def _alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_a_full_volume_drains_after_a_restart_and_takes_nothing_meanwhile(
    tmp_path: Path,
) -> None:
    away = {"LONGSHORE_WORKER_INTERNAL_URL": f"http://127.0.0.1:{free_port()}"}
    stack = Stack(tmp_path / "state", away)
    try:
        stack.start()
        client = FormClient(stack.url)
        sent = client.upload("resume", pdf(), kind="application/pdf")
        stack.stop()
        stack.env = {"MIN_FREE_BYTES": str(2**60)}
        stack.start()
        assert httpx.get(f"{stack.url}/readyz", trust_env=False).status_code == 503
        assert "takes no uploads yet: space" in stack.said()
        assert client.final(sent)["status"] == "stored"
        problem(client.send("resume", pdf(), kind="application/pdf"), 507, "storage-full")
    finally:
        stack.stop()
