"""Whether the records can be kept where `DATABASE_URL` says, by this version, durably."""

import asyncio
from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from api.records import schema
from api.records.database import Database
from api.records.faults import explain
from api.records.file_system import network_file_system
from api.texts.errors import Problem
from shared.finding import Finding, ok, warning, wrong

NAME = "DATABASE_URL"
ANSWER_SECONDS = 20.0
"""More than a writer of SQLite waits for another; a host that swallows packets never answers."""
DURABLE = {"on", "remote_apply"}


async def check_database(database: Database) -> list[Finding]:
    """One finding when it can't be used, else what it is and what could lose a commit."""
    url = database.url
    on_disk = url.get_backend_name() == "sqlite"
    if on_disk and (misplaced := _misplaced(Path(url.database or ""))):
        return [wrong(NAME, misplaced)]
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            revision = await schema.check(database)
            return await _described(database, revision)
    except schema.SchemaError as error:
        return [wrong(NAME, str(error))]
    except (Problem, SQLAlchemyError, OSError, TimeoutError) as error:
        return [wrong(NAME, explain(error, url))]


def _misplaced(file: Path) -> str | None:
    """Said before the file is opened, which would make it."""
    kind = network_file_system(file.parent)
    if kind:
        return f"{file} is on a network file system ({kind}); SQLite wants a local disk"
    if not file.parent.is_dir():
        return f"there is no folder {file.parent}; make it, or correct the path"
    if not file.exists():
        return f"there is no database {file} yet; run: python -m api.migrate"
    return None


async def _described(database: Database, revision: str) -> list[Finding]:
    if database.is_sqlite:
        return await _sqlite(database, revision)
    return await _postgresql(database, revision)


async def _sqlite(database: Database, revision: str) -> list[Finding]:
    def asked(conn: Connection) -> list[str]:
        questions = ("SELECT sqlite_version()", "PRAGMA journal_mode")
        return [str(conn.execute(text(each)).scalar()) for each in questions]

    version, journal = await database.read(asked)
    found = [ok(NAME, f"SQLite {version}, schema {revision}, commits are synced to the disk")]
    if journal != "wal":
        found.append(
            warning(NAME, f"its file system allows no WAL ({journal}); put it on a local disk")
        )
    return found


async def _postgresql(database: Database, revision: str) -> list[Finding]:
    def asked(conn: Connection) -> dict[str, str]:
        names = ("server_version", "synchronous_commit", "fsync", "full_page_writes")
        return {name: str(conn.execute(text(f"SHOW {name}")).scalar()) for name in names}

    settings = await database.read(asked)
    version = settings["server_version"].split()[0]
    found = [ok(NAME, f"PostgreSQL {version}, schema {revision}")]
    if settings["synchronous_commit"] not in DURABLE:
        found.append(
            warning(
                NAME,
                f"synchronous_commit is {settings['synchronous_commit']} although each connection"
                " asks for on: a crash loses what was acknowledged; go past the pooler, or set it"
                " for the database",
            )
        )
    found += [
        warning(NAME, f"{name} is off: a crash may ruin the database; set {name} = on")
        for name in ("fsync", "full_page_writes")
        if settings[name] == "off"
    ]
    return found
