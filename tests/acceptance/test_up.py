"""`./longshore up` as a developer meets it."""

import os
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from dev.ports import free_port
from tests.support.client import FormClient, problem
from tests.support.files import pdf
from tests.support.stack import CHECKOUT, Stack


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One state folder whose stack the tests stop and start, each as often as it needs."""
    made = Stack(tmp_path_factory.mktemp("up") / "state")
    yield made
    made.stop()


@pytest.fixture
def own(kept: Stack) -> Stack:
    """It runs, whatever the test before did with it, and has nothing to say yet."""
    kept.resume()
    kept.output.write_text("")
    return kept


def test_data_and_addresses_survive_a_restart_and_stopping_is_quick(own: Stack) -> None:
    client = FormClient(own.url, full_name="Ann")
    stored = client.stored("resume", pdf(), kind="application/pdf")
    before = own.info
    mode = stat.S_IMODE((own.state_dir / "stack.json").stat().st_mode)
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
    assert own.stop() == 0
    assert not (own.state_dir / "stack.json").exists()
    for pids in before["pids"].values():
        assert not any(Path(f"/proc/{pid}").exists() for pid in pids)

    own.start()
    assert own.info["s3"] == before["s3"]
    read = client.read()
    assert read["data"]["resume"] == stored["public_url"]
    answer = client.http.get(f"/v1/uploads/{stored['id']}/content", follow_redirects=True)
    assert answer.content == pdf()


def test_a_killed_part_is_shown_started_again_and_named_anew(own: Stack) -> None:
    for name in ("s3", "worker"):
        old = own.kill(name)
        deadline = time.monotonic() + 20
        while own.info["pids"][name] in ([], [old]):
            assert time.monotonic() < deadline, own.said()
            time.sleep(0.1)
    client = FormClient(own.url)
    client.stored("resume", pdf(), kind="application/pdf")
    assert "worker ended" in own.said()


def test_two_instances_run_side_by_side(own: Stack, tmp_path: Path) -> None:
    other = Stack(tmp_path / "other")
    try:
        other.start()
        for each in (own, other):
            client = FormClient(each.url)
            client.stored("resume", pdf(), kind="application/pdf")
        assert own.info["s3"]["endpoint_url"] != other.info["s3"]["endpoint_url"]
        assert other.stop() == 0
        assert httpx.get(f"{own.url}/readyz", trust_env=False).status_code == 200
    finally:
        other.stop()


def test_killing_up_itself_leaves_nothing_running(own: Stack) -> None:
    pids = [pid for each in own.info["pids"].values() for pid in each]
    assert own.process is not None
    own.process.send_signal(signal.SIGKILL)
    own.process.wait()
    deadline = time.monotonic() + 15
    while any(_alive(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    own.start()
    assert FormClient(own.url).read()["status"] == "draft"


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
