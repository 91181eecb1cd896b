"""Prepared statements of the hot paths: made into SQL once, and then handed to the driver.

Making SQL of an expression, and rows of what is found, costs SQLAlchemy ten times what SQLite needs
to carry it out, and on PostgreSQL as much as the round trip. Such a statement is still written as
an expression, with the same types.
"""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import BindParameter, Column, Connection, Table, bindparam, insert, update
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import ClauseElement, Executable

from api.records.database import Moment, now_ms
from api.records.groups import driver_of

Row = dict[str, Any]
_Shape = tuple[tuple[str, bool], ...]
"""Each column that is set, and whether to a `Moment`: the same statement serves all such values."""


class Prepared:
    """One prepared statement, whose parameters are `given(column)`."""

    def __init__(self, statement: Executable) -> None:
        self._statement = statement
        self._in_words: dict[str, _InWords] = {}
        """By the name of the dialect."""

    def rows(self, conn: Connection, values: Mapping[str, Any]) -> list[Row]:
        """All that it finds or returns. `values` are by the names of columns."""
        dialect = conn.dialect
        in_words = self._in_words.get(dialect.name)
        if in_words is None:
            kind = _OnSqlite if dialect.name == "sqlite" else _OnPostgresql
            in_words = self._in_words[dialect.name] = kind(self._statement, dialect)
        return in_words.rows(conn, values)

    def row(self, conn: Connection, values: Mapping[str, Any]) -> Row | None:
        """The one row that it finds, if any."""
        found = self.rows(conn, values)
        return found[0] if found else None


def given(column: Column[Any], name: str | None = None) -> BindParameter[Any]:
    """A parameter of the column's type, called as the column is, or by `name`."""
    return bindparam(f"{name or column.name}_", type_=column.type)


def insert_row(conn: Connection, table: Table, values: Mapping[str, Any]) -> Row:
    """Insert a row and return it as it is then: what was given, and what only the database knows. A
    value may be a `Moment`.

    insert_row(conn, forms, {"id": form_id, "created_at": NOW, …})
    """
    (found,) = _insert(table, _shape(values), returning=True).rows(conn, _parameters(values))
    return {**values, **found}


def add_row(conn: Connection, table: Table, values: Mapping[str, Any]) -> None:
    """The same for a row that nobody looks at now.

    add_row(conn, events, {"form_id": form_id, "at": NOW})
    """
    _insert(table, _shape(values), returning=False).rows(conn, _parameters(values))


def update_rows(
    conn: Connection,
    table: Table,
    where: Mapping[str, Any],
    values: Mapping[str, Any],
    *,
    counting: str | None = None,
    returning: Sequence[str] = (),
) -> list[Row]:
    """Update the rows whose columns have the values of `where`, and return those rows as they are
    then. `counting` is a column that is raised by one; `returning` are the columns to return, else
    all. A value may be a `Moment`.

    update_rows(conn, forms, {"id": form_id}, {"edited_at": NOW}, counting="version")
    """
    statement = _update(table, tuple(where), _shape(values), counting, tuple(returning))
    conditions = {_of(name): value for name, value in where.items()}
    return statement.rows(conn, _parameters(values) | conditions)


@lru_cache(maxsize=256)
def _insert(table: Table, shape: _Shape, *, returning: bool) -> Prepared:
    statement = insert(table).values(_assignments(table, shape))
    if not returning:
        return Prepared(statement.inline())
    known = {name for name, is_moment in shape if not is_moment}
    unknown = [column for column in table.c if column.name not in known]
    return Prepared(statement.returning(*(unknown or table.c)))


@lru_cache(maxsize=256)
def _update(
    table: Table,
    where: tuple[str, ...],
    shape: _Shape,
    counting: str | None,
    returning: tuple[str, ...],
) -> Prepared:
    values = _assignments(table, shape)
    if counting:
        values[counting] = table.c[counting] + 1
    conditions = [table.c[name] == given(table.c[name], _of(name)) for name in where]
    returned = [table.c[name] for name in returning] or table.c
    return Prepared(update(table).where(*conditions).values(values).returning(*returned))


def _shape(values: Mapping[str, Any]) -> _Shape:
    return tuple((name, isinstance(value, Moment)) for name, value in values.items())


def _parameters(values: Mapping[str, Any]) -> Row:
    return {
        name: value.after_ms if isinstance(value, Moment) else value
        for name, value in values.items()
    }


def _assignments(table: Table, shape: _Shape) -> dict[str, Any]:
    return {
        name: now_ms() + given(table.c[name]) if is_moment else given(table.c[name])
        for name, is_moment in shape
    }


def _of(name: str) -> str:
    """A column may stand in a condition and be set at once: two parameters, of two names."""
    return f"of_{name}"


class _InWords(ABC):
    """Its text, the order of its parameters, and how values become the driver's and back."""

    def __init__(self, statement: Executable, dialect: Dialect) -> None:
        assert isinstance(statement, ClauseElement)  # noqa: S101 - for the type checker
        compiled: Any = statement.compile(dialect=dialect)
        self._dialect = dialect
        self._text = str(compiled)
        self._parameters = [
            (name.removesuffix("_"), bind.required, bind.value, _to_driver(bind.type, dialect))
            for name in compiled.positiontup or ()
            for bind in [compiled.binds[name]]
        ]
        returned = list(getattr(statement, "exported_columns", ()))
        self._names = [column.name for column in returned]
        self._read = [
            (column.name, read)
            for column in returned
            if (read := _from_driver(column.type, dialect))
        ]

    def bound(self, values: Mapping[str, Any]) -> list[Any]:
        """The parameters in their order, as the driver takes them."""
        return [
            convert(value) if convert else value
            for name, is_given, fixed, convert in self._parameters
            for value in [values[name] if is_given else fixed]
        ]

    def rows(self, conn: Connection, values: Mapping[str, Any]) -> list[Row]:
        names, read = self._names, self._read
        found = self._found(conn, self.bound(values))
        rows = [dict(zip(names, each, strict=True)) for each in found]
        for row in rows:
            for name, convert in read:
                row[name] = convert(row[name])
        return rows

    @abstractmethod
    def _found(self, conn: Connection, bound: list[Any]) -> Iterable[Sequence[Any]]: ...


class _OnSqlite(_InWords):
    def _found(self, conn: Connection, bound: list[Any]) -> Iterable[Sequence[Any]]:
        try:
            return driver_of(conn).execute(self._text, bound).fetchall()
        except sqlite3.Error as error:
            raise DBAPIError.instance(
                self._text, None, error, sqlite3.Error, dialect=self._dialect
            ) from error


class _OnPostgresql(_InWords):
    """By the cursor that SQLAlchemy would use: it begins a transaction where there is to be one,
    has the server prepare each text once a connection, and gives errors their names."""

    def _found(self, conn: Connection, bound: list[Any]) -> Iterable[Sequence[Any]]:
        cursor = conn.connection.cursor()
        try:
            cursor.execute(self._text, bound)
        except BaseException as error:  # noqa: BLE001 - also one that is cancelled
            if _is_outdated(error, self._dialect):
                conn.invalidate(error)
            # What it would do itself: raise its own error for this one, give up a connection that
            # is gone, tell who listens. Without the text, for it would wrap any error then.
            conn._handle_dbapi_exception(error, None, None, cursor, None)  # noqa: SLF001 - there is no other way
        return cursor.fetchall() if self._names else ()


def _is_outdated(error: BaseException, dialect: Dialect) -> bool:
    """Whether the server can't use what it prepared, such as after a column got another type."""
    driver = dialect.loaded_dbapi
    return isinstance(error, driver.NotSupportedError | driver.InternalError)


Conversion = Callable[[Any], Any] | None
"""None where a value stays as it is."""


def _to_driver(type_: Any, dialect: Dialect) -> Conversion:
    conversion: Conversion = type_.dialect_impl(dialect).bind_processor(dialect)
    return conversion


def _from_driver(type_: Any, dialect: Dialect) -> Conversion:
    conversion: Conversion = type_.dialect_impl(dialect).result_processor(dialect, None)
    return conversion
