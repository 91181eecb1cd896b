"""Short reads and transactions, the same on SQLite and PostgreSQL.

What happens in one is a plain function over a connection: nothing in it can wait for a file, for
Redis, for the bucket or for a request.
"""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, TypeVar

import structlog
from sqlalchemy import URL, BigInteger, Connection, Engine, ScalarSelect, select
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from api.texts.errors import Problem

log = structlog.get_logger()
P = ParamSpec("P")
T = TypeVar("T")
Item = TypeVar("Item")


class DatabaseUnavailable(Problem):
    """The database can't be reached. Nothing was committed."""

    def __init__(self) -> None:
        super().__init__("unavailable", retry_after=2)


class CommitUnknown(Problem):
    """COMMIT was sent and its answer didn't come: it may have happened (protocol P5)."""

    def __init__(self) -> None:
        super().__init__("unavailable", retry_after=2)


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


@dataclass(frozen=True, slots=True)
class Moment:
    """A time by the database's clock: so many milliseconds after the statement."""

    after_ms: int = 0


NOW = Moment()


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

    conn: Connection
    changes: list[Change] = field(default_factory=list)


Listener = Callable[[list[Change]], None]


def harmless(listener: Listener) -> Listener:
    """What the listener raises is logged: it can't take back what is committed, and whoever
    committed it is to be told that it was."""

    def tell(changes: list[Change]) -> None:
        try:
            listener(changes)
        except Exception:
            log.exception("commit_listener_failed")

    return tell


class Database(ABC):
    """Where the records are. Readers see what is committed; writers are serialised by row locks,
    on SQLite by being the only one.

    Each method carries out `body`, a function over a connection, with the arguments that follow it.
    They raise what it raises, and `DatabaseUnavailable` when the database can't be reached.
    """

    url: URL
    engine: Engine
    """For who listens to its events."""
    at_once: int
    """How many items `write_each` is to be handed at most: whoever else writes has their turn
    behind them."""

    @property
    def is_sqlite(self) -> bool:
        """Whether they are in a SQLite file."""
        return self.url.get_backend_name() == "sqlite"

    async def read(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """What `body` finds by keys: a few rows, all of one moment on SQLite.

        form = await database.read(forms.get, form_id)
        """
        return await self._read(lambda conn: body(conn, *args, **kwargs))

    async def scan(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """The same for what may look at many rows, and holds nobody up meanwhile."""
        return await self._scan(lambda conn: body(conn, *args, **kwargs))

    async def write(
        self, body: Callable[Concatenate[Transaction, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Carry `body` out as one transaction, and return what it returns once that is committed.

        Nothing is committed when it raises. Raises `DatabaseUnavailable` when nothing was committed
        and `CommitUnknown` when nobody can know. Who is cancelled before it is carried out leaves
        no trace; after that it is unknown too.
        """
        return await self._write(lambda tx: body(tx, *args, **kwargs))

    async def note(
        self, body: Callable[Concatenate[Transaction, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """As `write` does, what nobody was promised: it needn't be on disk, so a power cut may take
        it back. Whatever is written after it carries it along.

        await database.note(keys.mark, form_id, field, key, holder)
        """
        return await self._write(lambda tx: body(tx, *args, **kwargs), durable=False)

    async def write_by_one_statement(
        self, body: Callable[Concatenate[Transaction, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T | None:
        """The same for a `body` of one statement, where that saves the round trips of a
        transaction; None, and nothing done, where it doesn't.

        Once the statement was sent nobody can know whether it was carried out: `CommitUnknown`.
        """
        return await self._write_by_one_statement(lambda tx: body(tx, *args, **kwargs))

    async def _write_by_one_statement(self, body: Callable[[Transaction], T]) -> T | None:  # noqa: ARG002 - what others do with it
        return None

    async def write_each(
        self, body: Callable[[Transaction, Item], object], items: Sequence[Item]
    ) -> list[Exception | None]:
        """Carry `body` out for each of the items, committed together, and return what it raised for
        each: one for which it raises is left as it was, and so harms no other.

        errors = await database.write_each(forms.erase, form_ids)

        Where `body` locks forms, the items are in the order of these forms: two that do the same
        must not wait for each other. Raises as `write` does when the database goes away meanwhile;
        some may be committed then.
        """

        def of(item: Item) -> Callable[[Transaction], object]:
            return lambda tx: body(tx, item)

        return await self._write_each([of(item) for item in items])

    @abstractmethod
    async def _read(self, body: Callable[[Connection], T]) -> T: ...

    @abstractmethod
    async def _scan(self, body: Callable[[Connection], T]) -> T: ...

    @abstractmethod
    async def _write(self, body: Callable[[Transaction], T], *, durable: bool = True) -> T: ...

    @abstractmethod
    async def _write_each(
        self, bodies: Sequence[Callable[[Transaction], object]]
    ) -> list[Exception | None]: ...

    @abstractmethod
    async def close(self) -> None: ...


_SURELY_AWAY = (
    OperationalError, InterfaceError, PoolTimeoutError, OSError, sqlite3.OperationalError,
)  # fmt: skip # one list
_AWAY = ("08", "25", "28", "3D", "40", "53", "57")
"""PostgreSQL's classes of errors that are the moment's: lost or refused connections, a server that
starts, ends or is read-only after a failover, deadlocks, no resources."""


@contextmanager
def unavailable_if_away() -> Iterator[None]:
    """Raise `DatabaseUnavailable` in place of an error that says so in the driver's own way."""
    try:
        yield
    except Exception as error:
        if is_away(error):
            raise DatabaseUnavailable from error
        raise


def is_away(error: Exception) -> bool:
    """Whether the database can't be used at the moment, and the same may succeed later.

    A connection lost within a statement comes as a plain `DBAPIError`; a BEGIN that goes past
    SQLAlchemy fails with SQLite's own error.
    """
    if isinstance(error, _SURELY_AWAY):
        return True
    if not isinstance(error, DBAPIError):
        return False
    state = getattr(error.orig, "sqlstate", None) or ""
    return error.connection_invalidated or state.startswith(_AWAY)


def clock(conn: Connection) -> int:
    """The database's time, in milliseconds."""
    return int(conn.execute(select(now_ms())).scalar_one())
