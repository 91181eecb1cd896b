"""Bring a database to the schema this code needs, and say whether it is there already."""

import asyncio
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from api.records.database import Database, Transaction
from api.records.opening import open_database
from api.records.tables import metadata

SCRIPTS = Path(__file__).parent / "migrations"


class SchemaError(Exception):
    """The database's schema is not the one this code needs; the text says what to do."""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.attributes["metadata"] = metadata
    return config


async def upgrade(url: str, to: str = "head") -> None:
    """Apply what is missing, however long that takes. Raises `SchemaError` for a schema of a newer
    version."""
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
    if found and found not in {script.revision for script in scripts.walk_revisions()}:
        raise SchemaError(_unknown(found, str(scripts.get_current_head())))
    config.attributes["connection"] = connection
    command.upgrade(config, to)


async def check(database: Database) -> str:
    """The schema's revision. Raises `SchemaError` unless it is this code's."""
    found = await database.read(_current)
    scripts = ScriptDirectory.from_config(_config())
    wanted = str(scripts.get_current_head())
    if found is None:
        raise SchemaError("the database has no tables yet; run: python -m api.migrate")
    if found not in {script.revision for script in scripts.walk_revisions()}:
        raise SchemaError(_unknown(found, wanted))
    if found != wanted:
        raise SchemaError(
            f"the schema is {found}, this version needs {wanted}; run: python -m api.migrate"
        )
    return found


def _unknown(found: str, wanted: str) -> str:
    return (
        f"the schema is {found}, which this version ({wanted}) doesn't know; start the newer"
        " version that made it, or restore the backup from before"
    )


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def run(url: str) -> None:
    """`upgrade`, for who has no loop."""
    asyncio.run(upgrade(url))
