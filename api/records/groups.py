"""Group commit on SQLite: what waits to be written is carried out together and committed once.

A commit costs an fsync, whatever it holds. While one is under way, further writes gather and are
the next group, in the order in which they came. Each is carried out under a savepoint of its own,
so that one that fails harms no other, and nobody is answered before the commit of the group.
"""

import asyncio
import contextlib
import contextvars
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import structlog
from sqlalchemy import Connection, Engine

from api.records.database import (
    Change,
    CommitUnknown,
    DatabaseUnavailable,
    Listener,
    T,
    Transaction,
    is_away,
)
from shared.crash_points import reached

log = structlog.get_logger()

MOST = 64
"""Writes in one group."""
LONGEST_SECONDS = 0.02
"""After which a group takes no further write: they are carried out on the loop's thread."""
FIRST_PAUSE, LAST_PAUSE = 0.001, 0.05
"""Seconds between two looks whether another process has freed the database."""


@dataclass(slots=True, eq=False)
class _Write:
    body: Callable[[Transaction], Any]
    answer: asyncio.Future[Any]
    context: contextvars.Context
    durable: bool
    """Whether it has to be on disk before it is answered."""
    changes: list[Change] = field(default_factory=list)
    result: Any = None
    error: Exception | None = None


class Groups:
    """The writer of this process: one connection, one group under way."""

    def __init__(self, engine: Engine, on_commit: Listener, *, patience: float) -> None:
        """`patience` is for how many seconds to wait while another process writes."""
        self._engine = engine
        self._on_commit = on_commit
        self._patience = patience
        self._waiting: deque[_Write] = deque()
        self._working: asyncio.Task[None] | None = None
        self._conn: Connection | None = None
        self._synchronous = ""
        """What the connection was told of commits."""
        self._durable = True
        """Whether the group under way is: nothing durable is taken into one that isn't."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="commit")

    async def close(self) -> None:
        """Let what waits be written, and then the connection go."""
        while self._working and not self._working.done():
            await asyncio.wait([self._working])
        self._thread.shutdown()
        self._disconnect()

    async def write(self, body: Callable[[Transaction], T], *, durable: bool) -> T:
        """See `Database.write`, and `Database.note` for what isn't `durable`."""
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Write(body, answer, contextvars.copy_context(), durable))
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work(), context=contextvars.Context())
        return await answer

    async def _work(self) -> None:
        while self._waiting:
            try:
                conn = await self._begin()
            except Exception as error:  # noqa: BLE001 - whoever waits is told
                self._disconnect()
                for each in self._in_turn():
                    _answer(each, _as_told(error))
            else:
                await self._commit_group(conn)

    async def _begin(self) -> Connection:
        """Become the one that writes. Another process is waited for by looking again, not in a
        thread: it may take as long as patience lasts."""
        loop = asyncio.get_running_loop()
        if self._conn is None:
            self._conn = await loop.run_in_executor(self._thread, self._engine.connect)
            driver_of(self._conn).execute("PRAGMA busy_timeout=0")
            self._synchronous = ""
        until, pause = loop.time() + self._patience, FIRST_PAUSE
        while True:
            self._durable = any(each.durable for each in self._waiting)
            self._synchronise("FULL" if self._durable else "NORMAL")
            try:
                driver_of(self._conn).execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if not _is(error, sqlite3.SQLITE_BUSY) or loop.time() > until:
                    raise
            else:
                return self._conn
            await asyncio.sleep(pause)
            pause = min(2 * pause, LAST_PAUSE)

    def _synchronise(self, how: str) -> None:
        """Have commits be on disk (FULL), or not each of them (NORMAL)."""
        if self._conn and how != self._synchronous:
            driver_of(self._conn).execute(f"PRAGMA synchronous={how}")
            self._synchronous = how

    async def _commit_group(self, conn: Connection) -> None:
        group: list[_Write] = []
        is_sent = False
        try:
            self._carry_out(conn, group)
            if all(each.error for each in group):
                driver_of(conn).execute("ROLLBACK")
            else:
                is_sent = True
                await self._commit(conn, changing=any(each.changes for each in group))
        except Exception as error:  # noqa: BLE001 - whatever it is, each is told
            # A disk without room is an answer: it hadn't taken the whole of what makes a commit.
            is_unknown = is_sent and not _is(error, sqlite3.SQLITE_FULL)
            log.warning("commit_unknown" if is_unknown else "group_lost", error=repr(error))
            self._disconnect()
            for each in group:  # what had failed before is certainly not committed
                is_its = is_unknown and not each.error
                _answer(each, CommitUnknown() if is_its else DatabaseUnavailable())
        except BaseException:
            self._disconnect()
            for each in group:
                each.answer.cancel()
            raise
        else:
            self._answer_all(group)

    def _answer_all(self, group: list[_Write]) -> None:
        for each in group:
            if each.error is None and each.changes:
                self._on_commit(each.changes)
            _answer(each, each.error)

    def _carry_out(self, conn: Connection, group: list[_Write]) -> None:
        """Carry out what waits, in its turn, and note it in `group`. Whatever it raises, none
        of the group is committed."""
        driver = driver_of(conn)
        until = time.monotonic() + LONGEST_SECONDS
        for each in self._in_turn():
            if each.durable and not self._durable:
                self._waiting.appendleft(each)
                return
            group.append(each)
            driver.execute("SAVEPOINT one")
            try:
                each.result = each.context.run(each.body, Transaction(conn, each.changes))
            except Exception as error:
                if not driver.in_transaction:
                    raise  # SQLite has rolled back all of it: its disk is full, or fails
                driver.execute("ROLLBACK TO one")
                each.error = _as_told(error)
            driver.execute("RELEASE one")
            if len(group) == MOST or time.monotonic() >= until:
                return

    def _in_turn(self) -> Iterator[_Write]:
        """What waits, taken off as it is asked for; who was cancelled before leaves no trace."""
        while self._waiting:
            write = self._waiting.popleft()
            if not write.answer.done():
                yield write

    async def _commit(self, conn: Connection, *, changing: bool) -> None:
        """`changing` an upload or a form, and not only what we note of workers and the like."""
        if changing:
            reached("api-before-group-commit")
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, driver_of(conn).execute, "COMMIT")
        if changing:
            reached("api-after-group-commit")

    def _disconnect(self) -> None:
        """What was begun on the connection is rolled back with it."""
        if self._conn:
            with contextlib.suppress(sqlite3.Error):
                # Closed, it keeps its lock for as long as anybody holds one of its cursors.
                driver_of(self._conn).rollback()
            self._conn.invalidate()
            self._conn.close()
            self._conn = None


def driver_of(conn: Connection) -> sqlite3.Connection:
    """The driver's own connection: we say BEGIN and COMMIT ourselves, SQLAlchemy says neither."""
    driver = conn.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)  # noqa: S101 - for the type checker
    return driver


def _is(error: Exception, code: int) -> bool:
    """Whether it is SQLite's error of this primary code."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF == code


def _as_told(error: Exception) -> Exception:
    """What the caller is told of an error before the commit."""
    if not is_away(error):
        return error
    told = DatabaseUnavailable()
    told.__cause__ = error
    return told


def _answer(write: _Write, error: Exception | None) -> None:
    if write.answer.done():  # it was cancelled
        return
    if error is None:
        write.answer.set_result(write.result)
    else:
        write.answer.set_exception(error)
