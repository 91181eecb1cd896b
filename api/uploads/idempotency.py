"""One upload for one key, however often it is sent (protocol P9)."""

import asyncio
import contextlib
import socket
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from api.records import forms, running_keys
from api.records.database import Database, Transaction
from api.services import Services
from api.texts.errors import Problem
from shared.ids import new_id

SLOW_SECONDS = 1
"""A body that takes longer is marked in the records, for the other replicas to see. A quick one is
over before anybody could meet it: its mark would cost more than it saves."""
RENEW_SECONDS = running_keys.MARK_MS / 1000 / 3
_HERE = f"{zlib.crc32(socket.gethostname().encode()):08x}_"
"""How the names of this machine's marks begin. A container keeps its name when it is restarted."""


@asynccontextmanager
async def holding_key(
    services: Services, form_id: str, field: str, key: str | None, *, is_marked: bool | None = None
) -> AsyncIterator[None]:
    """Hold the key while its body is received. A request that fails frees it. `is_marked` is
    whether it was marked in the records just now, where somebody looked.

    Raises `Problem` upload-running while another request with the key is being received.
    """
    if key is None:
        yield
        return
    mine = (form_id, field, key)
    if mine in services.running_keys:
        raise _upload_running(field)
    services.running_keys.add(mine)  # before anything is waited for: of two, one comes first
    try:
        if is_marked is None:
            is_marked = await services.database.read(running_keys.is_marked, *mine)
        if is_marked:
            raise _upload_running(field)
        mark = _Mark(services, *mine)
        try:
            yield
        finally:
            await mark.end()
    finally:
        services.running_keys.discard(mine)


async def free_keys(database: Database) -> None:
    """At a start: the keys of requests that an api before this one was receiving here. Another one
    on this machine marks its own again, if it has any."""
    with contextlib.suppress(Problem):  # they become free by themselves
        await database.note(running_keys.unmark_all, _HERE)


def _upload_running(field: str) -> Problem:
    return Problem("upload-running", field=field, retry_after=2)


class _Mark:
    """Marks the key in the records once the body has been slow, until it ends. It decides nothing,
    as the key of the upload does at its commit: so what fails here is of no matter."""

    def __init__(self, services: Services, form_id: str, field: str, key: str) -> None:
        self._database = services.database
        self._of = (form_id, field, key, _HERE + new_id("run"))
        self._over = asyncio.Event()
        self._setting: asyncio.Task[None] | None = None
        self._slow = asyncio.get_running_loop().call_later(SLOW_SECONDS, self._begin)

    def _begin(self) -> None:
        """A quick body has no task of its own."""
        self._setting = asyncio.create_task(self._set())

    async def _set(self) -> None:
        while not self._over.is_set():
            with contextlib.suppress(Problem):
                await self._database.note(_mark, *self._of)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RENEW_SECONDS):
                    await self._over.wait()

    async def end(self) -> None:
        self._slow.cancel()
        if self._setting is None:
            return
        self._over.set()
        await asyncio.wait([self._setting])  # not cancelled: its mark might come after the end
        with contextlib.suppress(Problem):  # it ends by itself
            await self._database.note(running_keys.unmark, *self._of)


def _mark(tx: Transaction, form_id: str, field: str, key: str, holder: str) -> None:
    forms.lock(tx, form_id)
    running_keys.mark(tx, form_id, field, key, holder)
