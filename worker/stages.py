"""The stage that the work on an upload is in, as its heartbeat tells it."""

import asyncio
import contextlib

from shared.internal_api import Scan
from shared.status import Stage

STAGE_PAUSE = 1.0
"""Stages that come faster than this are shown together: a small file has no use for five calls."""


class Stages:
    """The stage the work is in, for the heartbeat."""

    def __init__(self) -> None:
        self.checked = asyncio.Event()
        """The file is good and has its room, or there is an outcome already."""
        self.now = Stage.VALIDATING
        self.lost = False
        self.scan: Scan | None = None
        """The scanner's verdict, once there is one: for the outcome, whichever it is."""
        self._changed = asyncio.Event()

    def show(self, stage: Stage) -> None:
        if stage is not self.now:
            self.now = stage
            self._changed.set()

    async def changed_or(self, seconds: float) -> None:
        """Return after `seconds`, or soon after the stage changed."""
        await asyncio.sleep(min(STAGE_PAUSE, seconds))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(seconds - STAGE_PAUSE, 0)):
                await self._changed.wait()
        self._changed.clear()
