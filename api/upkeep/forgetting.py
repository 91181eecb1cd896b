"""Rows that have served are forgotten, a batch of each kind a sweep."""

from api.records import begun_drafts, cleaning, staged, workers
from api.records.database import Database, Transaction

DAY_SECONDS = 86_400


class Forgetting:
    """Deletes rows that nobody will ask for."""

    def __init__(self, database: Database, *, quarantine_seconds: float) -> None:
        """`quarantine_seconds` is how long an orphan's file is kept; its name a day longer."""
        self._database = database
        self._names_kept_ms = int((quarantine_seconds + DAY_SECONDS) * 1000)

    async def forget_done(self) -> None:
        """Prefixes cleaned for good, names of orphans long gone, workers that ended."""
        cleaned, names, silent = await self._database.scan(
            lambda conn: (
                cleaning.done(conn),
                staged.long_condemned(conn, self._names_kept_ms),
                workers.silent(conn),
            )
        )

        def forgotten(tx: Transaction) -> None:
            cleaning.forget(tx, cleaned)
            staged.forget(tx, names)
            workers.forget(tx, silent)

        if cleaned or names or silent:
            await self._database.write(forgotten)

    async def forget_begun_drafts(self) -> None:
        """Counts of drafts that no quota looks at any more."""
        if await self._database.scan(begun_drafts.any_old):
            await self._database.write(begun_drafts.forget_old)
