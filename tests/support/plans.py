"""How a database would carry out statements: whether it searches, or looks at every row."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from sqlalchemy import Connection, event

from api.records import prepared
from api.records.database import Database
from api.records.tables import metadata

SMALL = {"volume", "workers"}
"""Tables of one row, and of a row for each worker that lives."""
CROWDED = {"ix_forms_drafts"}
"""Partial indexes with a row for every draft there is."""
PARTIAL = {
    str(index.name)
    for table in metadata.tables.values()
    for index in table.indexes
    if index.dialect_options["sqlite"]["where"] is not None
} - CROWDED
"""Indexes that hold only rows which wait for something: to go over one from its start is fine."""

Statement = tuple[str, Any]


@contextmanager
def heard(database: Database, see: Callable[..., None]) -> Iterator[None]:
    """Have `see` told of every statement, by whichever of the connections it goes."""
    by_the_driver = prepared._InWords.rows

    def rows(self: Any, conn: Any, values: Any) -> Any:
        see(None, None, self._text, tuple(self.bound(values)))
        return by_the_driver(self, conn, values)

    event.listen(database.engine, "before_cursor_execute", see)
    try:
        with patch.object(prepared._InWords, "rows", rows):
            yield
    finally:
        event.remove(database.engine, "before_cursor_execute", see)


@contextmanager
def captured(database: Database) -> Iterator[dict[str, Any]]:
    """Every statement that reads or writes rows, with its last parameters."""
    found: dict[str, Any] = {}

    def see(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if statement.lstrip().split(None, 1)[0] in {"SELECT", "INSERT", "UPDATE", "DELETE"}:
            found[statement] = parameters

    with heard(database, see):
        yield found


def explain(conn: Connection, statement: str, parameters: Any) -> list[str]:
    """The plan, a line a node."""
    if conn.dialect.name == "sqlite":
        rows = conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return [str(row.detail) for row in rows]
    rows = conn.exec_driver_sql(f"EXPLAIN (FORMAT JSON, COSTS OFF) {statement}", parameters)
    plan = rows.scalar_one()
    return list(_nodes((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]))


def _nodes(plan: dict[str, Any]) -> Iterator[str]:
    told = [plan["Node Type"], plan.get("Relation Name", ""), plan.get("Index Name", "")]
    condition = plan.get("Index Cond")
    yield " ".join([*filter(None, told), *([f"COND {condition}"] if condition else [])])
    for child in plan.get("Plans", []):
        yield from _nodes(child)


def full_scans(plan: list[str]) -> list[str]:
    """The nodes that look at every row of a table, or at every entry of an index of all rows."""
    return [node for node in plan if _is_full_scan(node.split())]


def _is_full_scan(words: list[str]) -> bool:
    if words[0] == "SCAN":  # SQLite
        return words[1] in metadata.tables and not {words[1], words[-1]} & (PARTIAL | SMALL)
    scans = words[1:2] == ["Scan"] or words[2:3] == ["Scan"]  # PostgreSQL: Seq, Index, Index Only
    if not scans or "Heap" in words:
        return False
    if words[0] == "Seq":
        return words[2] not in SMALL
    return words[0] in {"Index", "Bitmap"} and "COND" not in words and not PARTIAL & set(words)
