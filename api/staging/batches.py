"""Bytes of a body on their way to its file: a thread writes batches while the next is gathered, and
another one hashes them."""

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from api.staging.digest import Batch, Digest, Hash, Read
from api.staging.lane import Lane, Step
from api.staging.space import volume_problem

if TYPE_CHECKING:
    from api.staging.staging import Staging

BATCH = 1024 * 1024
SCARCE = 128 * 1024
"""Bytes gathered for one write: many, as each is a hop to a thread or two, and fewer while all
bodies together hold more than they may."""
PIECE = 256
"""What a piece takes up beside its bytes: a client may send two at a time."""
AHEAD = 2
"""Batches that are handed over and not written: one under way, and one that waits for it."""
BEHIND = 4
"""Batches that are handed over and not hashed."""
BESIDE = 256 * 1024
"""Bytes that are worth a second thread."""


class Handed(NamedTuple):
    """A batch to be written."""

    batch: Batch
    size: int
    """Its bytes."""
    digest: Digest | None
    """Of all up to its end; None where nobody has what comes before."""
    hash: Hash | None
    """To be updated with it by who writes it, where no other thread does."""


class Batches:
    """Of one body. What is gathered counts against what all bodies may hold until it is written and
    hashed, or dropped."""

    def __init__(self, staging: "Staging", digest: Digest | None, read: Read | None = None) -> None:
        """`digest` is of what comes before, but for what `read` reads."""
        self._staging = staging
        self._batch: Batch = []
        self._lane = Lane(self._start)
        self._error: Exception | None = None
        self._has_room = True
        self._is_bulk = False
        """Whether the last batch is large."""
        self._is_along = False
        """Whether the last batch is hashed by who writes it: until then nobody can go on with its
        digest."""
        self._read = read
        self.digest = digest
        """Of all that was handed over."""
        self.held = 0
        """Bytes that the batch takes up in memory."""

    def add(self, data: bytes | memoryview) -> bool:
        """Gather `data`, which must not change afterwards; returns whether all bodies together are
        within what they may hold."""
        self._batch.append(data)
        held = len(data) + PIECE
        self.held += held
        self._has_room = self._staging.gather(held)
        return self._has_room

    async def hand_over(self, step: Callable[[Handed], None]) -> None:
        """Have a thread do `step` with what is gathered, once it is done with the batches before;
        wait while too many are under way. Raises `Problem` where any before has failed: nothing is
        written behind it."""
        await self._lane.done(self._lane.count - (0 if self._is_along else AHEAD - 1))
        self._raise()
        if self.digest:
            await self.digest.near(BEHIND - 1 if self._has_room else 0)
        batch, held = self._batch, self.held
        self._batch, self.held = [], 0
        size = sum(map(len, batch))
        self._is_bulk = size >= BESIDE
        hash_ = self._follow(batch, size)
        handed = Handed(batch, size, self.digest, hash_)
        self._lane.put(partial(self._do, step, handed, held))

    async def settle(self) -> None:
        """Until the thread is done. Raises `Problem` where it failed, then and ever after."""
        await self.idle()
        self._raise()

    async def idle(self) -> None:
        """Until the thread is done with all that was handed over, whatever became of it."""
        await self._lane.done(self._lane.count)

    async def drop(self) -> None:
        """Let go of what is gathered, until nothing is written any more. Never raises."""
        self._batch = []
        self._staging.gather(-self.held)
        self.held = 0
        await self.idle()

    def _follow(self, batch: Batch, size: int) -> Hash | None:
        """Take the digest further; returns the hash that its writer is to update."""
        if self.digest is None:
            return None
        hash_ = self.digest.at_once if size < BESIDE and not self._read else None
        self._is_along = hash_ is not None
        if hash_:
            self.digest = Digest(hash_)
        else:
            self.digest = self.digest.after(self._staging, batch, self._read)
            self._read = None
        return hash_

    def _start(self, run: Step) -> "Future[None]":
        return self._staging.start(run, bulk=self._is_bulk)

    def _do(self, step: Callable[[Handed], None], handed: Handed, held: int) -> None:
        try:
            if self._error is None:
                step(handed)
        except Exception as error:  # noqa: BLE001 - whoever waits is told
            self._error = error
        finally:
            self._staging.gather(-held)

    def _raise(self) -> None:
        if isinstance(self._error, OSError):
            raise volume_problem(self._error) from self._error
        if self._error:
            raise self._error
