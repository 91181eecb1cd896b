"""Bytes of a body on their way to its file: a thread writes a batch while the next is gathered."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from api.staging.space import volume_problem

if TYPE_CHECKING:
    from api.staging.staging import Staging

Batch = list[bytes | memoryview]

PIECE = 256
"""What a piece takes up beside its bytes: a client may send two at a time."""


class Batches:
    """Of one body. What is gathered counts against what all bodies may hold until it is handed over
    or dropped."""

    def __init__(self, staging: "Staging") -> None:
        self._staging = staging
        self._batch: Batch = []
        self._under_way: asyncio.Future[None] | None = None
        self.held = 0
        """Bytes that the batch takes up in memory."""

    def add(self, data: bytes | memoryview) -> bool:
        """Gather `data`, which must not change afterwards; returns whether all bodies together are
        within what they may hold."""
        self._batch.append(data)
        held = len(data) + PIECE
        self.held += held
        return self._staging.gather(held)

    async def hand_over(self, step: Callable[[Batch], None]) -> None:
        """Have a thread do `step` with what is gathered, once it is done with the batch before.
        Raises `Problem` where any before has failed: nothing may be written behind it."""
        await self.settle()
        self._under_way = self._staging.in_thread(step, self._taken())

    async def settle(self) -> None:
        """Until the thread is done. Raises `Problem` where it failed, then and ever after."""
        if self._under_way is None:
            return
        try:
            # if cancelled the thread still writes: see `idle`
            await asyncio.shield(self._under_way)
        except OSError as error:
            raise volume_problem(error) from error

    async def idle(self) -> None:
        """Until the thread is done, whatever became of it."""
        if self._under_way:
            await asyncio.wait([self._under_way])

    async def drop(self) -> None:
        """Let go of what is gathered, until nothing is written any more. Never raises."""
        self._taken()
        await self.idle()

    def _taken(self) -> Batch:
        batch, self._batch = self._batch, []
        self._staging.gather(-self.held)
        self.held = 0
        return batch
