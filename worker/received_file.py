"""The received file of an upload, wherever its bytes are."""

import asyncio
from pathlib import Path
from typing import NamedTuple

from shared.causes import Cause
from shared.internal_api import WorkOrder
from worker.errors import TransientError
from worker.hashed import Hashed
from worker.object_store import ObjectGone, ObjectStore
from worker.staged_file import BytesGone, verified

FETCHED = ".fetched"
"""No output of a decoder's is called like that: names of fields begin with letters."""
PATIENCE = 0.5
"""Of the time for the work: the rest is for what is made of the file."""


class Received(NamedTuple):
    path: Path
    hashed: Hashed | None = None
    """None of what lies where a decoder may write."""


async def received_file(
    staging: Path, store: ObjectStore, order: WorkOrder, scratch: Path
) -> Received:
    """The file, read whole: size and SHA-256 are those that were acknowledged. On the volume, or
    for an upload that reuses a stored one fetched from the bucket into `scratch`.

    Raises `BytesGone` or `TransientError`.
    """
    if order.from_key is None:
        hashed = await verified(staging, order, store.part_bytes)
        return Received(staging / order.staged_path, hashed)
    path = scratch / FETCHED
    try:
        async with asyncio.timeout(order.work_seconds * PATIENCE):
            await store.fetch(order.from_key, path, size=order.size, sha256=order.sha256)
    except ObjectGone as error:
        raise BytesGone("object-lost") from error
    except TimeoutError as error:  # not the file's doing
        detail = "the object takes too long"
        raise TransientError(Cause.STORE, counted=False, detail=detail) from error
    return Received(path)
