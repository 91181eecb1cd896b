"""A part whose host is gone says nothing, and for ever: nobody may wait for it."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, event, make_url, text

from api.outside.queue import Queue
from api.records import forms
from api.records import postgresql as records
from api.records.database import CommitUnknown, DatabaseUnavailable, Transaction
from api.records.opening import open_database
from api.upkeep.backlog_figures import Backlog
from dev.faulty_link import Fault, FaultyLink
from tests.support.commits import held_before_the_commit
from tests.support.postgres import new_database
from tests.support.round_trips import counted
from tests.support.services import Scene, services_on
from tests.support.sql import execute, rows_of

SILENT = Fault(freeze=True)


@pytest.fixture
async def link(postgres: URL, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FaultyLink]:
    """To PostgreSQL, with the patience of a test."""
    monkeypatch.setattr(records, "STATEMENT_SECONDS", 1)
    monkeypatch.setattr(records, "CONNECT_SECONDS", 1)
    async with FaultyLink(postgres.port or 5432).open() as opened:
        yield opened


@pytest.fixture
def url(postgres: URL, link: FaultyLink) -> str:
    through = make_url(new_database(postgres, "silent")).set(port=link.port)
    return through.render_as_string(hide_password=False)


async def test_a_database_that_falls_silent_is_unavailable_and_then_used_again(
    url: str, link: FaultyLink
) -> None:
    database = open_database(url)
    try:
        await rows_of(database, "SELECT 1")
        link.set(SILENT)
        began = time.monotonic()
        with pytest.raises(DatabaseUnavailable):
            await rows_of(database, "SELECT 1")
        assert time.monotonic() - began < 8
        link.heal()
        link.cut()
        async with asyncio.timeout(8):
            await rows_of(database, "SELECT 1")
    finally:
        await database.close()


async def test_that_the_database_is_silent_is_told_within_a_scrape(
    url: str, link: FaultyLink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "STATEMENT_SECONDS", 30)
    async with services_on(tmp_path, url) as services:
        backlog = Backlog(services.database, services.settings)
        assert await backlog.read() is not None
        link.set(SILENT)
        monkeypatch.setattr("api.upkeep.backlog_figures.FRESH_SECONDS", 0)
        began = time.monotonic()
        assert await backlog.read() is None
        assert time.monotonic() - began < 8
        link.heal()
        link.cut()


@pytest.mark.parametrize("fault", [SILENT, Fault(drop_answer=True)])
async def test_a_commit_without_an_answer_is_unknown(
    url: str, link: FaultyLink, fault: Fault, tmp_path: Path
) -> None:
    def written(tx: Transaction) -> None:
        tx.conn.execute(text("SELECT 1"))
        link.set(fault)

    async with services_on(tmp_path, url) as services:
        await Scene.create(services)
        began = time.monotonic()
        with pytest.raises(CommitUnknown):
            await services.database.write(written)
        assert time.monotonic() - began < 8
        link.heal()
        link.cut()


@pytest.mark.parametrize("how", ["cut", "ended by the server"])
async def test_a_connection_lost_within_a_statement_is_no_error_of_ours(
    url: str, link: FaultyLink, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(records, "STATEMENT_SECONDS", 60)
    monitor, database = open_database(url), open_database(url)

    async def sleeps() -> bool:
        busy = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        return bool(await rows_of(monitor, busy))

    try:
        writing = asyncio.create_task(execute(database, "SELECT pg_sleep(5)"))
        async with asyncio.timeout(20):
            while not await sleeps():  # noqa: ASYNC110 - what is waited for rings no bell
                await asyncio.sleep(0.02)
        if how == "cut":
            link.cut()
        else:
            mine = "pid <> pg_backend_pid() AND datname = current_database()"
            end = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {mine}"  # noqa: S608 - ours
            await rows_of(monitor, end)
        with pytest.raises(DatabaseUnavailable):
            await writing
    finally:
        await monitor.close()
        await database.close()


async def test_a_connection_that_was_closed_between_two_uses_is_replaced(
    url: str, link: FaultyLink
) -> None:
    database = open_database(url)
    opened: list[Any] = []
    event.listen(database.engine, "connect", lambda made, _: opened.append(made.driver_connection))
    try:
        await rows_of(database, "SELECT 1")
        link.cut()
        async with asyncio.timeout(20):
            while not opened[0].is_closed():  # noqa: ASYNC110 - the driver rings no bell
                await asyncio.sleep(0.01)
        await rows_of(database, "SELECT 1")
        assert len(opened) == 2
    finally:
        await database.close()


async def test_a_connection_that_was_idle_for_long_is_asked_before_it_is_used(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with counted(url) as (address, turns):
        database = open_database(address)
        try:
            taken = []
            for ask_after in (20, 20, 0):  # the first one connects
                monkeypatch.setattr(records, "ASK_AFTER_SECONDS", ask_after)
                before = turns.taken
                await rows_of(database, "SELECT 1")
                taken.append(turns.taken - before)
        finally:
            await database.close()
    assert taken[1] == 1
    assert taken[2] > 1


async def test_of_all_connections_to_a_host_that_is_gone_one_is_found_out_by_waiting(
    url: str, link: FaultyLink
) -> None:
    """The others, which are as old, are replaced before they are used."""
    database = open_database(url)
    opened: list[Any] = []
    event.listen(database.engine, "connect", lambda made, _: opened.append(made))
    try:
        await asyncio.gather(*(rows_of(database, "SELECT pg_sleep(0.2)") for _ in range(4)))
        before = len(opened)
        link.set(SILENT)
        with pytest.raises(DatabaseUnavailable):
            await rows_of(database, "SELECT 1")
        link.heal()
        for _ in range(before):
            await rows_of(database, "SELECT 1")
        assert before > 1
        assert len(opened) == 2 * before
    finally:
        await database.close()


async def test_a_transaction_of_an_api_whose_host_is_gone_frees_its_form(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "IDLE_SECONDS", 1)
    monkeypatch.setattr(records, "STATEMENT_SECONDS", 10)
    async with services_on(tmp_path, url) as services:
        scene = await Scene.create(services)
        with held_before_the_commit() as (held, go_on):
            first = asyncio.create_task(services.database.write(forms.lock, scene.form.id))
            await held.wait()
            async with asyncio.timeout(8):
                await services.database.write(forms.lock, scene.form.id)
            go_on.set()
            with pytest.raises(CommitUnknown):
                await first


async def test_a_redis_that_falls_silent_within_a_pipeline_holds_up_nobody() -> None:
    async def redis(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while command := await reader.read(65536):
            if b"ZADD" in command:
                silent.set()
            if not silent.is_set():
                writer.write(b"+OK\r\n" * command.count(b"\r\n*") + b"+OK\r\n")

    silent = asyncio.Event()
    server = await asyncio.start_server(redis, "127.0.0.1", 0)
    queue = Queue(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0")
    try:
        async with asyncio.timeout(6):
            assert await queue.wake([("upl_a", 1)]) is False
        assert silent.is_set(), "its commands were sent"
    finally:
        await queue.close()
        server.close()
