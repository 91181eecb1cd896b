"""The schema that the migrations make is the one that the code knows."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection

from api.records import migrate
from api.records.opening import open_database
from api.records.tables import metadata
from tests.integration.conftest import DATABASES
from tests.support.postgres import new_database


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a database that has no tables yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/records.db"
    return new_database(request.getfixturevalue("postgres"), "unmigrated")


async def test_the_migrations_make_the_tables_and_indexes_of_the_code(database_url: str) -> None:
    await migrate.upgrade(database_url)
    await _is_what_the_code_knows(database_url)


async def test_a_database_of_the_first_tables_is_brought_up_to_date(database_url: str) -> None:
    await migrate.upgrade(database_url, to="0001")
    database = open_database(database_url)
    with pytest.raises(migrate.SchemaError, match=r"run: python -m api\.migrate"):
        await migrate.check(database)
    await database.close()
    await migrate.upgrade(database_url)
    await _is_what_the_code_knows(database_url)


async def _is_what_the_code_knows(database_url: str) -> None:
    database = open_database(database_url)

    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    assert await database.scan(differences) == []
    await database.close()
