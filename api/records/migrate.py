"""Bring a database to the schema this code needs."""

import asyncio

from alembic import command
from alembic.config import Config
from sqlalchemy import delete, insert, inspect

from api.records import schema
from api.records.database import Transaction
from api.records.opening import open_database
from api.records.tables import compatibility, metadata

OLDEST = "0012"
"""The oldest revision whose code works on this schema. A migration that takes away what the code of
before needs raises it; one that only adds doesn't."""


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
    found = schema.current(connection)
    if found and found not in schema.REVISIONS:
        schema.refuse_unless_it_serves(connection, found)
        return
    config = Config()
    config.set_main_option("script_location", str(schema.SCRIPTS))
    config.attributes.update(metadata=metadata, connection=connection)
    command.upgrade(config, to)
    if inspect(connection).has_table(compatibility.name):
        connection.execute(delete(compatibility))
        connection.execute(insert(compatibility).values(row=1, oldest=OLDEST))


def run(url: str) -> None:
    """`upgrade`, for who has no loop."""
    asyncio.run(upgrade(url))
