"""What every staging volume must do: durable before it is named, and nothing left of a failure."""

import errno
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api.errors import Problem
from api.staging import BATCH, INCOMING, Staging, Writer
from shared.volume import STAGED


@pytest.fixture
async def staging(tmp_path: Path) -> AsyncIterator[Staging]:
    opened = Staging(tmp_path, min_free_bytes=0)
    opened.prepare()
    yield opened
    opened.close()


@pytest.mark.parametrize("size", [1, BATCH - 1, BATCH, BATCH + 1, 3 * BATCH + 7])
async def test_what_is_written_in_pieces_is_staged_whole_with_its_hash(
    staging: Staging, size: int
) -> None:
    content = os.urandom(size)
    writer = await staging.open("upl_a")
    for start in range(0, size, 5000):
        await writer.write(content[start : start + 5000])
    done = await writer.finish()
    assert (staging.root / STAGED / "upl_a").read_bytes() == content
    assert (done.size, done.sha256) == (size, hashlib.sha256(content).hexdigest())
    assert _names(staging, INCOMING) == []


async def test_data_is_synced_before_the_rename_and_the_folder_after_it(
    staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def spy_fsync(fd: int) -> None:
        order.append("fsync folder" if Path(f"/proc/self/fd/{fd}").is_dir() else "fsync file")
        fsync(fd)

    def spy_rename(path: Path, target: Path) -> Path:
        order.append("rename")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(Path, "rename", spy_rename)
    writer = await staging.open("upl_a")
    await writer.write(b"x")
    await writer.finish()
    assert order == ["fsync file", "rename", "fsync folder"]


async def test_what_is_discarded_leaves_nothing(staging: Staging) -> None:
    writer = await staging.open("upl_a")
    await writer.write(b"x" * (2 * BATCH))
    await writer.discard()
    await writer.discard()
    assert _names(staging, INCOMING) == _names(staging, STAGED) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("call", ["write", "fsync", "close"])
async def test_a_volume_that_fails_is_a_problem_and_nothing_is_staged(
    staging: Staging, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    writer = await staging.open("upl_a")
    real = getattr(os, call)
    calls = 0

    def failing(*args: object) -> object:
        nonlocal calls
        calls += 1
        if call == "close":
            real(*args)  # the descriptor is gone even when close reports an error
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(os, call, failing)
        with pytest.raises(Problem) as problem:
            await _write_and_finish(writer)
    assert calls == 1, "an fsync that failed is never repeated"
    full = number in (errno.ENOSPC, errno.EDQUOT)
    assert problem.value.status == (507 if full else 503)
    assert "Retry-After" in problem.value.headers
    await writer.discard()
    assert _names(staging, STAGED) == _names(staging, INCOMING) == []


async def test_room_is_reserved_before_a_body_is_read(tmp_path: Path) -> None:
    stat = os.statvfs(tmp_path)
    free = stat.f_bavail * stat.f_frsize
    staging = Staging(tmp_path, min_free_bytes=free // 2)
    assert staging.has_room()
    with (
        staging.reserve(free // 4),
        pytest.raises(Problem, match="storage-full"),
        staging.reserve(free // 2),
    ):
        pass
    with staging.reserve(free // 3):
        pass
    staging.close()


async def test_deleting_twice_is_fine_and_a_marker_is_read_back(staging: Staging) -> None:
    await staging.delete("upl_none")
    assert await staging.read_marker() is None
    await staging.write_marker("vol_1")
    assert await staging.read_marker() == "vol_1"


async def _write_and_finish(writer: Writer) -> None:
    await writer.write(b"x" * (2 * BATCH))
    await writer.finish()


def _names(staging: Staging, folder: str) -> list[str]:
    return sorted(path.name for path in (staging.root / folder).iterdir())
