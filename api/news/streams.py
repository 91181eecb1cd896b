"""Streams: requests that stay open and are told each change of a form.

All who follow a form share one feed: a changed form is read once, and each event is written once,
however many follow. Of a client that is slow to take its events nothing is kept but how far it
came: what it is told next is how things stand by then.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog

from api.news.event_format import HEARTBEAT, end
from api.news.lookout import Lookout
from api.news.shares import Shares
from api.texts.errors import Problem

log = structlog.get_logger()

HEARTBEAT_SECONDS = 15.0
"""Of silence; proxies tend to cut what is silent for a minute."""
MAX_SECONDS = 3600.0
"""A stream ends between half of this and all of it, and its client comes back: none is held for
ever, and those that began together don't end together."""
BYTES_AT_ONCE = 64 * 1024
"""And one event more, that are handed out before the client has taken any."""
RETRY_AFTER = 5
"""Seconds, for a client that can't have a stream now."""
PURGED, SETTLED = "purged", "settled"
"""Why a stream ended for good: the form is gone, or nothing more will change."""


@dataclass(frozen=True, slots=True)
class Part:
    """An upload of a form, as events tell it."""

    version: int
    """The form's, when this upload last changed."""
    hidden: bool
    """It is there no more: told only to a client that may know of it."""
    text: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How a form stands."""

    version: int
    parts: Sequence[Part]
    """As they were at `version`, or newer."""
    form: Hashable
    """What is told of the form itself; clients get `form_text` whenever it differs."""
    form_text: Callable[[int], bytes]
    """With the version that the client has come to."""
    settled: bool
    """Nothing will change any more that a client waits for."""


Read = Callable[[], Awaitable[Snapshot]]


@dataclass(frozen=True, slots=True)
class _News:
    """What at least one of those who follow doesn't know yet."""

    version: int
    parts: Sequence[tuple[int, bool, bytes]]
    """Version, hidden, text: oldest first."""
    form: Hashable
    form_text: bytes
    settled: bool


@dataclass(eq=False, slots=True)
class Stream:
    """What one client is told."""

    known: int
    """The version until which the client knows everything."""
    fresh: bool
    """It knows nothing that it could have to forget."""
    time: asyncio.Timeout
    """Within which everything for this stream is done, sending too."""
    begun: bool = False
    nothing_more: bool = False
    """The client knew the end already when it came."""
    ended: bool = False
    _form: Hashable = None
    _news: _News | None = None
    _problem: Problem | None = None
    _all_told: bool = False
    _woken: asyncio.Event = field(default_factory=asyncio.Event)

    async def begin(self) -> None:
        """Wait for the first reading. Raises `Problem` where there was none."""
        await self._woken.wait()
        if self._problem:
            raise self._problem
        self.begun = True
        news = self._news
        self.nothing_more = bool(news and news.settled and news.version == self.known)

    async def next(self) -> bytes | None:
        """What to send next, after `HEARTBEAT_SECONDS` at the latest; None when all is told."""
        while not self._all_told:
            try:
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    await self._woken.wait()
            except TimeoutError:
                return HEARTBEAT
            self._woken.clear()
            text = self._told()
            if text:
                return text
        return None

    def end(self) -> None:
        """Its time is over, whatever it is doing."""
        if not self.ended:
            self.ended = True
            self.time.reschedule(asyncio.get_running_loop().time())

    def tell(self, news: _News) -> None:
        """Send this reading of the form next, unless it is what the stream has told already. Of
        several that come before the client takes one, only the last is sent."""
        if not (self.begun and self.known == news.version and self._form == news.form):
            self._news = news
            self._woken.set()

    def fail(self, problem: Problem) -> None:
        """The form couldn't be read. Who follows already needn't hear of what will pass."""
        if not (self.begun and problem.retryable):
            self._problem = problem
            self._woken.set()

    def _told(self) -> bytes:
        if self._problem:
            self._all_told = True
            return end(PURGED) if self._problem.code == "not-found" else b""
        news = self._news
        if news is None:
            return b""
        told: list[bytes] = []
        for version, hidden, text in news.parts:
            if sum(map(len, told)) > BYTES_AT_ONCE:
                self._woken.set()  # the rest, or what is newer, once the client took this
                return b"".join(told)
            if version > self.known and not (hidden and self.fresh):
                told.append(text)
                self.known = version
        self._news = None
        if self._form != news.form:
            told.append(news.form_text)  # last: who has it knows the rest
        if news.settled:
            self._all_told = True
            told.append(end(SETTLED))
        self.known, self.fresh, self._form = news.version, False, news.form
        return b"".join(told)


class _Feed:
    """Reads one form for all who follow it, once for each time that it changed."""

    def __init__(self, lookout: Lookout, form_id: str, read: Read) -> None:
        self.streams: set[Stream] = set()
        self._lookout = lookout
        self._watch = lookout.watch(form_id, self.changed)
        self._read = read
        self._stale = False
        self._reading: asyncio.Task[None] | None = None

    def changed(self) -> None:
        self._stale = True
        if self._reading is None:
            self._reading = asyncio.create_task(self._read_on())

    def close(self) -> None:
        self._lookout.unwatch(self._watch)
        if self._reading:
            self._reading.cancel()

    async def _read_on(self) -> None:
        while self._stale:
            try:
                self._tell(await self._lookout.read(self._watch, self._fresh))
            except Problem as problem:
                self._fail(problem)
            except Exception:
                log.exception("following_failed", form_id=self._watch.form_id)
                self._fail(Problem("internal-error"))
        self._reading = None

    async def _fresh(self) -> tuple[Snapshot, int]:
        self._stale = False
        snapshot = await self._read()
        return snapshot, snapshot.version

    def _fail(self, problem: Problem) -> None:
        self._stale = False  # the next look that succeeds comes back to it
        for stream in self.streams:
            stream.fail(problem)

    def _tell(self, snapshot: Snapshot) -> None:
        for stream in self.streams:
            if not stream.begun and stream.known > snapshot.version:
                stream.known = 0  # of another time, before a database was restored
        since = min((stream.known for stream in self.streams), default=0)
        unknown = [each for each in snapshot.parts if each.version > since]
        # An upload was read after its form, and may have changed in between.
        version = max([snapshot.version, *(each.version for each in unknown)])
        news = _News(
            version,
            sorted((each.version, each.hidden, each.text()) for each in unknown),
            snapshot.form,
            snapshot.form_text(version),
            snapshot.settled,
        )
        for stream in self.streams:
            stream.tell(news)


class Streams:
    """`shares` bound how many are open at a time, `per_form` those of one form; 0 is no limit."""

    def __init__(
        self, lookout: Lookout, shares: Shares | None = None, *, per_form: int = 0
    ) -> None:
        self._lookout = lookout
        self._shares = shares or Shares()
        self._per_form = per_form
        self._of_form: defaultdict[str, dict[str, _Feed]] = defaultdict(dict)
        self._closed = False

    def __len__(self) -> int:
        return sum(len(each.streams) for feeds in self._of_form.values() for each in feeds.values())

    def close(self) -> None:
        """End all, and begin no more: their clients come back, to another process."""
        self._closed = True
        for feeds in self._of_form.values():
            for feed in feeds.values():
                for stream in feed.streams:
                    stream.end()

    @asynccontextmanager
    async def open(
        self, form_id: str, view: str, read: Read, *, known: int | None, client: str
    ) -> AsyncIterator[Stream]:
        """A stream for a client that knows all until this version of the form; None, if nothing.

        `read` is the same for all with the same `form_id` and `view`. When the stream's time is
        over the body of the `async with` is cancelled, and left without an exception. Raises
        `Problem` too-many-requests, unavailable, and what `read` raises.
        """
        self._admit(form_id, client)
        seconds = random.uniform(MAX_SECONDS / 2, MAX_SECONDS)  # noqa: S311 - spread, not secret
        stream = Stream(known or 0, known is None, asyncio.timeout(seconds))
        feed = self._join(stream, form_id, view, read)
        self._shares.enter(client)
        try:
            async with stream.time:
                await stream.begin()
                yield stream
        except TimeoutError:
            if not stream.time.expired():
                raise
            if not stream.begun:
                raise _not_now() from None
        finally:
            stream.ended = True
            self._shares.leave(client)
            self._leave(stream, feed, form_id, view)

    def _admit(self, form_id: str, client: str) -> None:
        if self._closed or self._shares.all_taken():
            raise _not_now()
        of_form = sum(len(feed.streams) for feed in self._of_form.get(form_id, {}).values())
        if self._shares.has_its_share(client) or (self._per_form and of_form >= self._per_form):
            raise Problem("too-many-requests", retry_after=RETRY_AFTER)

    def _join(self, stream: Stream, form_id: str, view: str, read: Read) -> _Feed:
        feeds = self._of_form[form_id]
        if view not in feeds:
            feeds[view] = _Feed(self._lookout, form_id, read)
        feed = feeds[view]
        feed.streams.add(stream)
        feed.changed()  # to this one everything is new
        return feed

    def _leave(self, stream: Stream, feed: _Feed, form_id: str, view: str) -> None:
        feed.streams.discard(stream)
        if not feed.streams:
            feed.close()
            del self._of_form[form_id][view]
            if not self._of_form[form_id]:
                del self._of_form[form_id]


def _not_now() -> Problem:
    return Problem("unavailable", retry_after=RETRY_AFTER)
