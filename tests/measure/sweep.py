"""How long a sweep takes beside so many rows and files. `./longshore bench sweep` starts it.

Writes one line of JSON for each number of rows.
"""

import argparse
import asyncio
import json
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from api.services import Services
from api.upkeep.backlog_figures import Backlog
from tests.support.many_rows import FIRST, Work, fill
from tests.support.plans import captured, explain
from tests.support.postgres import new_database, run_postgres
from tests.support.services import services_on
from tests.support.sql import execute, values_of
from tests.support.sweeping import willing_sweep

WORK = Work(due=200, overdue=200, lost=200, condemned=200, purging=200, waiting=5000, leased=50)
OLD = 7200


async def measure(
    folder: Path, database_url: str, rows: int, files: int, rounds: int
) -> dict[str, object]:
    async with services_on(folder, database_url) as services:
        await fill(services.database, rows, WORK)
        await asyncio.to_thread(_make_files, services.staging.root / "staged", rows, files)
        sweep = willing_sweep(services)
        with captured(services.database) as statements:
            busy = await _seconds(sweep.once)
        await _let_nothing_be_due(services)
        idle = [await _seconds(sweep.once) for _ in range(rounds)]
        files_only = [await _seconds(sweep.clearing.quarantine_orphans) for _ in range(rounds)]
        backlog = [await _seconds(lambda: _backlog(services).read()) for _ in range(rounds)]
        return {
            "rows": rows,
            "files": files,
            "busy_ms": busy * 1000,
            "idle_ms": [each * 1000 for each in idle],
            "files_ms": [each * 1000 for each in files_only],
            "backlog_ms": [each * 1000 for each in backlog],
            "version": await _version(services),
            "plans": await _plans(services, statements),
        }


def _backlog(services: Services) -> Backlog:
    """A fresh one each time, which has nothing in mind."""
    return Backlog(services.database, services.settings)


def _make_files(folder: Path, rows: int, files: int) -> None:
    """Empty files, older than an orphan, that uploads own: of the last rows, which are settled."""
    then = time.time() - OLD
    for number in range(rows, rows - files, -1):
        if number % 1000 == 0:  # that name is an orphan's
            continue
        path = folder / f"upl_{FIRST + number}"
        path.touch()
        os.utime(path, (then, then))


async def _let_nothing_be_due(services: Services) -> None:
    """What the sweep gave back would be due again in a moment."""
    await execute(
        services.database,
        "UPDATE uploads SET wake_at = deadline, deadline = deadline + 86400000"
        " WHERE status = 'staged'",
    )


async def _seconds(call: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await call()
    return time.perf_counter() - began


async def _version(services: Services) -> str:
    sqlite = services.database.is_sqlite
    asked = "sqlite_version()" if sqlite else "current_setting('server_version')"
    (version,) = await values_of(services.database, f"SELECT {asked}")
    return str(version)


async def _plans(services: Services, statements: dict[str, object]) -> dict[str, list[str]]:
    return {
        " ".join(statement.split()): await services.database.read(explain, statement, parameters)
        for statement, parameters in statements.items()
        if not statement.startswith("INSERT")
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--database", choices=("sqlite", "postgresql"), required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--rows", type=int, nargs="+", required=True)
    parser.add_argument("--files", type=int, required=True, help="at most so many on the volume")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    for rows in options.rows:
        folder = options.folder / f"{options.database}-{rows}"
        folder.mkdir()
        with _database(options.database, folder) as url:
            files = min(rows // 2, options.files)
            figures = asyncio.run(measure(folder, url, rows, files, options.rounds))
        with options.output.open("a") as output:
            output.write(json.dumps(figures) + "\n")


@contextmanager
def _database(kind: str, folder: Path) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{folder}/records.db"
    else:
        with run_postgres() as server:
            yield new_database(server, "bench")


if __name__ == "__main__":
    main()
