"""Open the records, whichever kind of database they are in."""

from sqlalchemy import make_url

from api.records.database import Database, Listener, harmless
from api.records.postgresql import PostgresDatabase
from api.records.sqlite import SqliteDatabase


def open_database(
    url: str, on_commit: Listener = lambda _: None, *, migrating: bool = False
) -> Database:
    """The database that `DATABASE_URL` names; nothing is connected yet. `on_commit` is told of each
    committed transaction's changes. A statement that is `migrating` may take any time."""
    parsed, told = make_url(url), harmless(on_commit)
    if parsed.get_backend_name() == "sqlite":
        return SqliteDatabase(parsed, told)
    return PostgresDatabase(parsed, told, migrating=migrating)
