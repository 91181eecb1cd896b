"""Requests that wait for a form to change, and cost next to nothing while they do.

A commit of this process wakes those who wait for its form. For commits of others, and for one whose
outcome stayed unknown, one small query a second compares the versions of all forms that anybody
here waits for. A waiter is registered before it reads for the first time and says which version it
read, so that no change falls between its reading and its waiting.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from api.errors import Problem
from api.receive.body import ClientGone
from api.records.database import DatabaseUnavailable

log = structlog.get_logger()
T = TypeVar("T")

LOOK_SECONDS = 1.0
"""A change made by another replica is seen this late at most."""
PATIENCE = 15.0
"""Seconds for that query, and for a read; then the database counts as away."""
READS_AT_ONCE = 4
"""Of those who wait, so that hundreds who begin, or are woken, leave connections to the others."""

Versions = Callable[[Sequence[str]], Awaitable[dict[str, int]]]
"""The versions of those of the forms that there are."""


@dataclass(eq=False, slots=True)
class _Waiter:
    form_id: str
    client: str
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    changed: bool = False
    read_version: int | None = None
    """Of the form, when it was last read; None while it is being read."""

    def wake(self) -> None:
        self.changed = True
        self.woken.set()


class Waiters:
    """`in_all` and `per_client` bound how many wait at a time; 0 is no limit."""

    def __init__(self, versions: Versions, *, in_all: int = 0, per_client: int = 0) -> None:
        self._versions = versions
        self._in_all = in_all
        self._per_client = per_client
        self._of_form: defaultdict[str, set[_Waiter]] = defaultdict(set)
        self._of_client: Counter[str] = Counter()
        self._reading = asyncio.Semaphore(READS_AT_ONCE)
        self._looking: asyncio.Task[None] | None = None
        self._last_look = 0.0
        """When the last query that succeeded began, by the loop's clock."""
        self._closed = False

    def __len__(self) -> int:
        return self._of_client.total()

    def changed(self, form_id: str) -> None:
        """A change of this form was committed here."""
        for waiter in self._of_form.get(form_id, ()):
            waiter.wake()

    def close(self) -> None:
        """Have all answered as though their time were over, and nobody wait any more."""
        self._closed = True
        for waiters in self._of_form.values():
            for waiter in waiters:
                waiter.woken.set()
        if self._looking:
            self._looking.cancel()

    async def wait_until(
        self,
        form_id: str,
        read: Callable[[], Awaitable[tuple[T, int]]],
        done: Callable[[T], bool],
        seconds: float,
        *,
        client: str = "",
        left: Callable[[], Awaitable[None]] | None = None,
    ) -> T:
        """What `read` says once `done` holds for it, or after `seconds`.

        `read` also says the form's version, one that is no newer than the rest of what it read.
        Where too many wait already it is read once, as though the time were over. `left` ends when
        the `client` has gone; then `ClientGone` is raised. Raises what `read` raises.
        """
        if seconds <= 0 or self._closed or self._is_full(client):
            return (await read())[0]
        waiter = _Waiter(form_id, client)
        self._enter(waiter)
        try:
            return await self._wait(waiter, read, done, seconds, left)
        finally:
            self._leave(waiter)

    async def _wait(
        self,
        waiter: _Waiter,
        read: Callable[[], Awaitable[tuple[T, int]]],
        done: Callable[[T], bool],
        seconds: float,
        left: Callable[[], Awaitable[None]] | None,
    ) -> T:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        value = await self._read(waiter, read)
        if done(value):
            return value
        timer = loop.call_at(end, waiter.woken.set)
        leaving = asyncio.ensure_future(left()) if left else None
        if leaving:
            leaving.add_done_callback(lambda _: waiter.woken.set())
        try:
            while loop.time() < end and not self._closed:
                if not (leaving and leaving.done()):  # it may have left while it read
                    await waiter.woken.wait()
                if leaving and leaving.done():
                    raise ClientGone
                if not waiter.changed and self._sees(loop.time()):
                    break
                value = await self._read(waiter, read)
                if done(value):
                    break
            return value
        finally:
            timer.cancel()
            if leaving:
                leaving.cancel()

    async def _read(self, waiter: _Waiter, read: Callable[[], Awaitable[tuple[T, int]]]) -> T:
        """Raises `DatabaseUnavailable` in place of waiting for one that says nothing."""
        waiter.read_version = None
        try:
            async with asyncio.timeout(PATIENCE), self._reading:
                waiter.woken.clear()
                waiter.changed = False
                value, waiter.read_version = await read()
        except TimeoutError as error:
            raise DatabaseUnavailable from error
        return value

    def _sees(self, now: float) -> bool:
        """Whether a change by anybody would have been seen; not while the database is away."""
        return now - self._last_look < 3 * LOOK_SECONDS

    def _is_full(self, client: str) -> bool:
        return bool(
            (self._in_all and len(self) >= self._in_all)
            or (self._per_client and self._of_client[client] >= self._per_client)
        )

    def _enter(self, waiter: _Waiter) -> None:
        self._of_form[waiter.form_id].add(waiter)
        self._of_client[waiter.client] += 1
        if self._looking is None or self._looking.done():
            self._last_look = asyncio.get_running_loop().time()
            self._looking = asyncio.create_task(self._look())

    def _leave(self, waiter: _Waiter) -> None:
        of_form = self._of_form[waiter.form_id]
        of_form.discard(waiter)
        if not of_form:
            del self._of_form[waiter.form_id]
        self._of_client[waiter.client] -= 1
        if not self._of_client[waiter.client]:
            del self._of_client[waiter.client]

    async def _look(self) -> None:
        """While anybody waits: see what others committed."""
        loop = asyncio.get_running_loop()
        while self._of_form:
            await asyncio.sleep(LOOK_SECONDS)
            asked, began = list(self._of_form), loop.time()
            if not asked:
                return
            try:
                async with asyncio.timeout(PATIENCE):
                    found = await self._versions(asked)
            except (Problem, TimeoutError):
                continue  # who waits finds out when its time is over
            except Exception:
                log.exception("looking_for_changes_failed")
                continue
            self._last_look = began
            self._compare(asked, found)

    def _compare(self, asked: list[str], found: dict[str, int]) -> None:
        for form_id in asked:
            version = found.get(form_id, 0)  # 0: purged meanwhile, as whoever reads it will find
            for waiter in self._of_form.get(form_id, ()):
                if waiter.read_version is not None and waiter.read_version != version:
                    waiter.wake()
