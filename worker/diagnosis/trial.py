"""A command that is tried out in a process of its own."""

import asyncio
import os
import signal
from contextlib import suppress
from typing import Any, NamedTuple

BURY_SECONDS = 2.0


class Said(NamedTuple):
    status: int
    output: bytes
    complaint: bytes


async def tried(*command: str, seconds: float, **how: Any) -> Said | None:
    """What it said, and its status; None where it hadn't ended by then. It is killed then with all
    that it has started, and where nobody waits for it any more: a session of its own hears of no
    Ctrl-C."""
    child = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        **how,
    )
    said = None
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                output, complaint = await child.communicate()
                said = Said(child.returncode or 0, output, complaint)
    finally:
        if said is None:
            await _end(child)
    return said


async def _end(child: asyncio.subprocess.Process) -> None:
    """And wait for it, a moment at most: asyncio waits for the end of its pipes, too."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    with suppress(TimeoutError):
        async with asyncio.timeout(BURY_SECONDS):
            await child.wait()
