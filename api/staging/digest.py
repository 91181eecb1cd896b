"""SHA-256 of what goes to the volume, in a thread beside the one that writes it.

It may be behind: an offset is acknowledged once its bytes are durable, and the digest is asked for
when the upload is whole.
"""

import hashlib
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol

import structlog

from api.staging.lane import Lane

if TYPE_CHECKING:
    from api.staging.staging import Staging

log = structlog.get_logger()

Batch = list[bytes | memoryview]
Read = Callable[["Hash"], None]
"""Hashes what lies on the volume; blocks."""


class Hash(Protocol):
    """A running SHA-256."""

    def update(self, data: bytes | memoryview, /) -> None: ...
    def copy(self) -> "Hash": ...
    def hexdigest(self) -> str: ...


class Digest:
    """Of the first bytes of a file: what follows has a digest of its own.

    One that is hashed along, by who writes the bytes, may be asked once they are written.
    """

    def __init__(self, known: Hash | None, lane: Lane | None = None) -> None:
        """What is known already, or hashed along; else it is the next step of the lane."""
        self._known = known
        self._lane = lane
        self._number = lane.count + 1 if lane else 0

    @property
    def at_once(self) -> Hash | None:
        """A copy of the hash; None where it isn't known yet."""
        return self._known.copy() if self._known else None

    async def value(self) -> Hash | None:
        """A copy of the hash, once it is there; None where something couldn't be read for it."""
        await self.near(0)
        return self.at_once

    async def near(self, batches: int) -> None:
        """Until it is behind by so many batches at most."""
        if self._lane:
            await self._lane.done(self._number - batches)

    def after(
        self,
        staging: "Staging",
        batch: Batch,
        read: Read | None = None,
        done: Callable[[], object] = lambda: None,
    ) -> "Digest":
        """That of these bytes and a batch behind them. `read` comes first, for what is between
        them; `done` is called in a thread when the batch isn't needed any more."""
        lane = self._lane or Lane(partial(staging.start, bulk=True))
        new = Digest(None, lane)
        lane.put(partial(new.follow, self, batch, read, done))
        return new

    def follow(
        self, before: "Digest", batch: Batch, read: Read | None, done: Callable[[], object]
    ) -> None:
        """The step of `after`, once that of `before` is done; blocks."""
        try:
            hash_ = before.at_once
            if hash_:
                if read:
                    read(hash_)
                for data in batch:
                    hash_.update(data)
            self._known = hash_
        except Exception as error:  # noqa: BLE001 - who asks for it finds none, and goes on from there
            log.warning("digest_failed", error=repr(error))
        finally:
            done()


def of_nothing() -> Digest:
    """The one that all begin with."""
    return Digest(hashlib.sha256())
