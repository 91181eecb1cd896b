"""Records on PostgreSQL: row locks serialise writers, and the server groups their commits."""

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from sqlalchemy import URL, Connection, Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util import greenlet_spawn

from api.records.database import (
    Change,
    CommitUnknown,
    Database,
    DatabaseUnavailable,
    Listener,
    T,
    Transaction,
    is_away,
    unavailable_if_away,
)

CONNECTIONS = 18
"""Kept open once they were needed, and no more: one that is opened for a single use costs both
sides ten times what it is used for."""
CONNECT_SECONDS = 10
LOCK_MS = 500
"""So long a thing of such a group waits for what another transaction holds; it is left then."""
GROUP = 16
"""Of many things that are handed in together, so many share a transaction."""
STATEMENT_SECONDS = 20
"""One statement gets this long: one whose server's host is gone would never answer."""
ASK_AFTER_SECONDS = 20
"""A connection that was idle for so long may be gone with nobody having said so."""
IDLE_SECONDS = 60
"""The server ends a transaction that is silent for so long: an api whose host is gone would hold a
form's lock for hours."""


class PostgresDatabase(Database):
    at_once = 64

    def __init__(self, url: URL, on_commit: Listener, *, migrating: bool = False) -> None:
        self.url = url
        self._on_commit = on_commit
        self._async_engine = create_async_engine(
            url,
            pool_size=CONNECTIONS,
            max_overflow=0,  # one over the pool's size would be opened for a single use
            isolation_level="AUTOCOMMIT",  # a reader's statements see what is committed by then
            connect_args=_connect_args(None if migrating else STATEMENT_SECONDS),
        )
        self.engine = self._async_engine.sync_engine
        _look_before_use(self.engine)
        self._transactions = self._async_engine.execution_options(isolation_level="READ COMMITTED")

    async def close(self) -> None:
        await self._async_engine.dispose()

    async def _read(self, body: Callable[[Connection], T]) -> T:
        with unavailable_if_away():
            return await greenlet_spawn(self._on_a_connection, body)

    def _on_a_connection(self, body: Callable[[Connection], T]) -> T:
        with self.engine.connect() as conn:
            return body(conn)

    async def _scan(self, body: Callable[[Connection], T]) -> T:
        return await self._read(body)

    async def _write(self, body: Callable[[Transaction], T], *, durable: bool = True) -> T:
        changes: list[Change] = []
        with unavailable_if_away():
            async with self._transactions.connect() as connection:
                begun = await connection.begin()
                if not durable:
                    await connection.exec_driver_sql("SET LOCAL synchronous_commit TO off")
                result = await connection.run_sync(lambda conn: body(Transaction(conn, changes)))
                try:
                    await begun.commit()
                except Exception as error:  # whatever it is: COMMIT was sent
                    raise CommitUnknown from error
        if changes:
            self._on_commit(changes)
        return result

    async def _write_by_one_statement(self, body: Callable[[Transaction], T]) -> T | None:
        changes: list[Change] = []
        result: T = await greenlet_spawn(self._by_one_statement, body, changes)
        if changes:
            self._on_commit(changes)
        return result

    def _by_one_statement(self, body: Callable[[Transaction], T], changes: list[Change]) -> T:
        with unavailable_if_away():
            conn = self.engine.connect()
        with conn:
            try:
                return body(Transaction(conn, changes))
            except Exception as error:
                if _is_refusal(error):
                    if is_away(error):
                        raise DatabaseUnavailable from error
                    raise
                raise CommitUnknown from error

    async def _write_each(
        self, bodies: Sequence[Callable[[Transaction], object]]
    ) -> list[Exception | None]:
        """Some in one transaction: a commit of its own for each would cost more than what it does.
        And several of these at once, as most of their time is the network's."""
        groups = [bodies[first : first + GROUP] for first in range(0, len(bodies), GROUP)]
        done = await asyncio.gather(
            *(self._write(partial(_each_by_itself, bodies=group)) for group in groups),
            return_exceptions=True,
        )
        errors: list[Exception | None] = []
        for of_group in done:
            if isinstance(of_group, BaseException):
                raise of_group
            errors += of_group
        if errors and all(error and is_away(error) for error in errors):
            raise DatabaseUnavailable  # it refuses everything, such as one that is read-only
        return errors


def _is_refusal(error: Exception) -> bool:
    """Whether the server itself said that it didn't carry the statement out. One that ends (57P)
    may have committed it before, and the driver has a code of class 08 for an answer that it
    misses."""
    state = getattr(getattr(error, "orig", error), "sqlstate", None) or ""
    return bool(state) and not state.startswith(("08", "57P"))


def _look_before_use(engine: Engine) -> None:
    """Have the pool connect anew in place of handing out a connection that is gone: one that the
    server closed is known to be, and one that was idle for long is asked. To ask each, as the pool
    can by itself, takes three round trips a use."""

    @event.listens_for(engine, "handle_error")
    def silent(context: ExceptionContext) -> None:
        if isinstance(context.original_exception, TimeoutError):  # its host is gone, and theirs too
            context.invalidate_pool_on_disconnect = True

    @event.listens_for(engine, "checkin")
    def returned(_: Any, record: ConnectionPoolEntry) -> None:
        record.info["idle_since"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def handed_out(connection: Any, record: ConnectionPoolEntry, _: Any) -> None:
        idle = time.monotonic() - record.info.get("idle_since", time.monotonic())
        if connection.driver_connection.is_closed():
            raise InvalidatePoolError
        if idle > ASK_AFTER_SECONDS:
            try:
                engine.dialect.do_ping(connection)
            except Exception as error:
                raise InvalidatePoolError from error


def _each_by_itself(
    tx: Transaction, bodies: Sequence[Callable[[Transaction], object]]
) -> list[Exception | None]:
    # Its forms are locked until it ends: what an api that hangs holds is not to hold up the others.
    tx.conn.exec_driver_sql(f"SET LOCAL lock_timeout = {LOCK_MS}")
    return [_by_itself(tx, body) for body in bodies]


def _by_itself(tx: Transaction, body: Callable[[Transaction], object]) -> Exception | None:
    """Carry `body` out under a savepoint, which hides the one before: nobody goes back to that."""
    tx.conn.exec_driver_sql("SAVEPOINT one")
    told = len(tx.changes)
    try:
        body(tx)
    except Exception as error:
        if is_away(error) and not _is_refusal(error):
            raise
        tx.conn.exec_driver_sql("ROLLBACK TO one")
        del tx.changes[told:]
        return error
    return None


def _connect_args(statement_seconds: float | None) -> dict[str, Any]:
    """A commit is on disk before it is answered, whatever the server's default, and neither side
    waits for the other for ever."""
    return {
        "timeout": CONNECT_SECONDS,
        "command_timeout": statement_seconds,
        "server_settings": {
            "synchronous_commit": "on",
            "idle_in_transaction_session_timeout": str(IDLE_SECONDS * 1000),
        },
    }
