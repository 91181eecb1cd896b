"""What was committed survives a power cut, whatever the database does by default."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from api.services import Services


async def test_a_commit_is_on_disk_before_it_is_answered(
    services: Services, database_url: str
) -> None:
    database = services.database
    if database_url.startswith("postgresql"):
        async with database.write() as tx:
            name = (await tx.conn.execute(text("SELECT current_database()"))).scalar_one()
            await tx.conn.execute(text(f'ALTER DATABASE "{name}" SET synchronous_commit = off'))
        await database.close()  # connections that are made now would have it
    async with database.read() as some, database.read(few=True) as few:
        said = [await _said(some), await _said(few)]
    async with database.write() as tx:
        said.append(await _said(tx.conn))
    whole = ["on"] if database_url.startswith("postgresql") else ["wal", 2]
    assert said == [whole] * 3


async def _said(connection: AsyncConnection) -> list[object]:
    asked = (
        ["SHOW synchronous_commit"]
        if connection.dialect.name == "postgresql"
        else ["PRAGMA journal_mode", "PRAGMA synchronous"]  # 2 is FULL
    )
    return [(await connection.exec_driver_sql(each)).scalar_one() for each in asked]
