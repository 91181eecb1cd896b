"""Bring a database to the schema this code needs, and say whether it is there already."""

import asyncio
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, delete, insert, inspect, select

from api.records.database import Database, Transaction
from api.records.opening import open_database
from api.records.tables import compatibility, metadata

SCRIPTS = Path(__file__).parent / "migrations"
OLDEST = "0012"
"""The oldest revision whose code works on this schema. A migration that takes away what the code of
before needs raises it; one that only adds doesn't."""


class SchemaError(Exception):
    """The database's schema is not the one this code needs; the text says what to do."""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.attributes["metadata"] = metadata
    return config


async def upgrade(url: str, to: str = "head") -> None:
    """Apply what is missing, however long that takes; nothing to a newer version's schema that
    serves this code. Raises `SchemaError` for one that doesn't."""
    database = open_database(url, migrating=True)
    try:
        await database.write(_upgrade, to)
    finally:
        await database.close()


def _upgrade(tx: Transaction, to: str) -> None:
    connection = tx.conn
    config = _config()
    scripts = ScriptDirectory.from_config(config)
    found = _current(connection)
    if found and not _is_known(found, scripts):
        if not _serves(connection, scripts):
            raise SchemaError(_unknown(found, str(scripts.get_current_head())))
        return
    config.attributes["connection"] = connection
    command.upgrade(config, to)
    if inspect(connection).has_table(compatibility.name):
        connection.execute(delete(compatibility))
        connection.execute(insert(compatibility).values(row=1, oldest=OLDEST))


async def check(database: Database) -> str:
    """The schema's revision. Raises `SchemaError` unless this code works on it."""
    found = await database.read(_current)
    scripts = ScriptDirectory.from_config(_config())
    wanted = str(scripts.get_current_head())
    if found is None:
        raise SchemaError("the database has no tables yet; run: python -m api.migrate")
    if not _is_known(found, scripts):
        if not await database.read(_serves, scripts):
            raise SchemaError(_unknown(found, wanted))
    elif found != wanted:
        raise SchemaError(
            f"the schema is {found}, this version needs {wanted}; run: python -m api.migrate"
        )
    return found


def _is_known(revision: str, scripts: ScriptDirectory) -> bool:
    return revision in {script.revision for script in scripts.walk_revisions()}


def _serves(connection: Connection, scripts: ScriptDirectory) -> bool:
    """Whether a schema that this code doesn't know says that it works on it."""
    if not inspect(connection).has_table(compatibility.name):
        return False  # another application's
    oldest = connection.execute(select(compatibility.c.oldest)).scalar()
    return oldest is not None and oldest <= str(scripts.get_current_head())


def _unknown(found: str, wanted: str) -> str:
    return (
        f"the schema is {found}, which this version ({wanted}) can't work on; start the newer"
        " version that made it, or restore the backup from before"
    )


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def run(url: str) -> None:
    """`upgrade`, for who has no loop."""
    asyncio.run(upgrade(url))
