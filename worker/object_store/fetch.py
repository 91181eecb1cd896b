"""Getting an object back out of the bucket: to be used again, or to know what is there."""

import asyncio
import hashlib
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from botocore.exceptions import ClientError

from shared.causes import Cause
from worker.errors import TransientError
from worker.object_store.faults import as_transient, status_of

if TYPE_CHECKING:  # the stubs are not installed where the worker runs
    from aiobotocore.response import StreamingBody
    from types_aiobotocore_s3 import S3Client

CHUNK = 1024 * 1024


class ObjectGone(Exception):  # noqa: N818 - what happened
    """The bucket is there, and the object isn't."""


async def fetch(
    client: "S3Client", bucket: str, key: str, path: Path, *, size: int, sha256: str
) -> None:
    """Write the object to the new file `path`: `size` bytes with the hex digest `sha256`.

    Raises `ObjectGone`, and `TransientError`: `store`, counted when other bytes come, which may
    be the line's doing once and not always; `scratch`, counted, when they can't be written.
    """
    digest = hashlib.sha256()
    got = 0
    with as_transient(), await asyncio.to_thread(_created, path) as file:
        body = await _opened(client, bucket, key)
        async with body:
            async for chunk in body.iter_chunks(CHUNK):
                got += len(chunk)
                if got > size:
                    break
                digest.update(chunk)
                await asyncio.to_thread(_write, file, chunk)
    if got != size or digest.hexdigest() != sha256:
        raise TransientError(Cause.STORE, counted=True, detail=f"{key} came as other bytes")


async def digest(client: "S3Client", bucket: str, key: str) -> tuple[int, str]:
    """Size and hex SHA-256 of the object as it is now. Raises `ObjectGone` where there is none."""
    seen, size = hashlib.sha256(), 0
    body = await _opened(client, bucket, key)
    async with body:
        async for chunk in body.iter_chunks(CHUNK):
            seen.update(chunk)
            size += len(chunk)
    return size, seen.hexdigest()


async def _opened(client: "S3Client", bucket: str, key: str) -> "StreamingBody":
    try:
        return (await client.get_object(Bucket=bucket, Key=key))["Body"]
    except ClientError as error:
        if status_of(error) == HTTPStatus.NOT_FOUND and _code(error) == "NoSuchKey":
            raise ObjectGone(key) from error
        raise


def _created(path: Path) -> BinaryIO:
    try:
        return path.open("xb", buffering=0)
    except OSError as error:
        raise _no_room(error) from error


def _write(file: BinaryIO, chunk: bytes) -> None:
    view = memoryview(chunk)
    try:
        while view:
            view = view[file.write(view) :]
    except OSError as error:
        raise _no_room(error) from error


def _no_room(error: OSError) -> TransientError:
    return TransientError(Cause.SCRATCH, counted=True, detail=error.strerror or str(error))


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
