"""Which schema this code needs, and whether a database has it."""

from pathlib import Path

from sqlalchemy import Connection, column, inspect, select, table

from api.records.database import Database
from api.records.tables import compatibility

SCRIPTS = Path(__file__).parent / "migrations"
REVISIONS = sorted(path.name.partition("_")[0] for path in SCRIPTS.glob("versions/[0-9]*_*.py"))
"""Those that this code knows, each on top of the one before, as the names of their files have it:
to ask Alembic is a tenth of what a start takes."""
NEEDED = REVISIONS[-1]
_REVISION = table("alembic_version", column("version_num"))


class SchemaError(Exception):
    """The database's schema is not the one this code needs; the text says what to do."""


async def check(database: Database) -> str:
    """The schema's revision. Raises `SchemaError` unless this code works on it."""
    found = await database.read(current)
    if found is None:
        raise SchemaError("the database has no tables yet; run: python -m api.migrate")
    if found not in REVISIONS:
        await database.read(refuse_unless_it_serves, found)
    elif found != NEEDED:
        raise SchemaError(
            f"the schema is {found}, this version needs {NEEDED}; run: python -m api.migrate"
        )
    return found


def refuse_unless_it_serves(connection: Connection, found: str) -> None:
    """Raise `SchemaError` unless a schema that this code doesn't know says that it works on it."""
    if inspect(connection).has_table(compatibility.name):  # else it is another application's
        oldest = connection.execute(select(compatibility.c.oldest)).scalar()
        if oldest is not None and oldest <= NEEDED:
            return
    raise SchemaError(
        f"the schema is {found}, which this version ({NEEDED}) can't work on; start the newer"
        " version that made it, or restore the backup from before"
    )


def current(connection: Connection) -> str | None:
    """The revision that the database is at; None where it has no tables."""
    if not inspect(connection).has_table(_REVISION.name):
        return None
    found: str | None = connection.execute(select(_REVISION)).scalar()
    return found
