"""Writes on SQLite are committed in groups, and each is answered as if it had been alone."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from api.records.database import Change, CommitUnknown, Database, DatabaseUnavailable, Transaction
from api.records.groups import MOST, Groups, driver_of
from api.records.opening import open_database
from api.texts.errors import Problem
from tests.support.commits import commits_that, held_before_the_commit
from tests.support.sql import execute, values_of

ALL = "SELECT number FROM numbers ORDER BY rowid"


@pytest.fixture
async def told() -> list[list[Change]]:
    return []


@pytest.fixture
async def database(tmp_path: Path, told: list[list[Change]]) -> AsyncIterator[Database]:
    opened = open_database(f"sqlite:///{tmp_path}/records.db", told.append)
    await execute(opened, "CREATE TABLE numbers (number INTEGER PRIMARY KEY)")
    yield opened
    await opened.close()


def adds(number: int, error: Exception | None = None) -> Callable[[Transaction], int]:
    """Writes the number, and then fails with the error."""

    def body(tx: Transaction) -> int:
        tx.conn.execute(text("INSERT INTO numbers VALUES (:number)"), {"number": number})
        tx.changes.append(Change(form_id=str(number)))
        if error:
            raise error
        return number

    return body


async def kept(database: Database) -> list[int]:
    return await values_of(database, ALL)


async def test_what_waits_while_one_is_committed_is_committed_together(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = []
    commit = Groups._commit

    async def counted(self: Groups, conn: object, *, changing: bool) -> None:
        commits.append(len(await kept(database)))
        await commit(self, conn, changing=changing)  # type: ignore[arg-type]

    monkeypatch.setattr(Groups, "_commit", counted)
    answers = await asyncio.gather(*(database.write(adds(number)) for number in range(10)))
    assert answers == list(range(10)) == await kept(database)
    assert len(commits) <= 3, "a group has its bound in time as well"
    commits.clear()
    await asyncio.gather(*(database.write(adds(100 + number)) for number in range(MOST + 1)))
    assert 2 <= len(commits) <= 12, "no group is without bound, nor each alone"
    assert len(await kept(database)) == 10 + MOST + 1


async def test_one_that_fails_harms_no_other(database: Database, told: list[list[Change]]) -> None:
    answers = await asyncio.gather(
        database.write(adds(1)),
        database.write(adds(2, Problem("not-found"))),
        database.write(adds(1)),  # there is one already
        database.write(adds(3)),
        return_exceptions=True,
    )
    assert answers[0] == 1
    assert isinstance(answers[1], Problem)
    assert answers[1].code == "not-found"
    assert "UNIQUE" in str(answers[2])
    assert answers[3] == 3
    assert await kept(database) == [1, 3]
    assert [change.form_id for each in told for change in each] == ["1", "3"]


async def test_nobody_is_answered_before_the_commit(database: Database) -> None:
    with held_before_the_commit() as (held, go_on):
        good = asyncio.create_task(database.write(adds(1)))
        bad = asyncio.create_task(database.write(adds(2, Problem("not-found"))))
        await held.wait()
        for _ in range(100):
            await asyncio.sleep(0)
        assert not good.done()
        assert not bad.done(), "what it saw may never be committed"
        assert await kept(database) == []
        go_on.set()
        assert await good == 1
        with pytest.raises(Problem, match="not-found"):
            await bad


async def test_a_commit_that_nobody_knows_of_is_unknown_for_each_that_was_carried_out(
    database: Database, told: list[list[Change]]
) -> None:
    for fault, left in (("is answered too late", [1, 2]), ("is lost", [])):
        await execute(database, "DELETE FROM numbers")
        with commits_that(fault):
            answers = await asyncio.gather(
                database.write(adds(1)),
                database.write(adds(2)),
                database.write(adds(3, Problem("not-found"))),
                return_exceptions=True,
            )
        assert [type(each) for each in answers] == [CommitUnknown] * 2 + [DatabaseUnavailable]
        assert await kept(database) == left
    assert told == []


async def test_who_is_cancelled_before_their_turn_leaves_no_trace(database: Database) -> None:
    with held_before_the_commit() as (held, go_on):
        first = asyncio.create_task(database.write(adds(1)))
        await held.wait()
        waits = asyncio.create_task(database.write(adds(2)))
        other = asyncio.create_task(database.write(adds(3)))
        await asyncio.sleep(0)
        waits.cancel()
        go_on.set()
        assert [await first, await other] == [1, 3]
    assert waits.cancelled()
    assert await kept(database) == [1, 3]


async def test_who_is_cancelled_after_it_is_committed_with_the_others_and_told_of(
    database: Database, told: list[list[Change]]
) -> None:
    with held_before_the_commit() as (held, go_on):
        gone = asyncio.create_task(database.write(adds(1)))
        stays = asyncio.create_task(database.write(adds(2)))
        await held.wait()
        gone.cancel()
        go_on.set()
        assert await stays == 2
    assert gone.cancelled()
    assert await kept(database) == [1, 2]
    assert [change.form_id for each in told for change in each] == ["1", "2"]


async def test_a_group_that_sqlite_takes_back_itself_is_committed_by_nobody(
    database: Database,
) -> None:
    def full(tx: Transaction) -> None:
        tx.conn.exec_driver_sql("ROLLBACK")  # as SQLite does when its disk is full
        raise sqlite3.OperationalError("database or disk is full")

    answers = await asyncio.gather(
        database.write(adds(1)), database.write(full), return_exceptions=True
    )
    assert [type(each) for each in answers] == [DatabaseUnavailable] * 2
    assert await kept(database) == []
    assert await database.write(adds(2)) == 2, "it goes on"


async def test_another_process_that_writes_is_waited_for_and_holds_no_loop(
    database: Database, tmp_path: Path
) -> None:
    other = sqlite3.connect(tmp_path / "records.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    writing = asyncio.create_task(database.write(adds(1)))
    for _ in range(20):
        await asyncio.sleep(0.005)
        assert not writing.done()
    assert await kept(database) == [], "who reads waits for nobody"
    other.execute("COMMIT")
    assert await writing == 1
    other.close()


async def test_one_that_writes_for_ever_makes_it_unavailable_for_all_that_wait(
    database: Database, tmp_path: Path
) -> None:
    database._groups._patience = 0.1  # type: ignore[attr-defined]
    other = sqlite3.connect(tmp_path / "records.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    answers = await asyncio.gather(
        database.write(adds(1)), database.write(adds(2)), return_exceptions=True
    )
    other.close()
    assert [type(each) for each in answers] == [DatabaseUnavailable] * 2
    assert await database.write(adds(3)) == 3
    assert await kept(database) == [3]


async def test_few_writes_wait_behind_many(database: Database) -> None:
    """Those that come while many wait are carried out in their turn, and none is passed over."""
    done: list[int] = []

    async def write(number: int) -> None:
        done.append(await database.write(adds(number)))

    await asyncio.gather(*(write(number) for number in range(5 * MOST)))
    assert done == list(range(5 * MOST))


async def test_what_fails_before_the_commit_is_sent_is_certainly_not_committed(
    database: Database,
) -> None:
    def takes_its_savepoint(tx: Transaction) -> None:
        tx.conn.exec_driver_sql("RELEASE one")

    answers = await asyncio.gather(
        database.write(adds(1)), database.write(takes_its_savepoint), return_exceptions=True
    )
    assert [type(each) for each in answers] == [DatabaseUnavailable] * 2
    assert await kept(database) == []
    assert await database.write(adds(2)) == 2


async def test_whatever_happens_at_the_commit_it_is_unknown_and_the_next_can_write(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    cursors = []

    def looks(tx: Transaction) -> None:
        cursors.append(driver_of(tx.conn).execute("VALUES (1), (2)"))
        cursors[0].fetchone()  # and not the second: a closed connection lives on with its cursors
        adds(1)(tx)

    async def fails(self: Groups, conn: object, *, changing: bool) -> None:
        raise RuntimeError(f"no thread for {self}, {conn}, {changing}")

    with monkeypatch.context() as patched:
        patched.setattr(Groups, "_commit", fails)
        with pytest.raises(CommitUnknown):
            await database.write(looks)
    database._groups._patience = 0  # type: ignore[attr-defined]
    assert await database.write(adds(2)) == 2
    assert await kept(database) == [2]


async def test_what_is_handed_in_while_it_is_closed_is_written(database: Database) -> None:
    async def one_after_the_other() -> None:
        for number in range(3):
            await database.write(adds(number))

    writing = asyncio.create_task(one_after_the_other())
    await asyncio.sleep(0)
    await database.close()
    await writing
    assert await kept(database) == [0, 1, 2]


@pytest.mark.parametrize("way", ["read", "scan"])
async def test_a_disk_that_cant_be_read_is_unavailable_and_the_next_read_begins_anew(
    database: Database, way: str
) -> None:
    reads: Callable[..., Awaitable[list[int]]] = getattr(database, way)

    def broken(conn: Connection) -> list[int]:
        conn.exec_driver_sql("ROLLBACK")  # as SQLite does when its disk fails
        error = sqlite3.OperationalError("disk I/O error")
        raise OperationalError("SELECT", None, error)

    def begun_twice(conn: Connection) -> list[int]:
        driver_of(conn).execute("BEGIN")
        return []

    for body in (broken, begun_twice):
        with pytest.raises(DatabaseUnavailable):
            await reads(body)
    assert await reads(lambda conn: list(conn.execute(text("VALUES (1)")).scalars())) == [1]


async def test_a_note_needs_no_disk_and_what_is_promised_beside_it_does(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's own word: 1 is NORMAL, where a commit is no fsync, and 2 is FULL."""
    commits: list[tuple[int, list[int]]] = []
    commit = Groups._commit

    async def seen(self: Groups, conn: Connection, *, changing: bool) -> None:
        (synchronous,) = driver_of(conn).execute("PRAGMA synchronous").fetchone()
        numbers = [number for (number,) in driver_of(conn).execute(ALL)]
        commits.append((synchronous, numbers))
        await commit(self, conn, changing=changing)

    monkeypatch.setattr(Groups, "_commit", seen)
    await database.note(adds(1))
    await database.write(adds(2))
    first = asyncio.create_task(database.note(adds(3)))  # the group of its own is under way
    await asyncio.sleep(0)
    await asyncio.gather(first, database.write(adds(4)), database.note(adds(5)))
    assert commits[:2] == [(1, [1]), (2, [1, 2])]
    assert {synchronous for synchronous, numbers in commits if 4 in numbers} == {2}
    assert await kept(database) == [1, 2, 3, 4, 5]
