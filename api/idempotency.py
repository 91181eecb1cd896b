"""One upload for one key, however often it is sent (protocol P9)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from api.errors import Problem
from api.records import forms, keys
from api.records.database import Transaction
from api.services import Services
from shared.ids import new_id

RENEW_SECONDS = keys.MARK_MS / 3000


@asynccontextmanager
async def running(
    services: Services, form_id: str, field: str, key: str | None
) -> AsyncIterator[None]:
    """Hold the key while its body is received. A request that fails frees it.

    Raises `Problem` upload-running while another request with the key is being received.
    """
    if key is None:
        yield
        return
    holder = new_id("run")
    await _mark(services, form_id, field, key, holder)
    renewing = asyncio.create_task(_renew(services, form_id, field, key, holder))
    try:
        yield
    finally:
        renewing.cancel()
        with contextlib.suppress(Problem):  # the mark ends by itself
            await services.database.write(keys.unmark, form_id, field, key, holder)


async def _mark(services: Services, form_id: str, field: str, key: str, holder: str) -> None:
    def marked(tx: Transaction) -> None:
        forms.lock(tx, form_id)
        if not keys.mark(tx, form_id, field, key, holder):
            raise Problem("upload-running", field=field, headers={"Retry-After": "2"})

    await services.database.write(marked)


async def _renew(services: Services, form_id: str, field: str, key: str, holder: str) -> None:
    while True:
        await asyncio.sleep(RENEW_SECONDS)
        with contextlib.suppress(Problem):  # the key's upload decides at commit, not the mark
            await _mark(services, form_id, field, key, holder)
