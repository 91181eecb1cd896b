"""Whether the staging volume is the one the records belong to, can be written, and has room."""

import errno

from sqlalchemy.exc import SQLAlchemyError

from api.staging.mount import Mount
from api.staging.staging import Staging
from api.texts.errors import Problem
from shared.finding import Finding, ok, warning, wrong
from shared.ids import new_id
from shared.volume import MARKER

NAME = "STAGING_DIR"
_FULL = {errno.ENOSPC, errno.EDQUOT}


async def check_volume(mount: Mount, staging: Staging) -> list[Finding]:
    """Marks nothing: that is the start's to do."""
    if not staging.root.is_dir():
        return [warning(NAME, f"there is no folder {staging.root} yet; the api's start makes it")]
    try:
        mismatch = await mount.mismatch()
    except (Problem, SQLAlchemyError, OSError):
        return [warning(NAME, "not looked at: the database, which knows its marker, is away")]
    if mismatch:
        return [wrong(NAME, mismatch)]
    return await try_out(staging)


def make_folders(staging: Staging) -> list[Finding]:
    """Only what is wrong."""
    try:
        staging.prepare()
    except OSError as error:
        return [wrong(NAME, _refused(error))]
    return []


async def try_out(staging: Staging) -> list[Finding]:
    """Make one file durable as an acknowledged one is made, and take it away again."""
    if not staging.space.is_left():
        few = "has less free than MIN_FREE_BYTES or MIN_FREE_INODES"
        return [warning(NAME, f"{few}: uploads are answered 507; make room")]
    try:
        staging.prepare()
        writer = staging.open(new_id("probe"))
        try:
            await writer.write(b"probe")
            written = await writer.finish()
        finally:
            await writer.discard()
        await staging.delete(written.name)
    except (Problem, OSError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        if isinstance(cause, OSError) and cause.errno in _FULL:
            return [warning(NAME, "is full: uploads are answered 507; make room")]
        return [wrong(NAME, _refused(cause))]
    return [ok(NAME, f"{staging.root} keeps what is written, and has its marker ({MARKER})")]


def _refused(error: BaseException | None) -> str:
    if not isinstance(error, OSError):
        return f"can't be used: {error}"
    where = error.filename or "the volume"
    return (
        f"{where} can't be written ({(error.strerror or str(error)).lower()});"
        " mount it writable, and give it to the user of this service"
    )
