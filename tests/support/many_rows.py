"""Records as they are after years: many settled uploads, a few that the sweep has work with."""
# ruff: noqa: S608 - the words are these

import json
from dataclasses import dataclass

from sqlalchemy import text

from api.records.database import Database, Transaction, clock
from shared.policy import FilePolicy
from tests.support.sql import execute

DAY = 86_400_000
NUMBERS = "WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last}) "
AT_ONCE = 200_000
"""Rows in one statement: a million take longer than one may, where others work too."""
FIRST = 1_000_000_000
"""Ids are this and a row's number, so that they have the same length."""


@dataclass(frozen=True)
class Work:
    """How many uploads, from the first one on, there are of each kind; all others are stored."""

    due: int = 0
    overdue: int = 0
    lost: int = 0
    condemned: int = 0
    purging: int = 0
    waiting: int = 0
    """Staged with a wake-up to come: a backlog."""
    leased: int = 0
    failed: int = 0
    rejected: int = 0
    drafts: int = 0
    old_rejected: int = 0
    old_failed: int = 0
    old_drafts: int = 0
    undated: int = 0
    """Drafts of an api that doesn't know when they were edited."""
    old_submitted: int = 0

    def kinds(self) -> dict[str, range]:
        """Kind → numbers of its rows."""
        ranges, start = {}, 1
        for kind, count in vars(self).items():
            ranges[kind] = range(start, start + count)
            start += count
        return ranges


async def fill(database: Database, rows: int, work: Work, *, clean_every: int = 10) -> None:
    """One form an upload, an event each, a cleaning for every so many; then ANALYZE."""
    kinds = work.kinds()

    def case(values: dict[str, str], other: str) -> str:
        whens = [
            f"WHEN i BETWEEN {kinds[kind].start} AND {kinds[kind].stop - 1} THEN {value}"
            for kind, value in values.items()
            if kinds[kind]
        ]
        return f"CASE {' '.join(whens)} ELSE {other} END" if whens else other

    status = case(
        dict.fromkeys(("due", "overdue", "waiting"), "'staged'")
        | dict.fromkeys(("lost", "leased"), "'processing'")
        | dict.fromkeys(("failed", "old_failed"), "'failed'")
        | dict.fromkeys(("rejected", "old_rejected"), "'rejected'")
        | {"purging": "'removed'", "condemned": "'replaced'"},
        "'stored'",
    )
    with_bytes = ("due", "overdue", "waiting", "lost", "leased", "failed", "rejected")
    kept = dict.fromkeys((*with_bytes, "old_failed", "old_rejected"), "'kept'")
    form = case(
        {"purging": "'purging'"} | dict.fromkeys(("drafts", "old_drafts", "undated"), "'draft'"),
        "'submitted'",
    )
    policy = FilePolicy.model_validate({"accept": ["image/png"], "max_bytes": 1000})

    def filled(tx: Transaction, first: int) -> None:
        now = clock(tx.conn)
        number = f"CAST({FIRST} + i AS VARCHAR)"
        count = NUMBERS.format(first=first, last=min(rows, first + AT_ONCE - 1))
        for statement in (
            f"""INSERT INTO forms (id, type, status, token_hash, data, version, edit, created_at,
                updated_at, edited_at, submitted_at) {count} SELECT 'frm_' || {number},
                'acceptance', {form}, {number}, '{{}}', 1, 1, {now} - i, {now},
                {case({"old_drafts": "1", "undated": "NULL"}, f"{now} - i")},
                {case(dict.fromkeys(("drafts", "old_drafts", "undated"), "NULL") | {"old_submitted": "1"}, f"{now} - i")}
                FROM n""",
            f"""INSERT INTO uploads (id, form_id, field, slot, seq, status, version, generation,
                applied_generation, work_until, lease_until, attempts, backoffs, next_attempt_at,
                deadline, wake, wakes_unanswered, wake_at, filename, size, sha256, bytes, policy,
                key_base, derivatives, notices, created_at, updated_at) {count}
                SELECT 'upl_' || {number}, 'frm_' || {number}, 'needed', 'needed', 1, {status}, 1,
                {case(dict.fromkeys(("lost", "leased"), "1"), "0")}, 0, {now},
                {case({"lost": "1", "leased": f"{now} + 20000"}, "NULL")}, 0, 0, 0,
                {case({"overdue": "1"}, f"{now} + {7 * DAY} + i")}, 1, 0,
                {case({"due": "1"}, f"{now} + {DAY} + i")}, 'licence.png', 1000, '{"0" * 64}',
                {case(kept | {"condemned": "'condemned'"}, "'gone'")}, :policy,
                'acceptance/' || {number}, '{{}}', '[]', {now} - i,
                {case(dict.fromkeys(("old_rejected", "old_failed"), "1"), f"{now} - i")} FROM n""",
            f"""INSERT INTO events (form_id, version, upload_id, to_status, at) {count}
                SELECT 'frm_' || {number}, 1, 'upl_' || {number}, 'stored', {now} FROM n""",
            f"""INSERT INTO staged_names (name, condemned, at) {count}
                SELECT 'upl_' || {number}, i % 1000 = 0, {now} - i FROM n""",
            f"""INSERT INTO segments (name, upload_id, start, size, condemned) {count}
                SELECT 'seg_' || {number}, 'upl_' || {number}, 0, 1000, i % 1000 = 0
                FROM n WHERE i % {clean_every} = 0 AND i > {sum(vars(work).values())}""",
            f"""INSERT INTO begun_drafts (client, step, drafts) {count}
                SELECT {number}, {now} / 300000, 1 FROM n""",
            f"""INSERT INTO cleanings (prefix, form_id, not_before, passes, at) {count}
                SELECT 'acceptance/' || {number}, 'frm_' || {number}, {now} + {DAY} + i, 1, {now}
                FROM n WHERE i % {clean_every} = 0""",
        ):
            parameters = {"policy": json.dumps(policy.model_dump(mode="json"))}
            used = parameters if ":policy" in statement else {}
            tx.conn.execute(text(statement), used)

    for first in range(1, rows + 1, AT_ONCE):
        await database.write(filled, first)
    await execute(database, "ANALYZE")
