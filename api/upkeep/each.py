"""How a duty does many things, so that one nobody can handle doesn't hold up the others."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import structlog

from api.records import forms, uploads
from api.records.database import Database, Transaction
from api.records.rows import UploadRow
from api.upkeep.patience import Patience

log = structlog.get_logger()
Item = TypeVar("Item", UploadRow, str)
"""An upload, or the id of a form."""


class Each:
    """await each(rows, act)

    Some at once, so that whoever else writes has their turn between. What `act` raises for one is
    logged, and the next sweep finds it again. Raises `Problem` when the database is away.
    """

    def __init__(self, database: Database, patience: Patience) -> None:
        self._database = database
        self._patience = patience

    async def __call__(
        self, items: Sequence[Item], act: Callable[[Transaction, Item], None], /
    ) -> None:
        in_order = sorted(items, key=_form_of)  # every replica locks forms in this one
        for some in _batched(in_order, self._database.at_once):
            self._patience.still_alive()
            errors = await self._database.write_each(act, some)
            for item, error in zip(some, errors, strict=True):
                if error:
                    log.error("sweep_row_failed", id=getattr(item, "id", item), exc_info=error)


def _form_of(item: UploadRow | str) -> str:
    return item if isinstance(item, str) else item.form_id


def _batched(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """So many at a time, in order."""
    return (items[first : first + size] for first in range(0, len(items), size))


def as_found(tx: Transaction, row: UploadRow) -> UploadRow | None:
    """The row under its form's lock, if it is still in the state it was found in."""
    forms.lock_any(tx, row.form_id)
    current = uploads.hold(tx, row.id)
    same = current and (current.status, current.generation) == (row.status, row.generation)
    return current if same else None
