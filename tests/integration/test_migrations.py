"""The schema that the migrations make is the one that the code knows."""

import ast
from dataclasses import fields
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Table, inspect, update

from api.records import migrate, schema
from api.records.database import Transaction
from api.records.opening import open_database
from api.records.rows import FormRow, UploadRow
from api.records.tables import compatibility, forms, metadata, uploads
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


@pytest.mark.parametrize(("row", "table"), [(FormRow, forms), (UploadRow, uploads)])
def test_a_row_has_a_member_for_each_column(row: type, table: Table) -> None:
    members = {each.name for each in fields(row)}
    assert members == {column.name for column in table.c}, f"{row.__name__} of api/records/rows.py"


async def test_a_database_of_the_first_tables_is_brought_up_to_date(database_url: str) -> None:
    await migrate.upgrade(database_url, to="0001")
    database = open_database(database_url)
    with pytest.raises(schema.SchemaError, match=r"run: python -m api\.migrate"):
        await schema.check(database)
    await database.close()
    await migrate.upgrade(database_url)
    await _is_what_the_code_knows(database_url)


async def test_each_migration_has_a_way_back(database_url: str) -> None:
    await migrate.upgrade(database_url)
    database = open_database(database_url, migrating=True)

    def back(tx: Transaction) -> None:
        tx.conn.exec_driver_sql("SELECT 1")  # Alembic commits a transaction that it begins itself
        config = Config()
        config.set_main_option("script_location", str(schema.SCRIPTS))
        config.attributes.update(connection=tx.conn, metadata=metadata)
        command.downgrade(config, "0001")

    await database.write(back)
    await database.close()
    await migrate.upgrade(database_url)
    await _is_what_the_code_knows(database_url)


def test_the_oldest_release_that_the_schema_serves_is_one_that_there_is() -> None:
    assert migrate.OLDEST in schema.REVISIONS


def test_a_migration_is_named_by_its_revision_and_follows_the_one_before() -> None:
    scripts = ScriptDirectory(str(schema.SCRIPTS)).walk_revisions()
    assert [each.revision for each in scripts] == schema.REVISIONS[::-1], "NNNN_what_it_does.py"


async def columns(database_url: str) -> dict[tuple[str, str], bool]:
    """Table and name of each, and whether a row can be written without it."""
    database = open_database(database_url)

    def found(connection: Connection) -> dict[tuple[str, str], bool]:
        return {
            (table, each["name"]): each["nullable"] or each["default"] is not None
            for (_, table), of_table in inspect(connection).get_multi_columns().items()
            for each in of_table
        }

    there = await database.scan(found)
    await database.close()
    return there


async def test_code_of_before_can_write_beside_a_column_that_was_added(database_url: str) -> None:
    await migrate.upgrade(database_url, to="0001")
    before = await columns(database_url)
    await migrate.upgrade(database_url)
    tables = {table for table, _ in before}
    added = {
        each: may_lack
        for each, may_lack in (await columns(database_url)).items()
        if each not in before and each[0] in tables
    }
    assert added
    assert [each for each, may_lack in added.items() if not may_lack] == [], "a server_default"


def taken_away(path: Path, way: str) -> set[str]:
    """The operations in a way of a migration after which code of before may miss something."""
    (made,) = (
        each
        for each in ast.parse(path.read_text("utf-8")).body
        if isinstance(each, ast.FunctionDef) and each.name == way
    )
    named = {each.attr for each in ast.walk(made) if isinstance(each, ast.Attribute)}
    return named & {"drop_column", "drop_table", "rename_table"}


def test_what_takes_away_from_code_of_before_says_so() -> None:
    versions = sorted((schema.SCRIPTS / "versions").glob("[0-9]*.py"))
    newer = [path for path in versions if path.name[:4] > migrate.OLDEST]
    taking = {path.name: taken for path in newer if (taken := taken_away(path, "upgrade"))}
    assert not taking, "OLDEST of api/records/migrate.py"
    assert taken_away(versions[0], "downgrade"), "they are found"


def of_a_newer_version(tx: Transaction, oldest: str) -> None:
    tx.conn.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    tx.conn.execute(update(compatibility).values(oldest=oldest))


@pytest.mark.parametrize("oldest", ["0001", "0012"])
async def test_code_of_before_starts_on_a_newer_schema_that_serves_it(
    database_url: str, oldest: str
) -> None:
    await migrate.upgrade(database_url)
    database = open_database(database_url)
    await database.write(of_a_newer_version, oldest)
    assert await schema.check(database) == "9999"
    await migrate.upgrade(database_url)
    assert await schema.check(database) == "9999", "and leaves it as it is"
    await database.close()


async def test_code_that_a_newer_schema_does_not_serve_refuses_to_start(database_url: str) -> None:
    await migrate.upgrade(database_url)
    database = open_database(database_url)
    await database.write(of_a_newer_version, "9998")
    with pytest.raises(schema.SchemaError, match="start the newer version that made it"):
        await schema.check(database)
    with pytest.raises(schema.SchemaError, match="start the newer version that made it"):
        await migrate.upgrade(database_url)
    await database.close()


async def test_a_schema_of_another_application_serves_nobody(database_url: str) -> None:
    await migrate.upgrade(database_url)
    database = open_database(database_url)

    def another(tx: Transaction) -> None:
        tx.conn.exec_driver_sql("UPDATE alembic_version SET version_num = 'ae1027a6acf'")
        tx.conn.exec_driver_sql("DROP TABLE compatibility")

    await database.write(another)
    with pytest.raises(schema.SchemaError, match="the schema is ae1027a6acf"):
        await schema.check(database)
    await database.close()


async def _is_what_the_code_knows(database_url: str) -> None:
    database = open_database(database_url)

    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    assert await database.scan(differences) == [], "api/records/tables.py and the last migration"
    await database.close()
