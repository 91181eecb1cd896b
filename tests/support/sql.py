"""What a test asks the records, or changes in them, past the api."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Executable, Row, select, text

from api.records.database import Database, Transaction
from api.records.rows import UploadRow
from api.records.tables import uploads


async def rows_of(database: Database, statement: Executable | str) -> Sequence[Row[Any]]:
    """All that a query finds."""

    def asked(conn: Connection) -> Sequence[Row[Any]]:
        return conn.execute(_executable(statement)).all()

    return await database.read(asked)


async def values_of(database: Database, statement: Executable | str) -> list[Any]:
    """The first column of what a query finds."""
    return [row[0] for row in await rows_of(database, statement)]


def uploads_of(conn: Connection, form_id: str) -> list[UploadRow]:
    """A form's uploads with all columns, oldest first."""
    found = select(uploads).where(uploads.c.form_id == form_id)
    rows = conn.execute(found.order_by(uploads.c.seq, uploads.c.id)).mappings()
    return [UploadRow.of(row) for row in rows]


async def execute(database: Database, *statements: Executable | str, **parameters: Any) -> None:
    """Statements in one transaction."""

    def done(tx: Transaction) -> None:
        for statement in statements:
            tx.conn.execute(_executable(statement), parameters or None)

    await database.write(done)


def _executable(statement: Executable | str) -> Executable:
    return text(statement) if isinstance(statement, str) else statement
