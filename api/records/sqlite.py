"""Records in a SQLite file.

Statements take microseconds, and handing one to a thread and back takes a hundred times that. So
what reads a few rows, and what is carried out within a transaction, runs on the loop's own thread;
what may wait for the disk doesn't: a commit, and what looks at many rows.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import URL, Connection, Engine, QueuePool, create_engine, event
from sqlalchemy.exc import DBAPIError

from api.records.database import (
    CommitUnknown,
    Database,
    DatabaseUnavailable,
    Listener,
    T,
    Transaction,
    unavailable_if_away,
)
from api.records.groups import Groups, driver_of

BUSY_SECONDS = 15
"""So long another process may write before we give up."""


class SqliteDatabase(Database):
    """One file, one writer; see the module."""

    at_once = 32

    def __init__(self, url: URL, on_commit: Listener) -> None:
        self.url = url
        self.engine = _engine(url)
        self._groups = Groups(self.engine, on_commit, patience=BUSY_SECONDS)
        self._reader: Connection | None = None

    async def close(self) -> None:
        await self._groups.close()
        if self._reader:
            self._reader.close()
        self.engine.dispose()

    async def _read(self, body: Callable[[Connection], T]) -> T:
        with unavailable_if_away():
            if self._reader is None:
                self._reader = self.engine.connect()
            try:
                return _at_one_moment(self._reader, body)
            except (DBAPIError, sqlite3.Error):
                self._reader.invalidate()
                self._reader.close()
                self._reader = None  # the next one begins anew
                raise

    async def _scan(self, body: Callable[[Connection], T]) -> T:
        def scanned() -> T:
            with self.engine.connect() as conn:
                return _at_one_moment(conn, body)

        with unavailable_if_away():
            return await asyncio.to_thread(scanned)

    async def _write(self, body: Callable[[Transaction], T], *, durable: bool = True) -> T:
        return await self._groups.write(body, durable=durable)

    async def _write_each(
        self, bodies: Sequence[Callable[[Transaction], object]]
    ) -> list[Exception | None]:
        """The writer makes groups of them, and bounds for how long each holds up the loop."""
        done = await asyncio.gather(*map(self._tried, bodies))
        for error in done:
            if isinstance(error, DatabaseUnavailable | CommitUnknown):
                raise error
        return done

    async def _tried(self, body: Callable[[Transaction], object]) -> Exception | None:
        try:
            await self._write(body)
        except Exception as error:  # noqa: BLE001 - who hands in many is told of each
            return error
        return None


def _at_one_moment(conn: Connection, body: Callable[[Connection], T]) -> T:
    """Two statements see the same, whatever is committed between them."""
    driver = driver_of(conn)
    driver.execute("BEGIN")
    try:
        return body(conn)
    finally:
        if driver.in_transaction:  # after an error of the disk SQLite has ended it by itself
            driver.execute("ROLLBACK")


def _engine(url: URL) -> Engine:
    engine = create_engine(
        url.set(drivername="sqlite"),  # it may name the driver of an earlier version
        poolclass=QueuePool,
        pool_size=8,
        connect_args={"check_same_thread": False, "isolation_level": None, "timeout": BUSY_SECONDS},
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: object) -> None:
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",  # an acknowledgement survives a power cut
            "foreign_keys=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    return engine
