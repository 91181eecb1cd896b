"""Bytes of a body on their way to its file: a thread writes batches while the next is gathered, and
another one hashes them."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from api.staging.digest import Batch, Digest, Hash, Read
from api.staging.file_calls import begin_writeback, write_all
from api.staging.lane import Lane, Step
from api.staging.space import volume_problem

if TYPE_CHECKING:
    from api.staging.staging import Staging

BATCH = 1024 * 1024
SCARCE_BATCH = 128 * 1024
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
    """Of all up to its end, once it is written; None where nobody has what comes before."""
    hash: Hash | None
    """To be updated with it by who writes it, where no other thread does."""

    def write(self, fd: int) -> None:
        """Append it to a file, and have the disk begin with it if that is much; blocks. Raises
        `OSError`."""
        for data in self.batch:
            write_all(fd, data)
            if self.hash:
                self.hash.update(data)
        if self.size >= BESIDE:
            begin_writeback(fd, 0, 0)  # of all that isn't on its way yet


class _Last:
    """Does something when the last of `count` calls."""

    def __init__(self, count: int, act: Callable[[], object]) -> None:
        self._left = count
        self._act = act
        self._lock = threading.Lock()

    def __call__(self) -> None:
        with self._lock:
            self._left -= 1
            is_last = not self._left
        if is_last:
            self._act()


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
        done: Callable[[], object] = partial(self._staging.gather, -held)
        hash_ = self.digest.at_once if self.digest and not (self._is_bulk or self._read) else None
        self._is_along = hash_ is not None
        if hash_:
            self.digest = Digest(hash_)
        elif self.digest:
            done = _Last(2, done)
            self.digest = self.digest.after(self._staging, batch, self._read, done)
            self._read = None
        handed = Handed(batch, size, self.digest, hash_)
        self._lane.put(partial(self._do, step, handed, done))

    async def settle(self) -> None:
        """Until the thread is done. Raises `Problem` where it failed, then and ever after."""
        await self.idle()
        self._raise()

    async def idle(self) -> None:
        """Until the thread is done with all that was handed over, whatever became of it."""
        await self._lane.done(self._lane.count)

    async def drop(self) -> None:
        """Let go of what is gathered, until nothing is written any more. Raises nothing, but is
        cancelled where no thread will do what was handed over."""
        self._batch = []
        self._staging.gather(-self.held)
        self.held = 0
        await self.idle()

    def _start(self, run: Step) -> "Future[None]":
        return self._staging.start(run, bulk=self._is_bulk)

    def _do(
        self, step: Callable[[Handed], None], handed: Handed, done: Callable[[], object]
    ) -> None:
        try:
            if self._error is None:
                step(handed)
        except Exception as error:  # noqa: BLE001 - whoever waits is told
            self._error = error
        finally:
            done()

    def _raise(self) -> None:
        if isinstance(self._error, OSError):
            raise volume_problem(self._error) from self._error
        if self._error:
            raise self._error
