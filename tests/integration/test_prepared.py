"""Statements that go to PostgreSQL's driver by themselves, and the connections that carry them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import Connection, event, func, select, text
from sqlalchemy.exc import DBAPIError

from api.records import forms
from api.records import postgresql as records
from api.records.database import Database
from api.records.opening import open_database
from api.records.prepared import Prepared
from tests.support.services import Scene
from tests.support.sql import execute, rows_of

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
LONG = Prepared(select(func.pg_sleep(30)))
SHORT = Prepared(select(func.pg_sleep(0.2)))


def _sleep(conn: Connection, statement: Prepared) -> None:
    statement.rows(conn, {})


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = open_database(database_url)
    yield opened
    await opened.close()


async def test_a_statement_whose_plan_is_outdated_fails_once_and_is_prepared_anew(
    scene: Scene,
) -> None:
    """As when a migration gives a column another type beside an api that runs."""

    async def read() -> None:
        for _ in range(records.CONNECTIONS):  # whichever has it prepared
            assert await scene.services.database.read(forms.get, scene.form.id)

    await read()
    await execute(
        scene.services.database, "ALTER TABLE forms ALTER COLUMN reference TYPE VARCHAR(201)"
    )
    with pytest.raises(DBAPIError, match="cached statement"):
        await read()
    await read()


async def test_connections_are_kept_however_many_ask_at_once(database: Database) -> None:
    opened: list[Any] = []
    event.listen(database.engine, "connect", lambda made, _: opened.append(made))
    for _ in range(2):
        many = range(2 * records.CONNECTIONS)
        await asyncio.gather(*(database.read(_sleep, SHORT) for _ in many))
    assert len(opened) == records.CONNECTIONS


async def test_who_is_cancelled_within_a_statement_leaves_no_connection_taken(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "CONNECTIONS", 1)
    database, monitor = open_database(database_url), open_database(database_url)
    busy = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
    try:
        for _ in range(2):
            reading = asyncio.create_task(database.read(_sleep, LONG))
            async with asyncio.timeout(20):
                while not await rows_of(monitor, busy):  # noqa: ASYNC110 - it rings no bell
                    await asyncio.sleep(0.01)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            async with asyncio.timeout(20):
                assert await database.read(lambda conn: conn.scalar(text("SELECT 1"))) == 1
    finally:
        await monitor.close()
        await database.close()
