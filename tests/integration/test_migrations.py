"""The schema that the migrations make is the one that the code knows."""

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection

from api.records import migrate
from api.records.database import Database
from api.records.tables import metadata


async def test_the_migrations_make_the_tables_and_indexes_of_the_code(database_url: str) -> None:
    await migrate.upgrade(database_url)
    database = Database(database_url)

    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    async with database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await database.close()
