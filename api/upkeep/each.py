"""How a duty does many things: a transaction for each, some of them under way at once."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import structlog

from api.records import forms, uploads
from api.records.database import Database, Transaction
from api.records.rows import UploadRow
from api.texts.errors import Problem
from api.upkeep.patience import Patience

log = structlog.get_logger()
T = TypeVar("T")


class Each:
    """await each(rows, act)

    One transaction an item, a row or the id of one, so that one nobody can handle doesn't hold up
    the others: it is logged, and the next sweep finds it again. Some at once, so that whoever else
    writes has their turn between. Raises what says that the database is away.
    """

    def __init__(self, database: Database, patience: Patience) -> None:
        self._database = database
        self._patience = patience

    async def __call__(self, items: Sequence[T], act: Callable[[Transaction, T], None], /) -> None:
        for some in batched(items, self._database.at_once):
            self._patience.still_alive()
            done = await asyncio.gather(
                *(self._database.write(act, item) for item in some), return_exceptions=True
            )
            for item, error in zip(some, done, strict=True):
                if isinstance(error, Problem) or not isinstance(error, Exception | None):
                    raise error  # the database is away: so it is for the next one
                if error:
                    log.error("sweep_row_failed", id=getattr(item, "id", item), exc_info=error)


def batched(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """So many at a time, in order."""
    return (items[first : first + size] for first in range(0, len(items), size))


def as_found(tx: Transaction, row: UploadRow) -> UploadRow | None:
    """The row under its form's lock, if it is still in the state it was found in."""
    forms.lock_any(tx, row.form_id)
    current = uploads.get(tx.conn, row.id)
    same = current and (current.status, current.generation) == (row.status, row.generation)
    return current if same else None
