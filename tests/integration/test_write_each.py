"""Many things handed in together, on either database: each is committed or not by itself."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from api.records import postgresql
from api.records.database import Change, CommitUnknown, Database, DatabaseUnavailable, Transaction
from api.records.opening import open_database
from api.texts.errors import Problem
from tests.support.commits import commits_that, held_before_the_commit
from tests.support.sql import execute, values_of

REFUSED = 13


@pytest.fixture
async def told() -> list[list[Change]]:
    return []


@pytest.fixture
async def database(database_url: str, told: list[list[Change]]) -> AsyncIterator[Database]:
    opened = open_database(database_url, told.append)
    await execute(opened, "CREATE TABLE numbers (number INTEGER PRIMARY KEY)")
    yield opened
    await opened.close()


def add(tx: Transaction, number: int) -> None:
    tx.conn.execute(text("INSERT INTO numbers VALUES (:number)"), {"number": number})
    tx.changes.append(Change(form_id=str(number)))
    if number == REFUSED:
        raise Problem("not-found")


async def kept(database: Database) -> list[int]:
    return await values_of(database, "SELECT number FROM numbers ORDER BY number")


async def test_one_that_fails_harms_no_other_and_says_why(
    database: Database, told: list[list[Change]]
) -> None:
    errors = await database.write_each(add, [1, REFUSED, 1, 2])
    assert [type(each) for each in errors] == [type(None), Problem, IntegrityError, type(None)]
    assert await kept(database) == [1, 2]
    assert [change.form_id for each in told for change in each] == ["1", "2"]


async def test_a_commit_that_nobody_knows_of_is_unknown_for_all(
    database: Database, told: list[list[Change]]
) -> None:
    with commits_that("is answered too late"), pytest.raises(CommitUnknown):
        await database.write_each(add, [1, 2])
    assert await kept(database) == [1, 2]
    assert told == []


async def test_a_database_that_goes_away_meanwhile_is_no_items_fault(database: Database) -> None:
    def goes_away(tx: Transaction, number: int) -> None:
        add(tx, number)
        raise ConnectionResetError

    with pytest.raises(DatabaseUnavailable):
        await database.write_each(goes_away, [1])
    assert await kept(database) == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_what_the_server_refuses_is_that_items_fault_unless_it_refuses_everything(
    database: Database,
) -> None:
    """Its codes of lacking resources and of intervention say that it can't be worked with; where
    it has them for one thing alone, such as one that takes too long, they are about that one."""

    def add_or_take_too_long(tx: Transaction, number: int) -> None:
        if number < 0:
            tx.conn.exec_driver_sql("SET LOCAL statement_timeout = 20")
            tx.conn.exec_driver_sql("SELECT pg_sleep(60)")
        add(tx, number)

    first, second, third = await database.write_each(add_or_take_too_long, [1, -1, 2])
    assert isinstance(second, DBAPIError)
    assert first is third is None
    assert await kept(database) == [1, 2]
    with pytest.raises(DatabaseUnavailable):
        await database.write_each(add_or_take_too_long, [-1])


async def test_what_another_holds_holds_up_no_other(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On SQLite, where nobody holds a row alone, it is waited for."""
    monkeypatch.setattr(postgresql, "LOCK_MS", 50)
    for number in (1, 2):
        await database.write(add, number)

    def double(tx: Transaction, number: int) -> None:
        found = {"number": number}
        tx.conn.execute(text("UPDATE numbers SET number = -number WHERE number = :number"), found)

    with held_before_the_commit() as (held, go_on):
        first = asyncio.create_task(database.write(double, 1))
        await held.wait()
        second = asyncio.create_task(database.write_each(double, [1, 2]))
        if not database.is_sqlite:
            async with asyncio.timeout(20):
                errors = await second
            assert isinstance(errors[0], DBAPIError)
            assert errors[1] is None
        go_on.set()
        await first
    await second
    assert await kept(database) == [-2, -1]
