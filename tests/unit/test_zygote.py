"""The zygote's life: children go on to be had when it dies, is stuck, or doesn't come up."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.support import images
from tests.support.decoders import alive, decoder_of, ends, pid_in, run, stage
from worker import children
from worker.children import Children, Commands
from worker.decoder.zygote import SPARES
from worker.errors import FileRejected, TransientError
from worker.sandbox import Decoder

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="nothing is forked elsewhere")

SLEEP_OR_ANSWER = """
Path("zygote").write_text(str(os.getppid()))
Path("pid").write_text(str(os.getpid()))
if Path(request["staged"]).read_bytes() == b"sleep":
    time.sleep(60)
answer()
"""


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[Path]:
    """A new folder for each child."""

    def each() -> Iterator[Path]:
        for number in range(10):
            folder = tmp_path / f"scratch-{number}"
            folder.mkdir()
            yield folder

    return each()


def zygote_in(scratch: Path) -> int:
    return int((scratch / "zygote").read_text())


async def answers(decoder: Decoder, staged: Path, scratch: Path) -> bool:
    with pytest.raises(FileRejected) as verdict:
        await run(decoder, staged, scratch)
    return verdict.value.code == "probe"


async def killed_with_its_zygote(decoder: Decoder, staged: Path, scratch: Path) -> TransientError:
    working = asyncio.create_task(run(decoder, staged, scratch, seconds=60))
    child = await pid_in(scratch)
    os.kill(zygote_in(scratch), signal.SIGKILL)
    with pytest.raises(TransientError) as failure:
        await working
    assert await ends(child)
    return failure.value


async def test_a_zygote_that_is_killed_is_replaced_and_costs_no_attempt(
    tmp_path: Path, folders: Iterator[Path]
) -> None:
    staged = stage(tmp_path, b"sleep")
    async with decoder_of("forked", SLEEP_OR_ANSWER) as decoder:
        failure = await killed_with_its_zygote(decoder, staged, first := next(folders))
        assert (failure.cause, failure.counted) == ("memory", False)
        then = next(folders)
        assert await answers(decoder, stage(tmp_path, b"answer"), then)
    assert zygote_in(then) != zygote_in(first)


async def test_a_file_that_was_there_when_two_zygotes_died_uses_up_its_attempts(
    tmp_path: Path, folders: Iterator[Path]
) -> None:
    staged = stage(tmp_path, b"sleep")
    async with decoder_of("forked", SLEEP_OR_ANSWER) as decoder:
        counted = [
            (await killed_with_its_zygote(decoder, staged, next(folders))).counted for _ in range(3)
        ]
    assert counted == [False, True, True]


async def test_a_zygote_that_died_unnoticed_costs_the_next_file_nothing(
    tmp_path: Path, folders: Iterator[Path]
) -> None:
    staged = stage(tmp_path, b"answer")
    async with decoder_of("forked", SLEEP_OR_ANSWER) as decoder:
        first = next(folders)
        assert await answers(decoder, staged, first)
        os.kill(zygote_in(first), signal.SIGKILL)
        assert await ends(zygote_in(first))
        assert await answers(decoder, staged, next(folders))


def children_of(zygote: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{zygote}/task/{zygote}/children").read_text().split()]


async def waiting_below(zygote: int) -> set[int]:
    """The children that have no file yet, once there are as many as there are to be, and no
    others."""
    for _ in range(1000):
        living = {child for child in children_of(zygote) if alive(child)}
        if len(living) == SPARES:
            return living
        await asyncio.sleep(0.01)
    raise AssertionError("too few children wait, or too many")


@pytest.mark.parametrize("killed", range(1, SPARES + 1))
async def test_children_that_died_before_they_had_a_file_cost_the_next_ones_nothing(
    tmp_path: Path, folders: Iterator[Path], killed: int
) -> None:
    staged = stage(tmp_path, b"answer")
    async with decoder_of("forked", SLEEP_OR_ANSWER) as decoder:
        first, second, third = (next(folders) for _ in range(3))
        assert await answers(decoder, staged, first)
        spares = await waiting_below(zygote_in(first))
        for spare in sorted(spares)[:killed]:
            os.kill(spare, signal.SIGKILL)
            assert await ends(spare)
        assert await answers(decoder, staged, second)
        await waiting_below(zygote_in(first))
        assert await answers(decoder, staged, third)
    assert zygote_in(third) == zygote_in(second) == zygote_in(first)


async def test_a_file_gets_a_child_that_waits_for_one_and_another_waits_then(
    tmp_path: Path, folders: Iterator[Path]
) -> None:
    staged = stage(tmp_path, b"answer")
    async with decoder_of("forked", SLEEP_OR_ANSWER) as decoder:
        first, second = next(folders), next(folders)
        assert await answers(decoder, staged, first)
        spares = await waiting_below(zygote_in(first))
        assert await answers(decoder, staged, second)
        taken = int((second / "pid").read_text())
        assert taken in spares
        assert spares - await waiting_below(zygote_in(first)) == {taken}


async def test_no_child_has_two_files(tmp_path: Path, folders: Iterator[Path]) -> None:
    """However many come at once, and more than there are children waiting."""
    staged = stage(tmp_path, b"answer")
    async with decoder_of("forked", SLEEP_OR_ANSWER) as decoder:
        scratches = list(folders)
        await asyncio.gather(*(answers(decoder, staged, scratch) for scratch in scratches))
    pids = [(scratch / "pid").read_text() for scratch in scratches]
    assert len(set(pids)) == len(pids) > SPARES


async def test_children_that_wait_end_when_their_zygote_is_killed_or_replaced(
    tmp_path: Path, folders: Iterator[Path]
) -> None:
    crash = SLEEP_OR_ANSWER.replace("time.sleep(60)", "os.abort()")
    async with decoder_of("forked", crash) as decoder:
        first, second = next(folders), next(folders)
        assert await answers(decoder, stage(tmp_path, b"answer"), first)
        waiting = await waiting_below(zygote_in(first))
        with pytest.raises(TransientError):
            await run(decoder, stage(tmp_path, b"sleep"), next(folders))
        assert all([await ends(spare) for spare in waiting]), "of one that is replaced"
        assert await answers(decoder, stage(tmp_path, b"answer"), second)
        waiting = await waiting_below(zygote_in(second))
        os.kill(zygote_in(second), signal.SIGKILL)
        assert all([await ends(spare) for spare in waiting]), "of one that is killed"


async def test_a_rehearsal_leaves_one_thread_and_nothing_open() -> None:
    program = """
import os, sys
from worker.decoder.preload import preload
from worker.decoder.rehearsal import rehearse
preload()
before = sorted(os.listdir("/proc/self/fd"))
rehearse()
assert sorted(os.listdir("/proc/self/fd")) == before
assert len(os.listdir("/proc/self/task")) == 1
"""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, cwd=Path(__file__).parents[2]
    )
    assert await child.wait() == 0


async def test_a_zygote_that_is_stuck_is_replaced(
    tmp_path: Path, folders: Iterator[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "BURY_SECONDS", 0.2)
    async with decoder_of("forked", SLEEP_OR_ANSWER) as decoder:
        working = asyncio.create_task(
            run(decoder, stage(tmp_path, b"sleep"), first := next(folders), seconds=2)
        )
        child = await pid_in(first)
        os.kill(zygote_in(first), signal.SIGSTOP)
        with pytest.raises(TransientError):
            await working
        assert await ends(child)
        assert not alive(zygote_in(first))
        assert await answers(decoder, stage(tmp_path, b"answer"), next(folders))


async def test_after_a_crash_memory_is_laid_out_anew(
    tmp_path: Path, folders: Iterator[Path]
) -> None:
    code = SLEEP_OR_ANSWER.replace("time.sleep(60)", "os.abort()")
    async with decoder_of("forked", code) as decoder:
        with pytest.raises(TransientError):
            await run(decoder, stage(tmp_path, b"sleep"), crashed := next(folders))
        staged = stage(tmp_path, b"answer")
        second, third = next(folders), next(folders)
        assert await answers(decoder, staged, second)
        assert await answers(decoder, staged, third)
        assert await ends(zygote_in(crashed))
    assert zygote_in(crashed) != zygote_in(second) == zygote_in(third)


async def test_no_process_outlives_its_decoder(tmp_path: Path, folders: Iterator[Path]) -> None:
    async with decoder_of("forked", SLEEP_OR_ANSWER) as decoder:
        scratch = next(folders)
        assert await answers(decoder, stage(tmp_path, b"answer"), scratch)
        assert alive(zygote_in(scratch))
        spares = await waiting_below(zygote_in(scratch))
    assert not alive(zygote_in(scratch))
    assert all([await ends(spare) for spare in spares])


FAILING = {
    "ends": "import sys; sys.exit('out of cheese')",
    "has another thread": """
import sys, threading, time
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
from worker.decoder import zygote
zygote.main(int(sys.argv[1]), zygote.Life(zygote.decode))
""",
    "never comes up": "import time; time.sleep(60)",
}


@pytest.mark.parametrize("how", FAILING)
async def test_where_no_zygote_starts_children_are_started_afresh_and_the_log_says_so(
    tmp_path: Path, folders: Iterator[Path], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    if how == "never comes up":
        monkeypatch.setattr(children, "START_SECONDS", 0.5)
    failing = (sys.executable, "-P", "-s", "-c", FAILING[how])
    with structlog.testing.capture_logs() as logs:
        async with Decoder(Children(commands=Commands(zygote=failing))) as decoder:
            for _ in range(2):
                processed = await run(decoder, stage(tmp_path, images.pdf(3)), next(folders))
                assert processed.object.pages == 3
    (told,) = (each for each in logs if each["event"] == "zygote_not_started")
    reasons = {"ends": "out of cheese", "has another thread": "2 threads"}
    assert reasons.get(how, "not up within 0.5 s") in told["reason"]


async def test_a_machine_that_gives_no_process_costs_no_attempt(
    tmp_path: Path, folders: Iterator[Path]
) -> None:
    nowhere = ("/nowhere/python",)
    async with Decoder(Children(commands=Commands(zygote=nowhere, fresh=nowhere))) as decoder:
        with pytest.raises(TransientError) as failure:
            await run(decoder, stage(tmp_path, images.pdf()), next(folders))
    assert (failure.value.cause, failure.value.counted) == ("memory", False)


async def test_what_waits_for_a_child_waits_without_holding_the_loop(
    tmp_path: Path, folders: Iterator[Path]
) -> None:
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async with decoder_of("forked", "time.sleep(0.5)\nanswer()") as decoder:
        turning = asyncio.create_task(turn())
        assert await answers(decoder, stage(tmp_path, b"x"), next(folders))
        turning.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await turning
    assert turns > 100


async def test_the_zygote_serves_an_event_loop_of_the_workers_kind(tmp_path: Path) -> None:
    program = f"""
import uvloop
from pathlib import Path
from shared.policy import FilePolicy
from worker.sandbox import Decoder
async def main():
    async with Decoder() as decoder:
        for number in range(20):
            scratch = Path({str(tmp_path)!r}, str(number))
            scratch.mkdir()
            processed = await decoder.process(Path({str(stage(tmp_path, images.pdf(2)))!r}), scratch,
                policy=FilePolicy(accept=("application/pdf",), max_bytes=1), field="f",
                deadline_seconds=20)
            print(processed.object.pages)
uvloop.run(main())
"""
    worker = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        stdout=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    said, _ = await worker.communicate()
    assert worker.returncode == 0
    assert said.split() == [b"2"] * 20
