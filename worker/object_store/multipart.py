"""A large object in parts, of which none may be left behind when it comes to nothing."""

import asyncio
import base64
import hashlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from shared.crash_points import reached
from worker.object_store.faults import STORE_ERRORS
from worker.object_store.source import Source

if TYPE_CHECKING:  # the stubs are not installed where the worker runs
    from types_aiobotocore_s3 import S3Client
    from types_aiobotocore_s3.type_defs import (
        CompletedPartTypeDef,
        CreateMultipartUploadOutputTypeDef,
    )

ABORT_SECONDS = 5
"""For what may still have to be aborted after a put was cancelled."""

log = structlog.get_logger()


@asynccontextmanager
async def open_multipart(
    client: "S3Client", *, bucket: str, key: str, content_type: str, metadata: Mapping[str, str]
) -> AsyncIterator[str]:
    """The id of a new multipart upload, which is aborted unless the body comes to its end."""
    creating = asyncio.ensure_future(
        client.create_multipart_upload(
            Bucket=bucket,
            Key=key,
            ContentType=content_type,
            Metadata=metadata,
            ChecksumAlgorithm="SHA256",
        )
    )
    try:
        # shielded: when we are cancelled while it is created, there is an id to be aborted
        yield (await asyncio.shield(creating))["UploadId"]
    except BaseException:
        await asyncio.shield(_abort(client, creating, bucket=bucket, key=key))
        raise


async def _abort(
    client: "S3Client",
    creating: "Awaitable[CreateMultipartUploadOutputTypeDef]",
    *,
    bucket: str,
    key: str,
) -> None:
    """Never raises: what can't be aborted now is found when the prefix is cleaned."""
    try:
        async with asyncio.timeout(ABORT_SECONDS):
            upload_id = (await creating)["UploadId"]
            await client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id)
    except STORE_ERRORS as error:
        log.warning("multipart_not_aborted", key=key, error=repr(error))


async def send_parts(
    client: "S3Client",
    source: Source,
    *,
    bucket: str,
    key: str,
    upload_id: str,
    part_bytes: int,
    concurrency: int,
) -> "list[CompletedPartTypeDef]":
    """Send all of `source`, up to `concurrency` parts at once, each held in memory by its sender.

    Returns what completing the upload takes, in order.
    """
    parts: list[CompletedPartTypeDef] = []
    numbers = itertools.count(1)
    reading = asyncio.Lock()

    async def send() -> None:
        while True:
            async with reading:
                piece, number = await source.read(part_bytes), next(numbers)
            if piece is None:
                return
            checksum = base64_of(piece.digest)
            sent = await client.upload_part(
                Bucket=bucket,
                Key=key,
                UploadId=upload_id,
                PartNumber=number,
                Body=piece.body,
                ChecksumSHA256=checksum,
            )
            reached("worker-in-multipart")
            parts.append({"PartNumber": number, "ETag": sent["ETag"], "ChecksumSHA256": checksum})

    try:
        async with asyncio.TaskGroup() as senders:
            for _ in range(concurrency):
                senders.create_task(send())
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None  # one is enough to know what to do
    return sorted(parts, key=lambda part: part["PartNumber"])


def composite_checksum(parts: "list[CompletedPartTypeDef]") -> str:
    """What S3 calls the SHA-256 of an object in parts: that of its parts' digests."""
    digests = b"".join(base64.b64decode(part["ChecksumSHA256"]) for part in parts)
    return f"{base64_of(hashlib.sha256(digests).digest())}-{len(parts)}"


def base64_of(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
