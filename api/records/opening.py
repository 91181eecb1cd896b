"""Open the records, whichever kind of database they are in."""

from sqlalchemy import make_url

from api.records.database import Database, Listener
from api.records.postgresql import PostgresDatabase
from api.records.sqlite import SqliteDatabase


def open_database(
    url: str, on_commit: Listener = lambda _: None, *, migrating: bool = False
) -> Database:
    """The database that `DATABASE_URL` names; nothing is connected yet. `on_commit` is told of each
    committed transaction's changes. A statement that is `migrating` may take any time."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return SqliteDatabase(parsed, on_commit)
    return PostgresDatabase(parsed, on_commit, migrating=migrating)
