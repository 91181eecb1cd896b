"""Wakes whoever waits for something to change."""

import asyncio
import contextlib


class Bell:
    """Everybody who listens when it rings goes on, and looks for themselves what has changed."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        self._rung.set()
        self._rung = asyncio.Event()

    async def heard(self, seconds: float | None = None) -> None:
        """Return when it rings next, or after `seconds`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._rung.wait()
