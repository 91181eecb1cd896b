"""One bucket, through one client."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import structlog
from botocore.exceptions import ClientError

from shared.finding import Finding
from worker.breaker import Breaker
from worker.errors import KeyTaken, TransientError
from worker.hashed import Hashed
from worker.object_store.client import StoreSettings, open_client
from worker.object_store.faults import (
    STORE_ERRORS,
    as_transient,
    concerns_store,
    is_failure,
    status_of,
)
from worker.object_store.fetch import ObjectGone, digest, fetch
from worker.object_store.multipart import (
    base64_of,
    composite_checksum,
    open_multipart,
    send_parts,
)
from worker.object_store.self_test import SelfTest
from worker.object_store.source import Source, open_source
from worker.object_store.words import explain
from worker.watch import SelfTested

if TYPE_CHECKING:  # the stubs are not installed where the worker runs
    from botocore.awsrequest import AWSResponse
    from types_aiobotocore_s3 import S3Client

CONFLICT_PAUSES = (0.2, 0.5)
"""Seconds to wait before starting again when S3 says that another write is under way."""

log = structlog.get_logger()


class _Put(NamedTuple):
    """A file to be stored: what `ObjectStore.put` was given."""

    path: Path
    key: str
    content_type: str
    size: int
    sha256: str
    metadata: Mapping[str, str]
    hashed: Hashed | None


class ObjectStore:
    """One bucket. Every method raises `TransientError("store")` for a store that fails and
    `TransientError("store-refused")` for one that refuses us; neither is counted. A put or
    a cleaning that fails for the store's sake opens the breaker, a put that succeeds closes it;
    whether to call at all while it is open is for the caller to decide.
    """

    def __init__(
        self, client: "S3Client", settings: StoreSettings, breaker: Breaker | None = None
    ) -> None:
        self._client = client
        self._settings = settings
        self._bucket = settings.bucket
        self.part_bytes = settings.part_bytes
        self._put_concurrency = settings.put_concurrency
        self._breaker = breaker or Breaker()
        self._knows_conditions = True
        self._refuses_other_bytes = False
        """Until it was seen to: then what was hashed before needn't be hashed again."""

    async def put(
        self,
        path: Path,
        key: str,
        *,
        content_type: str,
        size: int,
        sha256: str,
        metadata: Mapping[str, str] | None = None,
        hashed: Hashed | None = None,
    ) -> None:
        """Store the file at `path` under `key` and verify what the store holds. `metadata` goes
        with the object; `worker.object_store.metadata` makes values that any store takes. `hashed`
        (by `part_bytes`) spares hashing a file again that is still in the state of then, if the
        store was seen to hold bytes to their SHA-256.

        Safe to repeat: an object that is already there with these bytes is success, one with
        other bytes is `TransientError`. A file that isn't `size` bytes with the hex digest
        `sha256` is never stored: `SourceChanged`. When cancelled, it takes up to `ABORT_SECONDS`
        more to leave no multipart open. Holds at most `part_bytes * put_concurrency` in memory.
        """
        put = _Put(path, key, content_type, size, sha256, metadata or {}, hashed)
        with self._telling_breaker():
            checksum = await self._send_past_conflicts(put)
            if not await self._holds(put, checksum):
                raise KeyTaken(key)
        self._breaker.close()

    async def fetch(self, key: str, path: Path, *, size: int, sha256: str) -> None:
        """Write an object to the new file `path`, and verify it: see `worker.object_store.fetch`.

        Raises `ObjectGone` where there is none.
        """
        with self._telling_breaker():
            await fetch(self._client, self._bucket, key, path, size=size, sha256=sha256)

    async def digest(self, key: str) -> tuple[int, str]:
        """Size and hex SHA-256 of an object, by reading it. Raises `ObjectGone` for none."""
        with as_transient():
            return await digest(self._client, self._bucket, key)

    async def clean(self, prefix: str) -> int:
        """Abort every multipart and delete every object under `prefix`; how many objects were.

        Idempotent. Raises `ValueError` unless `prefix` ends with a slash and names something.
        """
        if not prefix.endswith("/") or not prefix.strip("/"):
            raise ValueError(f"{prefix!r} is not the folder of one generation")
        deleted = 0
        with self._telling_breaker():
            multiparts = self._client.get_paginator("list_multipart_uploads")
            async for page in multiparts.paginate(Bucket=self._bucket, Prefix=prefix):
                for upload in page.get("Uploads", []):
                    if upload["Key"].startswith(prefix):  # not every store filters these
                        await self._abort(upload["Key"], upload["UploadId"])
            objects = self._client.get_paginator("list_objects_v2")
            async for listed in objects.paginate(Bucket=self._bucket, Prefix=prefix):
                for found in listed.get("Contents", []):
                    # one by one: not every store can delete many at once, and there are few
                    await self._client.delete_object(Bucket=self._bucket, Key=found["Key"])
                    deleted += 1
        return deleted

    async def knock(self, seconds: float) -> Finding | None:
        """Ask for a sign of life; what is wrong when there is none within so many seconds, or a
        failure. What the store refuses is no matter here."""
        try:
            async with asyncio.timeout(seconds):
                await self._client.head_bucket(Bucket=self._bucket)
        except STORE_ERRORS as error:
            if not isinstance(error, ClientError) or is_failure(status_of(error)):
                return explain(error, self._settings)
        return None

    async def self_test(self) -> SelfTested:
        """What the store can't do, in words; one finding when it can do all. Never raises what a
        store can cause, and takes a bounded time."""
        test = SelfTest(self._client, self._settings)
        tested = await test.run()
        self._refuses_other_bytes = test.refuses_other_bytes
        return tested

    @contextmanager
    def _telling_breaker(self) -> Iterator[None]:
        try:
            with as_transient():
                yield
        except TransientError as error:
            if concerns_store(error):
                self._breaker.failed(error)
            raise

    async def _abort(self, key: str, upload_id: str) -> None:
        try:
            await self._client.abort_multipart_upload(
                Bucket=self._bucket, Key=key, UploadId=upload_id
            )
        except ClientError as error:
            if status_of(error) != HTTPStatus.NOT_FOUND:
                raise

    async def _send_past_conflicts(self, put: _Put) -> str:
        for pause in CONFLICT_PAUSES:
            try:
                return await self._send(put)
            except ClientError as error:
                if status_of(error) != HTTPStatus.CONFLICT:
                    raise
            await asyncio.sleep(pause)
        return await self._send(put)

    async def _send(self, put: _Put) -> str:
        """Write the object, unless the key is taken; the checksum S3 will have for these bytes.

        What was hashed before is hashed again where the store wouldn't notice other bytes, and
        where it did.
        """
        hashed = put.hashed if self._refuses_other_bytes else None
        try:
            return await self._send_source(put, hashed)
        except ClientError as error:
            if hashed is None or status_of(error) != HTTPStatus.BAD_REQUEST:
                raise
            return await self._send_source(put, None)

    async def _send_source(self, put: _Put, hashed: Hashed | None) -> str:
        send = self._send_whole if put.size < self.part_bytes else self._send_in_parts
        async with open_source(put.path, size=put.size, sha256=put.sha256, hashed=hashed) as source:
            return await send(put, source)

    async def _send_whole(self, put: _Put, source: Source) -> str:
        piece = await source.read(put.size)
        if piece is None:
            raise ValueError("an object without bytes")
        checksum = base64_of(piece.digest)
        await self._write_once(
            partial(
                self._client.put_object,
                Bucket=self._bucket,
                Key=put.key,
                Body=piece.body,
                ContentType=put.content_type,
                Metadata=put.metadata,
                ChecksumSHA256=checksum,
            )
        )
        return checksum

    async def _send_in_parts(self, put: _Put, source: Source) -> str:
        async with open_multipart(
            self._client,
            bucket=self._bucket,
            key=put.key,
            content_type=put.content_type,
            metadata=put.metadata,
        ) as upload_id:
            parts = await send_parts(
                self._client,
                source,
                bucket=self._bucket,
                key=put.key,
                upload_id=upload_id,
                part_bytes=self.part_bytes,
                concurrency=self._put_concurrency,
            )
            checksum = composite_checksum(parts)
            complete = partial(
                self._client.complete_multipart_upload,
                Bucket=self._bucket,
                Key=put.key,
                UploadId=upload_id,
                MultipartUpload={"Parts": parts},
            )
            try:
                written = await self._write_once(complete)
            except STORE_ERRORS as error:
                # the store may have done it and the answer got lost, or its answer was to a repeat
                conflict = status_of(error) == HTTPStatus.CONFLICT
                if conflict or not await self._holds(put, checksum):
                    raise
                written = False
            if not written:
                await self._abort(put.key, upload_id)
            return checksum

    async def _write_once(self, write: Callable[..., Awaitable[object]]) -> bool:
        """Call `write` on condition that the key is free, where the store knows conditions.

        Returns False for a taken key, which is no error here: verifying will tell whether what
        is there is ours.
        """
        if self._knows_conditions:
            try:
                await write(IfNoneMatch="*")
                return True
            except ClientError as error:
                if status_of(error) == HTTPStatus.PRECONDITION_FAILED:
                    return False
                if status_of(error) != HTTPStatus.NOT_IMPLEMENTED:
                    raise
            log.warning("no_conditional_writes", bucket=self._bucket)
            self._knows_conditions = False
        await write()
        return True

    async def _holds(self, put: _Put, checksum: str) -> bool:
        """Whether the object is the announced bytes: by its checksum, else by reading it back."""
        try:
            head = await self._client.head_object(
                Bucket=self._bucket, Key=put.key, ChecksumMode="ENABLED"
            )
        except ClientError as error:
            if status_of(error) == HTTPStatus.NOT_FOUND:
                return False
            raise
        if head["ContentLength"] != put.size:
            return False
        if head.get("ChecksumSHA256") == checksum:
            return True
        try:
            return await digest(self._client, self._bucket, put.key) == (put.size, put.sha256)
        except ObjectGone:
            return False


@asynccontextmanager
async def open_object_store(
    settings: StoreSettings, breaker: Breaker | None = None
) -> AsyncIterator[ObjectStore]:
    """The store, with one client for its lifetime. Its failures open the breaker, and whatever it
    answers is a sign of life."""
    breaker = breaker or Breaker()

    def listen(http_response: "AWSResponse", **_: object) -> None:
        if not is_failure(http_response.status_code):
            breaker.answered()

    async with open_client(settings) as client:
        client.meta.events.register("after-call.s3", listen)
        yield ObjectStore(client, settings, breaker)
