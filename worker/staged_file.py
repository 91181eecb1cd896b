"""The received file on the volume, which the worker only reads."""

import asyncio
from pathlib import Path

from shared.causes import Cause
from shared.internal_api import WorkOrder
from shared.volume import MARKER
from worker.errors import SourceChanged, TransientError
from worker.hashed import Hashed, hash_file

SECOND_LOOK_SECONDS = 1.0
"""A network file system may show a new file late, or a stale one."""


class BytesGone(Exception):  # noqa: N818 - what happened
    """The acknowledged bytes are not on the volume, `bytes-lost` or `bytes-changed`; or not in the
    bucket, `object-lost`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


async def verified(root: Path, order: WorkOrder, part_bytes: int) -> Hashed:
    """The staged file, read whole: size and SHA-256 are those that were acknowledged. What it is
    put in parts of is for `hash_file`.

    Raises `TransientError("volume")` when the mount is not the volume of the records, and
    `BytesGone` after a second look.
    """
    path = root / order.staged_path
    try:
        return await asyncio.to_thread(_verify, root, path, order, part_bytes)
    except (OSError, SourceChanged):
        await asyncio.sleep(SECOND_LOOK_SECONDS)
        try:
            return await asyncio.to_thread(_verify, root, path, order, part_bytes)
        except FileNotFoundError as error:
            raise BytesGone("bytes-lost") from error
        except SourceChanged as error:
            raise BytesGone("bytes-changed") from error
        except OSError as error:
            raise TransientError(Cause.VOLUME, counted=False, detail=str(error)) from error


def _verify(root: Path, path: Path, order: WorkOrder, part_bytes: int) -> Hashed:
    try:
        marker = (root / MARKER).read_text().strip()
    except OSError as error:
        raise TransientError(Cause.VOLUME, counted=False, detail=f"no marker: {error}") from error
    if marker != order.volume_id:
        raise TransientError(Cause.VOLUME, counted=False, detail="the marker is another volume's")
    found = hash_file(path, part_bytes)
    if (found.size, found.sha256) != (order.size, order.sha256):
        raise SourceChanged(f"{found.size} of {order.size} bytes, or other ones")
    return found
