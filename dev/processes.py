"""Starting real processes that never outlive the stack."""

import asyncio
import ctypes
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from dev import CHECKOUT

PR_SET_PDEATHSIG = 1


async def start(
    command: Sequence[str],
    env: Mapping[str, str],
    output: IO[bytes] | int,
    cwd: Path = CHECKOUT,
    *,
    stdin: int = DEVNULL,
    ended_by: signal.Signals = signal.SIGTERM,
) -> Process:
    """Start a process in a session of its own: a Ctrl-C in the terminal goes to `up` alone."""
    return await asyncio.create_subprocess_exec(
        *command,
        env=env,
        cwd=cwd,
        stdin=stdin,
        stdout=output,
        stderr=STDOUT,
        start_new_session=True,
        preexec_fn=die_with_parent(ended_by),
    )


def die_with_parent(number: signal.Signals = signal.SIGTERM) -> Callable[[], None] | None:
    """Have Linux end the child when this process is gone, were it by SIGKILL."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    parent = os.getpid()

    def arrange() -> None:
        libc.prctl(PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # it died between the fork and here
            os.kill(os.getpid(), signal.SIGKILL)

    return arrange


def kill_group(process: Process) -> None:
    """Kill the process and whatever it started; also what it left behind when it ended."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


async def run_once(
    command: Sequence[str], env: Mapping[str, str], stdin: bytes = b""
) -> tuple[int, str]:
    """Run a command to its end; the exit code and all it said."""
    process = await start(command, env, PIPE, stdin=PIPE)
    try:
        output, _ = await process.communicate(stdin)
    finally:
        kill_group(process)
        await process.wait()
    return process.returncode or 0, output.decode(errors="replace")


def how_it_ended(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return f"killed by {signal.Signals(-code).name}"
    return f"killed by signal {-code}"
