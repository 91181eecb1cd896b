"""What the services say in the end: every form through a service key, and the bucket's contents."""

import asyncio
import hashlib
from collections import defaultdict
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import botocore.session
import httpx
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

Upload = dict[str, Any]
READS_AT_ONCE = 8
PROBES = "longshore-probe/"
"""Of a worker's self-test: one that is killed at it leaves its probe to a later one."""


class Records:
    """The application's back end."""

    def __init__(self, info: dict[str, Any]) -> None:
        self.drafts = 0
        """How many of the forms that were read last are drafts."""
        self._http = httpx.AsyncClient(
            base_url=info["url"],
            headers={"Authorization": f"Bearer {info['service_key']}"},
            timeout=60,
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def uploads(self) -> dict[str, Upload]:
        """All uploads of all forms but removed ones, by id."""
        found: dict[str, Upload] = {}
        drafts = 0
        after: str | None = None
        while True:
            cursor = {"after": after} if after else {}
            answer = await self._http.get("/v1/forms", params={"limit": "100", **cursor})
            answer.raise_for_status()
            page = answer.json()
            for form in page["forms"]:
                drafts += form["status"] == "draft"
                for of_field in form["uploads"].values():
                    found |= {upload["id"]: upload for upload in of_field}
            after = page.get("next")
            if not after:
                self.drafts = drafts
                return found

    async def upload(self, upload_id: str) -> Upload | None:
        """None when there is no such upload. Raises `httpx.HTTPError` for any other answer."""
        answer = await self._http.get(f"/v1/uploads/{upload_id}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        answer.raise_for_status()
        return dict(answer.json())

    async def retry(self, upload_id: str) -> bool:
        return (await self._http.post(f"/v1/uploads/{upload_id}/retry")).is_success


class Bucket:
    """The bucket itself, past the services."""

    def __init__(self, info: dict[str, Any]) -> None:
        s3 = info["s3"]
        self._name = s3["bucket"]
        self._etags: dict[str, str] = {}
        self._hashes: dict[tuple[str, str], str] = {}
        self._client: Any = botocore.session.get_session().create_client(
            "s3",
            region_name=s3["region"],
            endpoint_url=s3["endpoint_url"],
            aws_access_key_id=s3["access_key_id"],
            aws_secret_access_key=s3["secret_access_key"],
            config=Config(s3={"addressing_style": "path"}, max_pool_connections=READS_AT_ONCE),
        )

    def key_of(self, upload: Upload) -> str:
        """The key behind a `public_url`."""
        path = unquote(urlsplit(str(upload["public_url"])).path)
        return path.removeprefix(f"/{self._name}/")

    async def folders(self) -> dict[str, list[str]]:
        """All keys by their generation's folder, those of unfinished multiparts too."""
        return await asyncio.to_thread(self.listed)

    def listed(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for call, listed in (
            ("list_objects_v2", "Contents"),
            ("list_multipart_uploads", "Uploads"),
        ):
            for page in self._client.get_paginator(call).paginate(Bucket=self._name):
                for each in page.get(listed, []):
                    if each["Key"].startswith(PROBES):
                        continue
                    found[folder_of(each["Key"])].append(each["Key"])
                    self._etags[each["Key"]] = each.get("ETag", "")  # an unfinished one has none
        return found

    def metadata(self, key: str) -> dict[str, str]:
        """What the object at `key` says of itself."""
        return dict(self._client.head_object(Bucket=self._name, Key=key)["Metadata"])

    async def hashes(self, keys: list[str]) -> dict[str, str]:
        """The SHA-256 of what each key holds; nothing for a key that can't be read. What has the
        ETag that it had when it was read before isn't read again."""
        turns = asyncio.Semaphore(READS_AT_ONCE)

        async def read(key: str) -> tuple[str, str]:
            async with turns:
                return key, await asyncio.to_thread(self._hash, key)

        return dict(await asyncio.gather(*(read(key) for key in keys)))

    def _hash(self, key: str) -> str:
        listed = (key, self._etags.get(key, ""))
        if listed in self._hashes:
            return self._hashes[listed]
        try:
            answer = self._client.get_object(Bucket=self._name, Key=key)
            sha256 = hashlib.sha256(answer["Body"].read()).hexdigest()
        except (ClientError, BotoCoreError):
            return ""
        self._hashes[key, answer["ETag"]] = sha256
        return sha256


def folder_of(key: str) -> str:
    return key.rpartition("/")[0]


def on_volume(staging: Path) -> set[Path]:
    """Every file of an upload, wherever on the volume, and every segment of one."""
    found = [*staging.rglob("upl_*"), *staging.rglob("seg_*")]
    return {path for path in found if path.is_file()}
