"""Commands that are tried out before a start."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from worker.diagnosis.trial import tried


async def test_what_it_said_is_told_with_its_status() -> None:
    said = await tried("sh", "-c", "echo out; echo err >&2; exit 3", seconds=30)
    assert said == (3, b"out\n", b"err\n")


async def test_who_leaves_its_pipes_to_a_process_of_its_own_keeps_nobody_waiting() -> None:
    """When its time is over that one is killed with it."""
    async with asyncio.timeout(60):
        assert await tried("sh", "-c", "sleep 90 & wait", seconds=1) is None


async def test_who_nobody_waits_for_any_more_is_ended(tmp_path: Path) -> None:
    """As when the doctor is stopped by Ctrl-C, which its session doesn't hear."""
    file = tmp_path / "pid"
    trying = asyncio.create_task(
        tried("sh", "-c", f"echo $$ > {file}.new; mv {file}.new {file}; sleep 90", seconds=60)
    )
    pid = await asyncio.to_thread(_text_of, file)
    trying.cancel()
    await asyncio.wait([trying])
    assert trying.cancelled()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


def _text_of(file: Path) -> str:
    """Once it is there."""
    until = time.monotonic() + 30
    while not file.exists() and time.monotonic() < until:
        time.sleep(0.02)
    return file.read_text()
