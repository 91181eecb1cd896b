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
    """What it said, and its status; None where it hadn't ended by then. What it has started is
    killed with it: asyncio waits for the end of its pipes, too."""
    child = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        **how,
    )
    try:
        async with asyncio.timeout(seconds):
            output, complaint = await child.communicate()
    except TimeoutError:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        with suppress(TimeoutError):
            async with asyncio.timeout(BURY_SECONDS):
                await child.wait()
        return None
    return Said(child.returncode or 0, output, complaint)
