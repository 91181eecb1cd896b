"""What this store can and can't do of what the worker relies on, tried out under a probe's key.

Every call that a promotion or a cleaning makes is made once, on objects of a few bytes. What is
missing altogether is `wrong`; what the worker can do without is a `warning`.
"""

import asyncio
import hashlib
import uuid
from collections.abc import Awaitable, Callable
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING

import httpx
from botocore.exceptions import ClientError

from shared.finding import Finding, Level, ok, warning
from worker.object_store.client import StoreSettings
from worker.object_store.faults import STORE_ERRORS, status_of
from worker.object_store.multipart import base64_of, composite_checksum
from worker.object_store.words import ENDPOINT, explain
from worker.watch import SelfTested

if TYPE_CHECKING:  # the stubs are not installed where the worker runs
    from types_aiobotocore_s3 import S3Client
    from types_aiobotocore_s3.type_defs import HeadObjectOutputTypeDef

SECONDS = 20.0
"""For all of it; a store that is slower than that has been found wanting."""
STEP_SECONDS = 6.0
"""For one of its steps, of a few calls each: a store that hangs is found out soon."""
CLEANING_SECONDS = 5.0
PREFIX = "longshore-probe/"
LEFT_BEHIND = timedelta(minutes=5)
"""Older than this, a probe is one whose worker was killed."""
BODY, OTHER = b"longshore", b"something else"
METADATA = {"upload-id": "longshore-probe"}
_ONLY_THIS_CALL = "S3_ACCESS_KEY_ID"
"""The one setting whose fault may be one permission: with any other, nothing else will work."""
_NO_CHECKSUMS = "keeps no SHA-256 of {what}: each is read back to be verified"


class SelfTest:
    """One run. `findings` says what it came to; nothing of it stays in the bucket."""

    def __init__(self, client: "S3Client", settings: StoreSettings) -> None:
        self._client = client
        self._settings = settings
        self._bucket = settings.bucket
        self._folder = f"{PREFIX}{uuid.uuid4().hex}/"
        self._whole, self._parts = f"{self._folder}whole", f"{self._folder}parts"
        self.findings: list[Finding] = []
        self.refuses_other_bytes = False
        """Whether it was seen to refuse bytes that aren't those of their SHA-256."""

    async def run(self) -> SelfTested:
        """Never raises what a store can cause, and ends within `SECONDS` and some cleaning.

        The store works when an object was put and read back, and nothing was left without an
        answer.
        """
        takes_puts = False
        try:
            async with asyncio.timeout(SECONDS):
                takes_puts = await self._try_all()
        except STORE_ERRORS as error:  # TimeoutError is one of them
            self._add(explain(error, self._settings))
        if not self.findings:
            where = self._settings.endpoint_url or "AWS S3"
            self._add(ok(ENDPOINT, f"{where} does all that is asked of bucket {self._bucket!r}"))
        return SelfTested(self.findings, takes_puts, refuses_us(self.findings))

    async def _try_all(self) -> bool:
        """Whether an object was put and read back."""
        if not await self._try(self._put):
            return False
        try:
            was_read = await self._try(self._get)
            await self._try(self._refuse_what_is_there)
            await self._try(self._refuse_other_bytes)
            await self._try(self._put_in_parts)
            await self._try(self._abort_parts)
            await self._refuse_strangers()
        finally:
            await asyncio.shield(self._clean())
        return was_read

    async def _try(self, step: Callable[[], Awaitable[None]]) -> bool:
        """Whether the step came to its end. Raises what makes further steps pointless."""
        try:
            async with asyncio.timeout(STEP_SECONDS):
                await step()
        except STORE_ERRORS as error:
            finding = explain(error, self._settings)
            answered = isinstance(error, ClientError)
            if not answered or finding.name not in {_ONLY_THIS_CALL, ENDPOINT}:
                raise
            self._add(finding)
            return False
        return True

    async def _put(self) -> None:
        await self._client.put_object(
            Bucket=self._bucket,
            Key=self._whole,
            Body=BODY,
            Metadata=METADATA,
            ChecksumSHA256=_sha256(BODY),
        )

    async def _get(self) -> None:
        head = await self._verify(self._whole, _sha256(BODY), "objects")
        if head.get("Metadata") != METADATA:
            self._warn("keeps no metadata: only the records know what an object is")
        answer = await self._client.get_object(Bucket=self._bucket, Key=self._whole)
        async with answer["Body"] as body:
            if await body.read() != BODY:
                self._warn("gives back other bytes than it was given; take another store")

    async def _verify(self, key: str, checksum: str, what: str) -> "HeadObjectOutputTypeDef":
        head = await self._client.head_object(Bucket=self._bucket, Key=key, ChecksumMode="ENABLED")
        if head.get("ChecksumSHA256") != checksum:
            self._warn(_NO_CHECKSUMS.format(what=what))
        return head

    async def _refuse_what_is_there(self) -> None:
        """Conditional writes: a second worker's late put must not replace an object."""
        try:
            await self._client.put_object(
                Bucket=self._bucket, Key=self._whole, Body=BODY, IfNoneMatch="*"
            )
        except ClientError as error:
            if status_of(error) == HTTPStatus.PRECONDITION_FAILED:
                return
            if status_of(error) != HTTPStatus.NOT_IMPLEMENTED:
                raise
        self._warn("knows no conditional writes: keys of each attempt's own have to do")

    async def _refuse_other_bytes(self) -> None:
        """A byte that changed on the way has to be noticed where it arrives."""
        try:
            await self._client.put_object(
                Bucket=self._bucket,
                Key=f"{self._folder}flipped",
                Body=OTHER,
                ChecksumSHA256=_sha256(BODY),
            )
        except ClientError as error:
            if status_of(error) == HTTPStatus.BAD_REQUEST:
                self.refuses_other_bytes = True
                return
            raise
        self._warn("takes bytes that aren't those of their SHA-256: only reading back tells")

    async def _put_in_parts(self) -> None:
        upload_id = await self._begin_parts()
        checksum = _sha256(BODY)
        part = await self._client.upload_part(
            Bucket=self._bucket,
            Key=self._parts,
            UploadId=upload_id,
            PartNumber=1,
            Body=BODY,
            ChecksumSHA256=checksum,
        )
        parts = [{"PartNumber": 1, "ETag": part["ETag"], "ChecksumSHA256": checksum}]
        await self._client.complete_multipart_upload(
            Bucket=self._bucket,
            Key=self._parts,
            UploadId=upload_id,
            MultipartUpload={"Parts": parts},  # type: ignore[typeddict-item] # as it says
        )
        await self._verify(self._parts, composite_checksum(parts), "objects in parts")  # type: ignore[arg-type] # as above

    async def _abort_parts(self) -> None:
        upload_id = await self._begin_parts()
        await self._client.abort_multipart_upload(
            Bucket=self._bucket, Key=self._parts, UploadId=upload_id
        )

    async def _begin_parts(self) -> str:
        begun = await self._client.create_multipart_upload(
            Bucket=self._bucket, Key=self._parts, ChecksumAlgorithm="SHA256"
        )
        return begun["UploadId"]

    async def _refuse_strangers(self) -> None:
        """The objects of a form are private: without a link nobody may read them."""
        signed = await self._client.generate_presigned_url(
            "get_object", Params={"Bucket": self._bucket, "Key": self._whole}
        )
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=CLEANING_SECONDS) as http:
                answer = await http.get(signed.partition("?")[0])
        except httpx.HTTPError:
            return  # the store was asked with a key, and answered: this is another matter
        if answer.is_success:
            text = "anybody may read its objects without a link; take public access away"
            self._add(warning("S3_BUCKET", text))

    async def _clean(self) -> None:
        """Delete this probe, and those of workers that were killed at theirs."""
        try:
            async with asyncio.timeout(CLEANING_SECONDS):
                for prefix in [self._folder, *await self._left_behind()]:
                    await self._clean_folder(prefix)
        except STORE_ERRORS as error:
            self._add(explain(error, self._settings))

    async def _left_behind(self) -> set[str]:
        """By the store's clock, as our own probe has it."""
        listed = await self._client.list_objects_v2(Bucket=self._bucket, Prefix=PREFIX)
        changed = {found["Key"]: found["LastModified"] for found in listed.get("Contents", [])}
        now = max(changed.values(), default=None)
        old = {key for key, at in changed.items() if now and now - at > LEFT_BEHIND}
        return {f"{key.rpartition('/')[0]}/" for key in old}

    async def _clean_folder(self, prefix: str) -> None:
        begun = await self._client.list_multipart_uploads(Bucket=self._bucket, Prefix=prefix)
        for each in begun.get("Uploads", []):
            if each["Key"].startswith(prefix):  # not every store filters these
                await self._client.abort_multipart_upload(
                    Bucket=self._bucket, Key=each["Key"], UploadId=each["UploadId"]
                )
        listed = await self._client.list_objects_v2(Bucket=self._bucket, Prefix=prefix)
        for found in listed.get("Contents", []):
            await self._client.delete_object(Bucket=self._bucket, Key=found["Key"])

    def _warn(self, text: str) -> None:
        self._add(warning(ENDPOINT, f"the store {text}"))

    def _add(self, finding: Finding) -> None:
        if finding not in self.findings:
            self.findings.append(finding)


def refuses_us(findings: list[Finding]) -> bool:
    """Whether somebody has to act: a store that is only away may come back by itself."""
    return any(each.level is Level.WRONG and each.name != ENDPOINT for each in findings)


def _sha256(body: bytes) -> str:
    return base64_of(hashlib.sha256(body).digest())
