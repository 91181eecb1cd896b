"""Sees which forms change, here or elsewhere, for all who want to know.

A commit of this process is told at once. For commits of others, and for one whose outcome stayed
unknown, one small query a second compares the versions of all forms that anybody here watches. Who
watches is registered before it reads for the first time and says which version it read, so that no
change falls between its reading and its waiting.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import structlog

from api.records.database import DatabaseUnavailable
from api.texts.errors import Problem

log = structlog.get_logger()
T = TypeVar("T")

LOOK_SECONDS = 0.8
"""Pause between two looks: a change made by another replica is seen within a second."""
PATIENCE = 15.0
"""Seconds for that query, and for a read; then the database counts as away."""
READS_AT_ONCE = 4
"""Of those who watch, so that hundreds who begin, or are woken, leave connections to the others."""
_NEVER = -1
"""Not the version of any form."""

Versions = Callable[[Sequence[str]], Awaitable[dict[str, int]]]
"""The versions of those of the forms that there are."""


@dataclass(eq=False, slots=True)
class Watch:
    """One who wants to know of changes of a form; `wake` is called at each, and must be quick."""

    form_id: str
    wake: Callable[[], None]
    read_version: int | None = None
    """Of the form, when it was last read; None while it is being read."""


class Lookout:
    """Who watches which form, in this process."""

    def __init__(self, versions: Versions) -> None:
        self._versions = versions
        self._of_form: defaultdict[str, set[Watch]] = defaultdict(set)
        self._reading = asyncio.Semaphore(READS_AT_ONCE)
        self._looking: asyncio.Task[None] | None = None
        self._last_look = 0.0
        """When the last query that succeeded began, by the loop's clock."""

    def watch(self, form_id: str, wake: Callable[[], None]) -> Watch:
        """Have `wake` called at each change of the form from now on, until `unwatch`."""
        watch = Watch(form_id, wake)
        self._of_form[form_id].add(watch)
        if self._looking is None or self._looking.done():
            self._last_look = asyncio.get_running_loop().time()
            self._looking = asyncio.create_task(self._look())
        return watch

    def unwatch(self, watch: Watch) -> None:
        """Let a watch go; the last one of a form ends the looking for it."""
        of_form = self._of_form[watch.form_id]
        of_form.discard(watch)
        if not of_form:
            del self._of_form[watch.form_id]

    def changed(self, form_id: str) -> None:
        """A change of this form was committed here."""
        for watch in self._of_form.get(form_id, ()):
            watch.wake()

    def close(self) -> None:
        """Look no more; who watches is not told."""
        if self._looking:
            self._looking.cancel()

    async def read(self, watch: Watch, read: Callable[[], Awaitable[tuple[T, int]]]) -> T:
        """What `read` says of the watched form, once there is room to read.

        `read` also says the form's version, one that is no newer than the rest of what it read.
        Raises what `read` raises, and `DatabaseUnavailable` in place of waiting for a database that
        says nothing; after either the next look that succeeds wakes the watch.
        """
        version, watch.read_version = _NEVER, None
        try:
            async with asyncio.timeout(PATIENCE), self._reading:
                value, version = await read()
        except TimeoutError as error:
            raise DatabaseUnavailable from error
        finally:
            watch.read_version = version
        return value

    def sees(self) -> bool:
        """Whether a change by anybody would have been seen; not while the database is away."""
        return asyncio.get_running_loop().time() - self._last_look < 3 * LOOK_SECONDS

    async def _look(self) -> None:
        """While anybody watches: see what others committed."""
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
            for watch in self._of_form.get(form_id, ()):
                if watch.read_version is not None and watch.read_version != version:
                    watch.wake()
