"""A volume that fails or is full: an answer that says so, no row, and nothing left behind."""

import errno
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from api.services import Services
from api.staging.space import Free, Space
from tests.support import chunks
from tests.support.failing_volume import fail
from tests.support.listeners import new_form, public, send
from tests.support.sql import values_of
from tests.support.stack import CHECKOUT
from tests.support.tus import CONTENT

STEPS = ["open", "write", "fsync", "close", "rename", "fsync folder"]
FAULTS = {errno.ENOSPC: (507, "storage-full"), errno.EIO: (503, "unavailable")}
FAULTS[errno.EROFS] = FAULTS[errno.EIO]
MOUNT = 'mount -t tmpfs -o size=4m,nr_inodes=40 longshore "$1" && shift && exec "$@"'


@pytest.mark.parametrize("number", FAULTS)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_whatever_step_fails_nothing_is_acknowledged_and_nothing_stays(
    services: Services, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    async with public(services) as client:
        form = await new_form(client)
        for step in STEPS:
            with monkeypatch.context() as patched:
                tried = fail(patched, step, number)
                answer = await send(client, form, b"content")
            assert step in tried
            assert (answer.status_code, answer.json()["code"]) == FAULTS[number], step
            assert int(answer.headers["retry-after"]) > 0
            root = services.staging.root
            assert [*root.glob("incoming/*"), *root.glob("staged/*")] == [], step
        assert await values_of(services.database, "SELECT count(*) FROM uploads") == [0]
        assert (await send(client, form, b"content")).status_code == 202, "it works again"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_log_says_why_a_file_was_refused(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with public(services) as client:
        form = await new_form(client)
        monkeypatch.setattr(Space, "free", lambda _: Free(bytes=0, inodes=None, of_bytes=1 << 30))
        with capture_logs() as logs:
            assert (await send(client, form, b"content")).status_code == 507
    [told] = [each for each in logs if each["event"] == "request_failed"]
    assert told["code"] == "storage-full"
    assert "no room" in told["cause"]


def test_a_tmpfs_without_room_or_inodes_is_full_and_says_so(tmp_path: Path) -> None:
    declared, chunked, small, ready, after = _told_where("volume", tmp_path)
    for refused in (declared, chunked, small):
        assert (refused["status"], refused["says"]) == (507, "storage-full"), refused
        assert int(refused["retry_after"]) > 0
        assert (refused["rows"], refused["files"]) == (0, 0)
    assert ready["status"] == 503
    assert ready["says"] == {"database": True, "volume": True, "space": False}
    assert (after["status"], after["rows"], after["files"]) == (202, 1, 1)


def test_a_volume_that_fills_up_amid_pieces_keeps_what_it_has_and_they_go_on(
    tmp_path: Path,
) -> None:
    """By tus, and in the chunks of FilePond and Dropzone."""
    told = _told_where("pieces", tmp_path)
    for refused, last, content in zip(
        told[::2], told[1::2], (CONTENT, chunks.CONTENT, chunks.CONTENT), strict=True
    ):
        assert (refused["status"], refused["says"]) == (507, "storage-full"), refused
        assert last["status"] in (202, 204)
        assert (last["says"], last["sha256"]) == ("staged", hashlib.sha256(content).hexdigest())
        assert (last["lost"], last["incoming"]) == ([], 0)


def test_a_database_without_room_takes_nothing_and_leaves_no_file_on_the_volume(
    tmp_path: Path,
) -> None:
    """Or each try would leave one there for a week."""
    *refused, after = _told_where("database", tmp_path)
    for each in refused:
        assert (each["status"], each["says"]) == (503, "unavailable"), each
        assert int(each["retry_after"]) > 0
        assert (each["rows"], each["files"]) == (0, 0)
    assert (after["status"], after["rows"], after["files"]) == (202, 1, 1)


def _told_where(full: str, tmp_path: Path) -> list[dict[str, Any]]:
    """What was answered where the disk of this was full."""
    mounted, folder = tmp_path / "mounted", tmp_path / "beside"
    mounted.mkdir()
    folder.mkdir()
    if not shutil.which("unshare"):
        pytest.skip("no tmpfs may be mounted in a namespace: there is no unshare here")
    tried = subprocess.run([*_namespace(mounted), "true"], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip(f"no tmpfs may be mounted in a namespace: {tried.stderr.decode().strip()}")
    command = [sys.executable, "-m", "tests.support.tiny_volume", full, str(mounted), str(folder)]
    ran = subprocess.run(
        [*_namespace(mounted), *command], cwd=CHECKOUT, capture_output=True, check=False, timeout=60
    )
    assert ran.returncode == 0, ran.stderr.decode()
    told: list[dict[str, Any]] = json.loads(ran.stdout.splitlines()[-1])
    return told


def _namespace(volume: Path) -> list[str]:
    """Starts a command with a tiny tmpfs on the folder, which nobody else sees."""
    return ["unshare", "-Urm", "sh", "-c", MOUNT, "sh", str(volume)]
