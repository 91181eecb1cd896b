"""What a sweep costs: it searches indexes, however many rows there are."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, PrimaryKeyConstraint, UniqueConstraint

from api.records import aged, begun_drafts, cleaning, staged, stalled
from api.records.database import Database
from api.records.tables import metadata
from api.services import Services
from shared.status import UploadStatus
from tests.support.listeners import public
from tests.support.many_rows import Work, fill
from tests.support.plans import captured, explain, full_scans
from tests.support.services import services_on
from tests.support.sql import execute, values_of
from tests.support.sweeping import willing_sweep
from tests.support.tus import CONTENT, begun, send, stands

ROWS = 6000
WORK = Work(
    due=5,
    overdue=5,
    lost=5,
    condemned=5,
    purging=5,
    waiting=300,
    leased=20,
    failed=50,
    rejected=200,
    drafts=1000,
    undated=5,
    old_rejected=5,
    old_failed=5,
    old_drafts=5,
    old_submitted=5,
)


@pytest.fixture
async def crowded(tmp_path: Path, database_url: str) -> AsyncIterator[Services]:
    settings = {"submitted_keep_seconds": 86_400, "first_backoff_seconds": 300}
    async with services_on(tmp_path, database_url, **settings) as services:
        await fill(services.database, ROWS, WORK, clean_every=1)
        yield services


async def test_no_statement_of_the_sweep_looks_at_every_row(crowded: Services) -> None:
    await _give_everything_to_do(crowded)
    with captured(crowded.database) as statements:
        await willing_sweep(crowded).once()
    purged = WORK.old_drafts + WORK.old_submitted
    assert await _left(crowded.database) == purged, "only objects to be cleaned are left"
    assert len(statements) > 20
    for statement, parameters in statements.items():
        plan = await crowded.database.read(explain, statement, parameters)
        assert plan or statement.startswith("INSERT")
        assert not full_scans(plan), f"{statement}\n{plan}"


async def test_a_thousand_idle_resumable_uploads_cost_the_sweep_and_whoever_asks_no_scan(
    crowded: Services,
) -> None:
    await execute(
        crowded.database,
        "UPDATE forms SET status = 'draft' WHERE id > 'frm_1000005000'",
        "UPDATE uploads SET status = 'receiving', received = 10, bytes = 'kept',"
        " deadline = deadline + 1 WHERE id > 'upl_1000005000'",
        "ANALYZE",
    )
    async with public(crowded) as client:
        with captured(crowded.database) as statements:
            await willing_sweep(crowded).once()
            url = await begun(client)
            await send(client, url, 0, CONTENT[:1000])
            await stands(client, url)
            form_id = (await client.get(url)).json()["form_id"]
            await client.get(f"/v1/forms/{form_id}")
            await send(client, url, 1000, CONTENT[1000:])
    assert len(statements) > 40
    for statement, parameters in statements.items():
        plan = await crowded.database.read(explain, statement, parameters)
        assert not full_scans(plan), f"{statement}\n{plan}"


async def test_a_statement_that_does_is_recognised(crowded: Services) -> None:
    for statement in (
        "SELECT id FROM uploads WHERE filename = 'x'",
        "SELECT count(*) FROM forms WHERE status = 'draft'",
        "DELETE FROM staged_names WHERE at < 5",
        "SELECT form_id FROM uploads ORDER BY form_id",
    ):
        assert full_scans(await crowded.database.read(explain, statement, ())), statement


def test_rows_that_go_with_their_form_are_found_by_an_index() -> None:
    for table in metadata.tables.values():
        leading = [next(iter(index.columns)).name for index in table.indexes]
        leading += [
            next(iter(each.columns)).name
            for each in table.constraints
            if isinstance(each, PrimaryKeyConstraint | UniqueConstraint)
        ]
        for key in table.foreign_keys:
            assert key.parent.name in leading, f"{table.name}.{key.parent.name}"


async def test_a_sweep_finds_a_batch_at_most_and_goes_on_with_the_next(
    tmp_path: Path, database_url: str
) -> None:
    async with services_on(tmp_path, database_url) as services:
        await fill(services.database, 1000, Work(overdue=250, condemned=450, purging=250))
        sweep = willing_sweep(services)
        await sweep.overdue.fail_overdue()
        assert await _count(services.database, "uploads WHERE status = 'failed'") == stalled.BATCH
        await sweep.erasing.erase_purged()
        assert await _count(services.database, "forms WHERE status = 'purging'") == 50
        await sweep.erasing.erase_purged()
        assert await _count(services.database, "forms WHERE status = 'purging'") == 0
        await sweep.clearing.unlink_condemned()
        assert await _count(services.database, "uploads WHERE bytes = 'condemned'") == 0


async def test_purged_forms_that_still_wait_dont_hold_up_those_behind_them(
    tmp_path: Path, database_url: str
) -> None:
    async with services_on(tmp_path, database_url) as services:
        await fill(services.database, 1000, Work(purging=250))
        kept = "UPDATE uploads SET bytes = 'kept' WHERE id <= 'upl_1000000240'"
        await execute(services.database, kept)
        sweep = willing_sweep(services)
        await sweep.erasing.erase_purged()
        await sweep.erasing.erase_purged()
        assert await _count(services.database, "forms WHERE status = 'purging'") == 240


async def _give_everything_to_do(services: Services) -> None:
    """What `fill` leaves out: prefixes and names that have served, an orphan, a due prefix."""
    await execute(
        services.database,
        "UPDATE cleanings SET passes = 2 WHERE id <= 3",
        "UPDATE cleanings SET not_before = 1 WHERE id = 5",
        "UPDATE staged_names SET at = 1 WHERE name = 'upl_1000001000'",
        "INSERT INTO begun_drafts (client, step, drafts) VALUES ('somebody', 1, 5)",
    )
    for name in ("upl_orphan", "upl_1000003001"):
        path = services.staging.root / "staged" / name
        path.write_bytes(b"")
        os.utime(path, (1, 1))


async def _left(database: Database) -> int:
    def found(conn: Connection) -> list[object]:
        return [
            *stalled.due(conn),
            *stalled.overdue(conn),
            *stalled.lost_leases(conn, 20_000),
            *stalled.condemned(conn, ""),
            *stalled.purging(conn, ""),
            *cleaning.done(conn),
            *staged.long_condemned(conn, 8 * 86_400_000),
            *aged.undated_drafts(conn),
            *aged.old_drafts(conn, 30 * 86_400_000),
            *aged.old_submitted(conn, 86_400_000),
            *aged.old_bytes(conn, UploadStatus.REJECTED, 86_400_000),
            *aged.old_bytes(conn, UploadStatus.FAILED, 30 * 86_400_000),
            *[True] * begun_drafts.any_old(conn),
        ]

    return len(await database.scan(found))


async def _count(database: Database, rows: str) -> int:
    (count,) = await values_of(database, f"SELECT count(*) FROM {rows}")  # noqa: S608 - ours
    return int(count)
