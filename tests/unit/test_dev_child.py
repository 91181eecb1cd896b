import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dev.child import Child, DidNotStart, Pace, Spec

QUICK = Pace(
    first_pause=0.05,
    longest_pause=0.2,
    healthy_after=0.4,
    ready_within=1.0,
    first_tries=3,
    look_every=0.01,
)

STAYS = "import time; print('here', flush=True); time.sleep(60)"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + STAYS

Make = Callable[..., Child]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    made: list[Child] = []

    def build(
        code: str,
        *,
        ready_by_output: bool = True,
        pace: Pace = QUICK,
        ended_by: signal.Signals = signal.SIGTERM,
    ) -> Child:
        log = tmp_path / f"{len(made)}.log"

        async def answers(_child: Child) -> bool:
            return ready_by_output and log.exists() and b"here" in log.read_bytes()

        command = [sys.executable, "-c", code]
        spec = Spec("tiny", command, lambda: dict(os.environ), answers, ended_by=ended_by)
        made.append(Child(spec, log, changed=lambda: None, pace=pace))
        return made[-1]

    yield build
    for child in made:
        await child.stop(grace=0)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - processes set no events
            await asyncio.sleep(0.01)


def exists(pid: int) -> bool:
    """Tell a living process; one that ended and waits for its parent to look isn't."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def test_a_killed_process_is_shown_and_started_again(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    child = make(STAYS)
    await child.start()
    first = child.pid
    assert first

    os.kill(first, signal.SIGKILL)
    await until(lambda: child.pid not in {None, first})

    assert "tiny ended (killed by SIGKILL); starting it again in 0.05 s" in capsys.readouterr().out


async def test_the_pauses_between_starts_double_up_to_a_limit(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    pace = replace(QUICK, healthy_after=60)  # a busy machine keeps it alive for long
    child = make("print('here', flush=True); import time; time.sleep(0.05)", pace=pace)
    await child.start()

    shown = ""

    def seen() -> bool:
        nonlocal shown
        shown += capsys.readouterr().out
        return shown.count("starting it again") >= 4

    await until(seen)
    pauses = [line.split()[-2] for line in shown.splitlines() if "starting it again" in line]
    assert pauses[:4] == ["0.05", "0.1", "0.2", "0.2"]


async def test_a_healthy_life_starts_the_pauses_over(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    child = make("print('here', flush=True); import time; time.sleep(0.5)")
    await child.start()

    shown = ""

    def seen() -> bool:
        nonlocal shown
        shown += capsys.readouterr().out
        return shown.count("starting it again in 0.05 s") >= 2

    await until(seen)
    assert "in 0.1 s" not in shown


async def test_a_process_that_never_gets_ready_is_given_up_after_a_few_tries(make: Make) -> None:
    child = make("raise SystemExit(7)")

    with pytest.raises(DidNotStart, match=r"tiny does not start \(exit code 7\)"):
        await child.start()


async def test_a_process_that_stays_silent_is_given_up_and_killed(make: Make) -> None:
    child = make(STAYS, ready_by_output=False)

    with pytest.raises(DidNotStart, match="did not answer within 1 s"):
        await child.start()
    assert child.pid is None


async def test_a_command_that_is_not_there_is_given_up_with_its_name(make: Make) -> None:
    child = make(STAYS)
    child.spec = Spec("tiny", ["/not/there"], dict, child.spec.is_ready)

    with pytest.raises(DidNotStart, match="/not/there"):
        await child.start()


async def test_a_process_is_ended_as_its_spec_says(make: Make) -> None:
    child = make(DEAF, ended_by=signal.SIGKILL)
    await child.start()
    pid = child.pid
    assert pid
    began = time.monotonic()
    await child.stop(grace=5)
    assert time.monotonic() - began < 5
    assert not exists(pid)


async def test_a_process_that_ignores_sigterm_is_killed_after_the_grace(make: Make) -> None:
    child = make(DEAF)
    await child.start()
    pid = child.pid
    assert pid

    began = time.monotonic()
    await child.stop(grace=0.2)

    assert not exists(pid)
    assert 0.2 <= time.monotonic() - began < 10, "it would sleep for ever"


async def test_a_child_waiting_to_be_started_again_stops_at_once(make: Make) -> None:
    child = make(
        "print('here', flush=True); import time; time.sleep(0.3)",
        pace=Pace(first_pause=60, look_every=0.01),
    )
    await child.start()
    await until(lambda: child.pid is None)

    began = time.monotonic()
    await child.stop(grace=5)

    assert time.monotonic() - began < 30, "it would be started in a minute"


async def test_what_a_killed_process_had_started_is_killed_too(make: Make, tmp_path: Path) -> None:
    note = tmp_path / "grandchild"
    child = make(
        "import subprocess, sys, pathlib;"
        f"p = subprocess.Popen([sys.executable, '-c', {STAYS!r}]);"
        f"pathlib.Path({str(note)!r}).write_text(str(p.pid)); p.wait()"
    )
    await child.start()
    grandchild = int(note.read_text())
    assert exists(grandchild)

    assert child.pid
    os.kill(child.pid, signal.SIGKILL)

    await until(lambda: not exists(grandchild))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
async def test_a_killed_stack_leaves_no_process_behind(tmp_path: Path) -> None:
    note = tmp_path / "child"
    parent = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import asyncio, sys, os, pathlib\n"
        "from dev import processes\n"
        "async def main():\n"
        f"    p = await processes.start([sys.executable, '-c', {STAYS!r}], os.environ, -3)\n"
        f"    pathlib.Path({str(note)!r}).write_text(str(p.pid))\n"
        "    await p.wait()\n"
        "asyncio.run(main())\n",
    )
    await until(lambda: note.exists() and note.read_text())

    parent.kill()
    await parent.wait()

    await until(lambda: not exists(int(note.read_text())))
