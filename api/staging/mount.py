"""Whether the mounted volume is the one the records belong to (protocol P5).

A volume that is not mounted looks like an empty folder, a lost database like an empty one: in both
cases receiving would lose files and sweeping would delete them.
"""

import contextlib

import structlog
from sqlalchemy.exc import IntegrityError

from api.records import staged
from api.records.database import Database
from api.staging.staging import Staging
from api.texts.errors import Problem
from shared.ids import new_id
from shared.volume import MARKER

log = structlog.get_logger()

_NEW_DATABASE = (
    "the volume has a marker and the database is new; take the database that belongs to it, or an"
    " empty volume"
)
_NO_MARKER = (
    f"the volume has no marker ({MARKER}): it isn't mounted, or is another one; mount the one that"
    " belongs to this database"
)
_ANOTHERS = (
    "the volume is that of another database; mount the one that belongs to this, or correct"
    " DATABASE_URL"
)


class Mount:
    """Knows the volume by its id. `open` it once at start; before, no volume matches."""

    def __init__(self, database: Database, staging: Staging) -> None:
        self._database = database
        self._staging = staging
        self.id = ""

    async def open(self) -> None:
        """Learn the volume's id, and mark volume and database as belonging together the first
        time, when neither is marked."""
        mismatch = await self.mismatch()
        if mismatch:
            log.error("volume_mismatch", setting="STAGING_DIR", reason=mismatch)
        known = await self._database.read(staged.volume_id)
        if known is None:
            if mismatch:
                return
            known = await self._name()
        self.id, confirmed = known
        if not confirmed:
            await self._staging.write_marker(self.id)
            await self._database.write(staged.confirm_volume)

    async def mismatch(self) -> str | None:
        """Why the volume isn't that of the records, and what to do. None when it is, or when it
        is yet to be marked."""
        known = await self._database.read(staged.volume_id)
        marker = await self._staging.read_marker()
        if known is None:
            return _NEW_DATABASE if marker else None
        volume_id, confirmed = known
        if marker is None:
            return _NO_MARKER if confirmed else None
        return None if marker == volume_id else _ANOTHERS

    async def _name(self) -> tuple[str, bool]:
        """A new id, or that of another replica which starts at the same time."""
        made = new_id("vol")
        with contextlib.suppress(IntegrityError):
            await self._database.write(staged.name_volume, made)
        return await self._database.read(staged.volume_id) or (made, False)

    async def matches(self) -> bool:
        """Whether the mounted volume is that of the records, asked anew each time."""
        return bool(self.id) and await self._staging.read_marker() == self.id

    async def require(self) -> None:
        """Raise `Problem` unavailable unless the volume is the right one."""
        if not await self.matches():
            raise Problem("unavailable", retry_after=30)
