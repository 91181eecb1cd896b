"""The stack that is soaked: an `./longshore up` of its own, as another process."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from dev import CHECKOUT, processes
from dev.ports import free_port
from dev.say import Problem, say
from dev.state import read_stack

READY_WITHIN = 300.0
STOPS_WITHIN = 15.0


class SoakedStack:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keep = False
        """Leave the folder behind, for who has to find out what happened."""

    @property
    def info(self) -> dict[str, Any]:
        """Its stack.json as it is now."""
        return read_stack(self.folder / "state")

    def pid(self, name: str) -> int | None:
        """The part's process; None while it is being started again."""
        pids = self.info.get("pids", {}).get(name, [])
        return int(pids[0]) if pids else None


@asynccontextmanager
async def soaked_stack(settings: Mapping[str, str]) -> AsyncIterator[SoakedStack]:
    folder = Path(tempfile.mkdtemp(prefix="longshore-soak-"))
    stack = SoakedStack(folder)
    with (folder / "up.log").open("ab") as output:
        command = ["./longshore", "up", "--port", str(free_port()), "--state-dir"]
        up = await processes.start(
            [*command, str(folder / "state")], {**os.environ, **settings}, output, CHECKOUT
        )
        try:
            await _until_ready(stack, up)
            yield stack
        except BaseException:
            stack.keep = True
            raise
        finally:
            await _stop(up)
            if stack.keep:
                say(f"logs and data: {folder}")
            else:
                shutil.rmtree(folder, ignore_errors=True)


async def _until_ready(stack: SoakedStack, up: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(READY_WITHIN):
        while not stack.info:
            if up.returncode is not None:
                said = (stack.folder / "up.log").read_text("utf-8", "replace")
                raise Problem(f"soak: the stack did not start: {said.strip()[-500:]}")
            await asyncio.sleep(0.1)


async def _stop(up: asyncio.subprocess.Process) -> None:
    if up.returncode is None:
        up.terminate()
    try:
        await asyncio.wait_for(up.wait(), STOPS_WITHIN)
    except TimeoutError:
        processes.kill_group(up)  # its parts end with it
        await up.wait()
