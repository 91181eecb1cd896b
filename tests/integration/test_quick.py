"""SQLite's quick connection: what can't wait runs at once, what can waits elsewhere."""

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api.records import quick


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[quick.QuickConnection]:
    connection = quick.connect(str(tmp_path / "records.db"), isolation_level=None)
    await connection
    await connection.execute("PRAGMA journal_mode=WAL")
    await connection.execute("CREATE TABLE threads (id INTEGER)")
    await connection.create_function("thread", 0, threading.get_ident)
    yield connection
    await connection.close()


async def thread_of(connection: quick.QuickConnection, sql: str) -> int:
    cursor = await connection.execute(sql)
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


async def test_a_statement_runs_on_the_loops_thread(connection: quick.QuickConnection) -> None:
    assert await thread_of(connection, "SELECT thread()") == threading.get_ident()


async def test_who_waits_for_the_lock_doesnt_hold_the_loop(
    connection: quick.QuickConnection, tmp_path: Path
) -> None:
    other = sqlite3.connect(tmp_path / "records.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    beginning = asyncio.create_task(begin(connection))
    for _ in range(100):
        await asyncio.sleep(0)
    assert not beginning.done()
    other.execute("COMMIT")
    other.close()
    await beginning
    await connection.execute("INSERT INTO threads VALUES (1)")
    await connection.commit()
    assert await thread_of(connection, "SELECT count(*) FROM threads") == 1


async def test_after_a_cancelled_call_statements_keep_their_order(
    connection: quick.QuickConnection, tmp_path: Path
) -> None:
    other = sqlite3.connect(tmp_path / "records.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    beginning = asyncio.create_task(begin(connection))
    for _ in range(100):
        await asyncio.sleep(0)
    beginning.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await beginning
    asking = asyncio.create_task(thread_of(connection, "SELECT thread()"))
    for _ in range(100):
        await asyncio.sleep(0)
    assert not asking.done()
    other.execute("COMMIT")
    other.close()
    assert await asking != threading.get_ident()
    assert await thread_of(connection, "SELECT thread()") == threading.get_ident()
    await connection.rollback()


async def begin(connection: quick.QuickConnection) -> None:
    await connection.execute("BEGIN IMMEDIATE")
