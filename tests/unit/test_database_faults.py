"""What an operator is told of a database that can't be used, and never its password."""

import pytest
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

from api.records.faults import explain

SERVER = "postgresql+asyncpg://anna:s3cret@db.example/records"
FILE = "sqlite+aiosqlite:////var/records.db"


class SaidError(Exception):
    """A driver's error, with PostgreSQL's code for it."""

    def __init__(self, text: str, sqlstate: str | None = None) -> None:
        super().__init__(text)
        self.sqlstate = sqlstate


def _wrapped(said: Exception) -> Exception:
    """As SQLAlchemy hands it on, behind an error of ours."""
    error = DBAPIError("SELECT 1", None, said)
    error.__cause__ = said
    ours = RuntimeError("unavailable")
    ours.__cause__ = error
    return ours


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("28P01", "PostgreSQL refuses the password of 'anna'; correct user or password"),
        ("28000", "PostgreSQL lets 'anna' not in (the words); correct the user, or allow it to log in"),
        ("3D000", "there is no database 'records'; make it with: createdb records"),
        ("42501", "'anna' may not use the tables (the words); make it their owner, or grant it rights"),
        ("53300", "PostgreSQL has no connection left; raise max_connections, or run fewer apis"),
        ("57P03", "PostgreSQL is starting or stopping (the words); try again"),
        ("XX000", "the database answers: the words"),
        (None, "the database answers: the words"),
    ],
)  # fmt: skip # one table
def test_what_postgresql_refuses_is_told_with_what_to_do(state: str | None, told: str) -> None:
    said = SaidError("the\n  words", state)
    assert explain(_wrapped(said), make_url(SERVER)) == told
    assert explain(said, make_url(SERVER)) == told


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("file is not a database", "/var/records.db is no SQLite database; name another file"),
        ("Unable to open database file", "/var/records.db can't be opened; its folder has to be there, and be ours to write"),
        ("attempt to write a readonly database", "/var/records.db can't be written; give it to the user of this service"),
        ("database is locked", "/var/records.db is locked by another process; try again when it has ended"),
        ("disk I/O error", "/var/records.db: reading or writing failed; look after the disk"),
        ("no such table", "the database answers: no such table"),
    ],
)  # fmt: skip # one table
def test_what_sqlite_says_is_told_of_its_file(said: str, told: str) -> None:
    assert explain(_wrapped(SaidError(said)), make_url(FILE)) == told


@pytest.mark.parametrize(
    ("url", "where"),
    [
        (SERVER, "db.example:5432"),
        ("postgresql+asyncpg://anna@db.example:6000/records", "db.example:6000"),
        ("postgresql+asyncpg://anna@/records?host=/run/db", "/run/db"),
        ("postgresql+asyncpg:///records", "it"),
    ],
)
def test_a_server_that_is_away_is_named_by_its_address(url: str, where: str) -> None:
    told = explain(ConnectionRefusedError(111, "refused"), make_url(url))
    assert told == f"nothing listens at {where}; start PostgreSQL, or correct the address"
    assert "nothing listens" not in explain(ConnectionRefusedError(111, "x"), make_url(FILE))


def test_an_error_without_words_is_told_by_its_name_and_one_behind_another_by_its_own() -> None:
    assert explain(ValueError(), make_url(SERVER)) == "the database answers: ValueError"
    outer = RuntimeError("outer")
    outer.__cause__ = ValueError("inner")
    assert explain(outer, make_url(SERVER)) == "the database answers: inner"
