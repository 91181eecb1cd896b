"""What every staging volume must do: durable before it is named, and nothing left of a failure."""

import asyncio
import contextlib
import errno
import hashlib
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from api.settings.settings import SMALL
from api.staging import folder_sync
from api.staging.batches import AHEAD, BATCH, BEHIND, PIECE, SCARCE_BATCH
from api.staging.digest import of_nothing
from api.staging.file_calls import fsync_folder
from api.staging.folder_pass import AT_ONCE
from api.staging.folders import INCOMING, QUARANTINE, SEGMENTS
from api.staging.segments import READ, Extent, Mark, SegmentWriter, join
from api.staging.space import Space
from api.staging.staging import GATHERED, NICER, Staging
from api.staging.writer import Writer
from api.texts.errors import Problem
from shared.volume import STAGED
from tests.support.failing_volume import fail

HELD = (1 + AHEAD) * BATCH
"""Bytes that one body holds at most, where no other thread hashes it."""


@pytest.fixture
async def staging(tmp_path: Path) -> AsyncIterator[Staging]:
    opened = Staging(tmp_path, Space(tmp_path, min_free_bytes=0, min_free_inodes=0))
    opened.prepare()
    yield opened
    opened.close()


@pytest.mark.parametrize(
    "size",
    [1, BATCH, SMALL - 1, SMALL, SMALL + 1, SMALL + 3 * BATCH + 7],
    ids=["a byte", "a batch", "almost small", "small", "not small", "batches"],
)
async def test_what_is_written_in_pieces_is_staged_whole_with_its_hash(
    staging: Staging, size: int
) -> None:
    content = os.urandom(size)
    writer = staging.open("upl_a")
    for start in range(0, size, 5000):
        await writer.write(content[start : start + 5000])
    done = await writer.finish()
    assert (staging.root / STAGED / "upl_a").read_bytes() == content
    assert (done.size, done.sha256) == (size, hashlib.sha256(content).hexdigest())
    assert _names(staging, INCOMING) == []


@pytest.mark.parametrize(("small", "is_there"), [(0, True), (SMALL, False)])
async def test_only_what_may_be_gathered_waits_in_memory_for_its_end(
    tmp_path: Path, *, small: int, is_there: bool
) -> None:
    staging = Staging(tmp_path, Space(tmp_path, min_free_bytes=0, min_free_inodes=0), small=small)
    staging.prepare()
    writer = staging.open("upl_a")
    for _ in range(2):
        await writer.write(b"x" * (SCARCE_BATCH // 2 + 1))
    if is_there:
        await writer._batches.settle()  # a thread has it
    assert bool(_names(staging, INCOMING)) is is_there
    await writer.discard()
    staging.close()


@pytest.mark.parametrize("what", ["a file", "a copy", "a link", "the marker"])
async def test_all_is_written_and_synced_before_the_rename_and_the_folder_after_it(
    staging: Staging, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    if what != "a file":
        writer = staging.open("upl_a")
        await writer.write(b"little: a buffer takes it")
        await writer.finish()
    if what == "a copy":
        monkeypatch.setattr(Path, "hardlink_to", _refuse_link)
    order = _traced(monkeypatch)
    if what == "a file":
        await _receive(staging)
    elif what == "the marker":
        await staging.write_marker("vol_1")
    else:
        assert await staging.link("upl_a", "upl_b")
    size = {"a file": 2 * SMALL, "a copy": 25, "the marker": len("vol_1")}
    file = [f"fsync of {size[what]} bytes", "rename"] if what in size else []
    assert order == [*file, "fsync of the folder"]


def _traced(patch: pytest.MonkeyPatch) -> list[str]:
    """What from now on is synced and renamed, in order, with what a file has when it is synced."""
    order: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def spy_fsync(fd: int) -> None:
        is_folder = Path(f"/proc/self/fd/{fd}").is_dir()
        order.append(f"fsync of {'the folder' if is_folder else f'{os.fstat(fd).st_size} bytes'}")
        fsync(fd)

    def spy_rename(path: Path, target: Path) -> Path:
        order.append("rename")
        return rename(path, target)

    patch.setattr(os, "fsync", spy_fsync)
    patch.setattr(Path, "rename", spy_rename)
    return order


async def test_what_the_kernel_takes_only_in_part_is_written_on_to_its_end(
    staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, write = os.urandom(BATCH + 7), os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:50_000]))
    writer = staging.open("upl_a")
    await writer.write(content)
    done = await writer.finish()
    assert (staging.root / STAGED / "upl_a").read_bytes() == content
    assert (done.size, done.sha256) == (len(content), hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize("kind", ["a file", "a segment"])
async def test_what_ends_in_the_middle_gives_back_the_memory_that_all_bodies_share(
    staging: Staging, kind: str
) -> None:
    if kind == "a file":
        writer = staging.open("upl_a")
        await writer.write(b"x")
        await writer.discard()
    else:
        segment = SegmentWriter(staging, "seg_a", Mark(0, None))
        await segment.write(b"x")
        await segment.close()
    assert staging.gather(GATHERED), "all of it"
    assert not staging.gather(1)


async def test_what_is_discarded_leaves_nothing(staging: Staging) -> None:
    writer = staging.open("upl_a")
    await writer.write(b"x" * (2 * SMALL))
    await writer.discard()
    await writer.discard()
    assert _names(staging, INCOMING) == _names(staging, STAGED) == []


@pytest.mark.parametrize("cancelled", [False, True], ids=["", "by a client that is gone"])
async def test_what_is_discarded_within_a_write_is_closed_behind_it(
    staging: Staging, monkeypatch: pytest.MonkeyPatch, *, cancelled: bool
) -> None:
    """Its descriptor may be another file's by then."""
    order: list[str] = []
    began, go_on = threading.Event(), threading.Event()
    write, close = os.write, os.close

    def slow_write(fd: int, data: memoryview) -> int:
        began.set()
        go_on.wait()
        order.append("written")
        return write(fd, data)

    def spy_close(fd: int) -> None:
        order.append("closed")
        close(fd)

    writer = staging.open("upl_a")
    monkeypatch.setattr(os, "write", slow_write)
    monkeypatch.setattr(os, "close", spy_close)
    await writer.write(b"x" * (SMALL + 1))
    assert await asyncio.to_thread(began.wait, 30)
    if cancelled:
        for _ in range(AHEAD - 1):
            await writer.write(b"x" * (BATCH + 1))
        waiting = asyncio.create_task(writer.write(b"x" * (BATCH + 1)))
        await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
    discarding = asyncio.create_task(writer.discard())
    await asyncio.wait([discarding], timeout=0.2)  # in which it would be done
    go_on.set()
    await discarding
    assert order == ["written"] * (AHEAD if cancelled else 1) + ["closed"]
    assert _names(staging, INCOMING) == []


@pytest.mark.parametrize("step", ["write", "fsync of the folder"])
async def test_what_is_discarded_while_it_is_finished_is_taken_back_behind_it(
    staging: Staging, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """By a client that is gone. It is nobody's yet, wherever its file is by then."""
    order: list[str] = []
    began, go_on = threading.Event(), threading.Event()
    write, close, sync = os.write, os.close, fsync_folder

    def hold(name: str) -> None:
        if name == step:
            began.set()
            go_on.wait()
        order.append(name)

    def slow_write(fd: int, data: memoryview) -> int:
        hold("write")
        return write(fd, data)

    def spy_close(fd: int) -> None:
        order.append("close")
        close(fd)

    def slow_sync(path: Path) -> None:
        hold("fsync of the folder")
        sync(path)

    writer = staging.open("upl_a")
    await writer.write(b"little")
    monkeypatch.setattr(os, "write", slow_write)
    monkeypatch.setattr(os, "close", spy_close)
    monkeypatch.setattr(folder_sync, "fsync_folder", slow_sync)
    finishing = asyncio.create_task(writer.finish())
    assert await asyncio.to_thread(began.wait, 30)
    finishing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await finishing
    discarding = asyncio.create_task(writer.discard())
    await asyncio.wait([discarding], timeout=0.2)  # in which it would be done
    go_on.set()
    await discarding
    assert order[:2] == ["write", "close"]
    assert _names(staging, INCOMING) == _names(staging, STAGED) == []


async def test_who_waits_for_the_folder_is_told_whatever_happens_to_it(
    staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: Path) -> None:
        raise RuntimeError(f"no thread for {path}")

    monkeypatch.setattr(folder_sync, "fsync_folder", broken)
    async with asyncio.timeout(30):
        for _ in range(2):
            with pytest.raises(RuntimeError):
                await staging.sync()


async def test_a_body_in_tiny_pieces_isnt_held_for_long(staging: Staging) -> None:
    """Each piece takes up a hundred times its bytes."""
    writer = staging.open("upl_a")
    for _ in range(8 * BATCH // PIECE):
        await writer.write(b"xy")
    assert staging._gathered <= HELD
    assert _names(staging, INCOMING) == ["upl_a"]
    await writer.discard()


async def test_nor_are_those_of_a_resumable_upload(staging: Staging) -> None:
    writer = SegmentWriter(staging, "seg_a", Mark(0, None))
    for _ in range(8 * BATCH // PIECE):
        await writer.write(b"x")
    assert staging._gathered <= HELD
    assert (await writer.finish()).size == 8 * BATCH // PIECE
    await writer.close()


async def test_a_segment_is_synced_whenever_it_counts_and_its_folder_the_first_time(
    staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = _traced(monkeypatch)
    writer = SegmentWriter(staging, "seg_a", Mark(0, of_nothing()))
    for _ in range(2):
        await writer.write(b"x" * 5)
        await writer.finish()
    await writer.close()
    again = SegmentWriter(staging, "seg_a", Mark(10, None))
    await again.write(b"x")
    await again.finish()
    await again.close()
    sizes = [f"fsync of {size} bytes" for size in (5, 10, 11)]
    assert order == [sizes[0], "fsync of the folder", *sizes[1:]]


@pytest.mark.parametrize("size", [5, 3 * SMALL], ids=["small", "large"])
@pytest.mark.parametrize("end", ["finished", "discarded", "failed"])
async def test_however_a_body_ends_it_holds_no_memory(
    staging: Staging, monkeypatch: pytest.MonkeyPatch, end: str, size: int
) -> None:
    if end == "failed":
        fail(monkeypatch, "fsync", errno.EIO)
    writer = staging.open("upl_a")
    await writer.write(b"x" * size)
    await writer.write(b"x")
    assert staging._gathered > 0
    if end != "discarded":
        with contextlib.suppress(Problem):
            await writer.finish()
    await writer.discard()
    assert writer._batches.digest
    await writer._batches.digest.value()
    assert staging._gathered == 0


async def _write_each(writer: SegmentWriter, contents: list[bytes]) -> None:
    for each in contents:
        await writer.write(each)


async def test_a_body_waits_for_its_hash_when_that_is_too_far_behind(staging: Staging) -> None:
    go_on = threading.Event()
    blocked = of_nothing().after(staging, [], lambda _: bool(go_on.wait()))  # type: ignore[arg-type] # what it returns is of no interest
    writer, content = SegmentWriter(staging, "seg_a", Mark(0, blocked)), os.urandom(BATCH)
    writing = asyncio.create_task(_write_each(writer, [content] * BEHIND))
    done, _ = await asyncio.wait([writing], timeout=0.3)  # in which all would be written
    go_on.set()
    assert not done
    await writing
    mark = await writer.finish()
    await writer.close()
    assert mark.digest
    assert (hash_ := await mark.digest.value())
    assert hash_.hexdigest() == hashlib.sha256(content * BEHIND).hexdigest()


@pytest.mark.parametrize(("size", "threads"), [(5, "staging"), (3 * SMALL, "bulk")])
async def test_only_what_is_large_is_written_by_threads_that_give_way(
    staging: Staging, monkeypatch: pytest.MonkeyPatch, size: int, threads: str
) -> None:
    write, names = os.write, set[str]()

    def spy(fd: int, data: memoryview) -> int:
        names.add(threading.current_thread().name.partition("_")[0])
        return write(fd, data)

    writer = staging.open("upl_a")
    monkeypatch.setattr(os, "write", spy)
    await writer.write(b"x" * size)
    await writer.finish()
    assert names == {threads}


async def test_a_file_that_cant_be_hashed_is_not_acknowledged(
    staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(_: object) -> None:
        raise MemoryError

    writer = staging.open("upl_a")
    monkeypatch.setattr("api.staging.digest.Digest.at_once", property(no_memory))
    await writer.write(b"x" * 3 * SMALL)
    with pytest.raises(MemoryError):
        await writer.finish()
    monkeypatch.undo()
    await writer.discard()
    assert _names(staging, INCOMING) == _names(staging, STAGED) == []


@pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere threads have no priority of their own"
)
async def test_what_is_large_gives_way_to_what_is_quick(staging: Staging) -> None:
    priorities: list[int] = []
    for bulk in (False, True):
        step = staging.start(lambda: priorities.append(_priority()), bulk=bulk)
        await asyncio.wrap_future(step)
    assert priorities == [_priority(), min(_priority() + NICER, 19)]


def _priority() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


async def test_only_what_is_gone_is_said_to_be_and_the_others_go_all_the_same(
    staging: Staging,
) -> None:
    await _receive(staging)
    (staging.root / STAGED / "upl_0").mkdir()  # which can't be unlinked
    assert await staging.delete_all(["upl_0", "upl_a", "upl_gone"]) == ["upl_a", "upl_gone"]
    assert _names(staging, STAGED) == ["upl_0"]


async def test_the_time_in_quarantine_begins_there(staging: Staging) -> None:
    await _receive(staging)
    os.utime(staging.root / STAGED / "upl_a", (1, 1))
    await staging.quarantine("upl_a")
    assert _names(staging, QUARANTINE) == ["upl_a"]
    assert await staging.next_older_than(QUARANTINE, 3600) == []


FAULTS = [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS]
STEPS = ["open", "write", "fsync", "close", "rename", "open folder", "fsync folder"]


@pytest.mark.parametrize("number", FAULTS)
@pytest.mark.parametrize("step", STEPS)
async def test_a_volume_that_fails_is_a_problem_and_nothing_is_staged(
    staging: Staging, monkeypatch: pytest.MonkeyPatch, step: str, number: int
) -> None:
    with monkeypatch.context() as patched:
        tried = fail(patched, step, number)
        with pytest.raises(Problem) as problem:
            await _receive(staging)
    assert tried.count(step) == 1, "what failed is never repeated: least of all an fsync"
    assert tried.count("fsync") <= 1
    full = number in (errno.ENOSPC, errno.EDQUOT)
    assert problem.value.status == (507 if full else 503)
    assert problem.value.retry_after
    assert _names(staging, STAGED) == _names(staging, INCOMING) == []


async def test_a_volume_that_takes_nothing_back_doesnt_hide_why_it_failed(
    staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stuck(path: Path, *, missing_ok: bool = False) -> None:
        raise OSError(errno.EROFS, f"{path} {missing_ok}")

    writer = staging.open("upl_a")
    with monkeypatch.context() as patched:
        fail(patched, "fsync", errno.ENOSPC)
        patched.setattr(Path, "unlink", stuck)
        with pytest.raises(Problem, match="storage-full"):
            await _write_and_finish(writer)
        await writer.discard()
    assert _names(staging, STAGED) == []


async def test_room_is_reserved_before_a_body_is_read(tmp_path: Path) -> None:
    stat = os.statvfs(tmp_path)
    free = stat.f_bavail * stat.f_frsize
    space = Space(tmp_path, min_free_bytes=free // 2, min_free_inodes=0)
    assert space.is_left()
    with (
        space.reserve(free // 4),
        pytest.raises(Problem, match="storage-full") as problem,
        space.reserve(free // 2),
    ):
        pass
    assert problem.value.status == 507
    assert problem.value.retry_after
    with space.reserve(free // 3):
        pass


@pytest.mark.parametrize(
    ("files", "free", "room"),
    [(1000, 100, True), (1000, 11, True), (1000, 10, False), (1000, 0, False), (0, 0, True)],
    ids=["many", "one above", "at the mark", "none", "not counted"],
)
def test_a_volume_short_of_inodes_is_full_where_they_are_counted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, files: int, free: int, *, room: bool
) -> None:
    real = os.statvfs(tmp_path)
    fields = list(real)[:10]
    fields[5], fields[6], fields[7] = files, free, free
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(fields))
    space = Space(tmp_path, min_free_bytes=0, min_free_inodes=10)
    assert space.is_left() is room


def test_bodies_under_way_hold_an_inode_each(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fields = list(os.statvfs(tmp_path))[:10]
    fields[5], fields[6], fields[7] = 1000, 12, 12
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(fields))
    space = Space(tmp_path, min_free_bytes=0, min_free_inodes=10)
    with space.reserve(1), space.reserve(1):
        assert not space.is_left()
    assert space.is_left()


def test_a_volume_that_doesnt_say_has_no_room(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(_: Path) -> os.statvfs_result:
        raise OSError(errno.EIO, "no")

    monkeypatch.setattr(os, "statvfs", broken)
    space = Space(tmp_path, min_free_bytes=0, min_free_inodes=0)
    with pytest.raises(Problem, match="unavailable"), space.reserve(1):
        pass
    assert not space.is_left()


async def test_a_crowded_folder_is_gone_over_a_little_at_a_time(staging: Staging) -> None:
    names = {f"upl_{number}" for number in range(2 * AT_ONCE + 10)}
    for name in names | {".nfs0001"}:
        (staging.root / STAGED / name).touch()
    goes = [await staging.next_older_than(STAGED, -60) for _ in range(3)]
    assert all(len(go) <= AT_ONCE for go in goes)
    assert {name for go in goes for name in go} == names
    (staging.root / STAGED / "upl_new").touch()
    again = [await staging.next_older_than(STAGED, -60) for _ in range(3)]
    assert "upl_new" in {name for go in again for name in go}, "it starts anew after the last"


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
async def test_a_staged_file_gets_a_second_name_that_outlives_the_first(
    staging: Staging, monkeypatch: pytest.MonkeyPatch, *, links: bool
) -> None:
    await _receive(staging)
    first = staging.root / STAGED / "upl_a"
    with monkeypatch.context() as patched:
        if not links:
            patched.setattr(Path, "hardlink_to", _refuse_link)
        assert await staging.link("upl_a", "upl_b")
    second = staging.root / STAGED / "upl_b"
    assert (first.stat().st_ino == second.stat().st_ino) is links
    await staging.delete("upl_a")
    assert second.read_bytes() == b"x" * (2 * SMALL)
    assert not await staging.link("upl_a", "upl_c"), "it is gone"
    assert _names(staging, STAGED) == ["upl_b"]
    assert _names(staging, INCOMING) == []


@pytest.mark.parametrize("step", ["open folder", "fsync folder", "rename"])
async def test_a_second_name_that_may_not_last_is_taken_back(
    staging: Staging, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    await _receive(staging)
    with monkeypatch.context() as patched:
        if step == "rename":
            patched.setattr(Path, "hardlink_to", _refuse_link)
        fail(patched, step, errno.ENOSPC)
        with pytest.raises(Problem, match="storage-full"):
            await staging.link("upl_a", "upl_b")
    assert _names(staging, STAGED) == ["upl_a"]
    assert _names(staging, INCOMING) == []


async def test_deleting_twice_is_fine_and_a_marker_is_read_back(staging: Staging) -> None:
    await staging.delete("upl_none")
    assert await staging.read_marker() is None
    await staging.write_marker("vol_1")
    assert await staging.read_marker() == "vol_1"


def _refuse_link(path: Path, target: Path) -> None:
    raise OSError(errno.EOPNOTSUPP, f"{path} {target}")


async def _receive(staging: Staging) -> None:
    writer = staging.open("upl_a")
    try:
        await _write_and_finish(writer)
    finally:
        await writer.discard()


async def _write_and_finish(writer: Writer) -> None:
    await writer.write(b"x" * (2 * SMALL))
    await writer.finish()


def _names(staging: Staging, folder: str) -> list[str]:
    return sorted(path.name for path in (staging.root / folder).iterdir())


@pytest.mark.parametrize("error", [errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS])
async def test_segments_are_joined_on_a_volume_that_cant_copy_by_itself(
    staging: Staging, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    monkeypatch.setattr(os, "copy_file_range", _refusing(error))
    one, two = os.urandom(READ + 7), os.urandom(5)
    for name, content in (("seg_a", b"??" + one), ("seg_b", two)):
        (staging.root / SEGMENTS / name).write_bytes(content)
    order = _traced(monkeypatch)
    join(staging.root, "upl_a", [Extent("seg_a", len(one), skip=2), Extent("seg_b", len(two))])
    assert order[:2] == [f"fsync of {len(one + two)} bytes", "rename"]
    assert (staging.root / STAGED / "upl_a").read_bytes() == one + two
    assert _names(staging, INCOMING) == []


async def test_segments_that_cant_be_read_are_not_joined_and_leave_nothing(
    staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "copy_file_range", _refusing(errno.EIO))
    for name in ("seg_a", "seg_b"):
        (staging.root / SEGMENTS / name).write_bytes(b"x")
    with pytest.raises(OSError, match="Input/output"):
        join(staging.root, "upl_a", [Extent("seg_a", 1), Extent("seg_b", 1)])
    assert _names(staging, INCOMING) == _names(staging, STAGED) == []


def _refusing(number: int) -> Callable[..., int]:
    def refuse(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    return refuse
