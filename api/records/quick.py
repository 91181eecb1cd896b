"""SQLite for what looks at a few rows by their keys: on the loop's own thread.

Such a statement takes some microseconds. Handing each of the four calls it is made of to a thread
and back takes more than a hundred times that, and was a third of what an upload cost. What may wait
for a lock or for the disk is handed to the thread as ever: beginning to write, and committing.
"""

import asyncio
import sqlite3
from functools import partial
from types import BuiltinMethodType, MethodType
from typing import Any

import aiosqlite

_MAY_WAIT = ("BEGIN IMMEDIATE", "PRAGMA")
"""PRAGMA, because the first sets the journal's mode."""
_OF_MEMORY = ("cursor", "fetchall", "fetchone", "fetchmany", "rollback")
_Call = MethodType | BuiltinMethodType


class QuickConnection(aiosqlite.Connection):
    """Runs what can't wait at once. Statements of a connection keep their order."""

    _is_idle = True
    """Whether its thread has done all it was given. Unknown once a caller was cancelled."""

    async def _execute(self, fn: _Call, *args: Any, **kwargs: Any) -> Any:
        if self._is_idle and not _may_wait(fn, args):
            return fn(*args, **kwargs)
        self._is_idle = False
        try:
            done = await super()._execute(fn, *args, **kwargs)  # type: ignore[no-untyped-call]
        except asyncio.CancelledError:
            raise  # it may go on all the same
        except BaseException:
            self._is_idle = True
            raise
        self._is_idle = True
        return done


def connect(database: str, **options: Any) -> QuickConnection:
    """What `aiosqlite.connect` gives, but quick."""
    connector = partial(sqlite3.connect, database, **options | {"check_same_thread": False})
    connection = QuickConnection(connector, iter_chunk_size=64)
    connection._thread.daemon = True  # noqa: SLF001 - as SQLAlchemy does with its own
    return connection


def _may_wait(call: _Call, args: tuple[Any, ...]) -> bool:
    if call.__name__ in ("execute", "executemany"):
        return str(args[0]).startswith(_MAY_WAIT)
    if call.__name__ == "close":
        return not isinstance(call.__self__, sqlite3.Cursor)
    return call.__name__ not in _OF_MEMORY
