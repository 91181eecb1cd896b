"""What was committed survives a power cut, whatever the database does by default."""

from sqlalchemy import Connection

from api.services import Services
from tests.support.sql import execute, values_of


async def test_a_commit_is_on_disk_before_it_is_answered(
    services: Services, database_url: str
) -> None:
    database = services.database
    if database_url.startswith("postgresql"):
        (name,) = await values_of(database, "SELECT current_database()")
        await execute(database, f'ALTER DATABASE "{name}" SET synchronous_commit = off')
        await database.close()  # connections that are made now would have it
    said = [await database.read(_said), await database.scan(_said)]
    said.append(await database.write(lambda tx: _said(tx.conn)))
    whole = ["on"] if database_url.startswith("postgresql") else ["wal", 2]
    assert said == [whole] * 3


def _said(connection: Connection) -> list[object]:
    asked = (
        ["SHOW synchronous_commit"]
        if connection.dialect.name == "postgresql"
        else ["PRAGMA journal_mode", "PRAGMA synchronous"]  # 2 is FULL
    )
    return [connection.exec_driver_sql(each).scalar_one() for each in asked]
