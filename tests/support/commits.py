"""Commits that fail, are lost, or wait: on either database, at the moment of COMMIT."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from sqlalchemy.ext.asyncio import AsyncTransaction

from api.records.groups import Groups, driver_of

FAULTS = (
    "is lost",
    "is answered too late",
    "is preceded by a kill",
    "is followed by a kill",
)
Step = Callable[[], Awaitable[None]]


@contextmanager
def commits_that(fault: str | None) -> Iterator[list[str]]:
    """The first commit meets the fault; what is yielded is not empty once it did. A kill is a
    cancellation: nothing after it is carried out but the end of the connection."""
    fired: list[str] = []

    async def faulty(commit: Step, roll_back: Step) -> None:
        if fault is None or fired:
            return await commit()
        fired.append(fault)
        await (
            commit if fault in ("is answered too late", "is followed by a kill") else roll_back
        )()
        if fault in ("is lost", "is answered too late"):
            raise ConnectionResetError
        raise asyncio.CancelledError

    with _committing(faulty):
        yield fired


@contextmanager
def held_before_the_commit() -> Iterator[tuple[asyncio.Event, asyncio.Event]]:
    """The first commit waits for the second event; the first one says that it does."""
    held, go_on = asyncio.Event(), asyncio.Event()

    async def late(commit: Step, _: Step) -> None:
        if not held.is_set():
            held.set()
            await go_on.wait()
        await commit()

    with _committing(late):
        yield held, go_on


@contextmanager
def _committing(instead: Callable[[Step, Step], Awaitable[None]]) -> Iterator[None]:
    of_server, of_group = AsyncTransaction.commit, Groups._commit

    async def on_server(self: AsyncTransaction) -> None:
        await instead(lambda: of_server(self), self.rollback)

    async def on_file(self: Groups, conn: Any, *, changing: bool) -> None:
        async def roll_back() -> None:
            driver_of(conn).execute("ROLLBACK")

        await instead(lambda: of_group(self, conn, changing=changing), roll_back)

    with ExitStack() as patches:
        patches.enter_context(patch.object(AsyncTransaction, "commit", on_server))
        patches.enter_context(patch.object(Groups, "_commit", on_file))
        yield
