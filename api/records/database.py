"""Connections and transactions, the same on SQLite and PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import BigInteger, Connection, ScalarSelect, event, make_url, select
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from api.errors import Problem
from api.records import quick

BUSY_SECONDS = 15
CONNECT_SECONDS = 10
STATEMENT_SECONDS = 20
"""PostgreSQL gets this long for one statement: one whose host is gone would never answer."""
IDLE_SECONDS = 60
"""PostgreSQL ends a transaction that is silent for so long: an api whose host is gone would hold a
form's lock for hours."""


class DatabaseUnavailable(Problem):
    """The database can't be reached. Nothing was committed."""

    def __init__(self) -> None:
        super().__init__("unavailable", headers={"Retry-After": "2"})


class CommitUnknown(Problem):
    """COMMIT was sent and its answer didn't come: it may have happened (protocol P5)."""

    def __init__(self) -> None:
        super().__init__("unavailable", headers={"Retry-After": "2"})


class now_ms(FunctionElement[int]):  # noqa: N801 - reads as the SQL function it is
    """The database's clock, in milliseconds since the epoch."""

    type = BigInteger()
    inherit_cache = True


@compiles(now_ms, "sqlite")
def _now_sqlite(*_: Any, **__: Any) -> str:
    return "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"


@compiles(now_ms, "postgresql")
def _now_postgresql(*_: Any, **__: Any) -> str:
    # clock_timestamp, not now: a transaction that waited for a lock must not see its start
    return "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"


def the_time() -> ScalarSelect[int]:
    """The same clock, read once a statement: what an index can be searched by.

    PostgreSQL would read `now_ms()` anew for every row, and so look at every row.
    """
    return select(now_ms()).scalar_subquery()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a committed transaction did to an upload or to a form: for logs and for who waits."""

    form_id: str
    upload_id: str | None = None
    field: str | None = None
    before: str | None = None
    after: str | None = None
    generation: int | None = None
    request_id: str | None = None
    size: int | None = None
    code: str | None = None
    """Of the error that a settled upload shows."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """A write under way; its changes are told to the listener once they are committed."""

    conn: AsyncConnection
    changes: list[Change] = field(default_factory=list)


class Database:
    """Opens short transactions: readers see what is committed, writers are serialised by row
    locks, on SQLite by `BEGIN IMMEDIATE`."""

    def __init__(
        self,
        url: str,
        on_commit: Callable[[list[Change]], None] | None = None,
        *,
        migrating: bool = False,
    ) -> None:
        self._on_commit = on_commit
        self.engine = _engine(url, _connect_args(url, None if migrating else STATEMENT_SECONDS))
        self.quick_engine = self.engine
        self._writers: AbstractAsyncContextManager[Any] = nullcontext()
        if self.engine.dialect.name == "sqlite":
            self.quick_engine = _engine(url, {"async_creator_fn": quick.connect})
            # Writers of one process queue fairly here; SQLite's own waiting is polling.
            self._writers = asyncio.Lock()

    async def close(self) -> None:
        await self.engine.dispose()
        await self.quick_engine.dispose()

    @asynccontextmanager
    async def read(self, *, few: bool = False) -> AsyncIterator[AsyncConnection]:
        """`few` is for those who ask for a few rows by their keys: see `api.records.quick`."""
        engine = self.quick_engine if few else self.engine
        try:
            async with engine.connect() as connection:
                yield connection
        except _MAY_BE_AWAY as error:
            if _is_away(error):
                raise DatabaseUnavailable from error
            raise

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Transaction]:
        """One transaction, committed at the end of the block.

        Raises `DatabaseUnavailable` when nothing was committed and `CommitUnknown` when nobody
        can know; a cancellation while the commit is under way leaves it unknown too.
        """
        async with self._writers:
            try:
                async with self.quick_engine.connect() as plain:
                    connection = await plain.execution_options(write=True)
                    begun = await connection.begin()
                    transaction = Transaction(connection)
                    yield transaction
                    try:
                        await begun.commit()
                    except (DBAPIError, OSError) as error:
                        raise CommitUnknown from error
            except _MAY_BE_AWAY as error:
                if _is_away(error):
                    raise DatabaseUnavailable from error
                raise
        if self._on_commit and transaction.changes:
            self._on_commit(transaction.changes)


def _engine(url: str, connect_args: dict[str, Any]) -> AsyncEngine:
    is_sqlite = url.startswith("sqlite")
    engine = create_async_engine(
        url,
        pool_size=8,
        pool_pre_ping=not is_sqlite,  # a file does not hang up
        connect_args=connect_args,
    )
    if is_sqlite:
        _prepare_sqlite(engine)
    return engine


_MAY_BE_AWAY = (DBAPIError, PoolTimeoutError, OSError)
_AWAY = ("08", "25", "28", "3D", "40", "53", "57")
"""PostgreSQL's classes of errors that are the moment's: lost or refused connections, a server that
starts, ends or is read-only after a failover, deadlocks, no resources."""


def _is_away(error: Exception) -> bool:
    """Whether it is the moment's, and not the same on every try. A connection lost within a
    statement comes as a plain `DBAPIError`."""
    if not isinstance(error, DBAPIError) or isinstance(error, (OperationalError, InterfaceError)):
        return True
    state = getattr(error.orig, "sqlstate", None) or ""
    return error.connection_invalidated or state.startswith(_AWAY)


def _connect_args(url: str, statement_seconds: float | None) -> dict[str, Any]:
    """On PostgreSQL a commit is on disk before it is answered, whatever the server's default, and
    neither side waits for the other for ever."""
    if make_url(url).get_backend_name() != "postgresql":
        return {}
    return {
        "timeout": CONNECT_SECONDS,
        "command_timeout": statement_seconds,
        "server_settings": {
            "synchronous_commit": "on",
            "idle_in_transaction_session_timeout": str(IDLE_SECONDS * 1000),
        },
    }


def _prepare_sqlite(engine: AsyncEngine) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def configure(connection: Any, _: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",  # an acknowledgement survives a power cut
            f"busy_timeout={BUSY_SECONDS * 1000}",
            "foreign_keys=ON",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        write = connection.get_execution_options().get("write", False)
        # A deferred writer that upgrades would meet SQLITE_BUSY at once, whatever the timeout.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
