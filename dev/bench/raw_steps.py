"""The least that has to be done with a file: each step a bare call, one after the other."""

import asyncio
import hashlib
import os
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aioboto3

Make = Callable[[bytes], list[bytes]]
"""Makes of a file what is to be put."""


@dataclass(frozen=True)
class Raw:
    """Seconds."""

    keep: float
    """Hashed, written, and durable with its folder."""
    read: float
    """Read again, and hashed."""
    make: float
    """Checked, and converted where there is something to convert."""
    put: float
    """Into the same object store, all at once, over kept connections."""

    @property
    def all(self) -> float:
        return self.keep + self.after_keeping

    @property
    def after_keeping(self) -> float:
        """What comes after the acknowledgement."""
        return self.read + self.make + self.put


class RawSteps:
    def __init__(self, folder: Path, client: Any, bucket: str) -> None:
        self._folder = folder
        self._client = client
        self._bucket = bucket

    async def take(self, body: bytes, make: Make) -> Raw:
        path = self._folder / uuid.uuid4().hex
        began = time.perf_counter()
        _keep(body, path)
        kept = time.perf_counter()
        read = path.read_bytes()
        hashlib.sha256(read).digest()
        hashed = time.perf_counter()
        made = make(read)
        checked = time.perf_counter()
        await self._put(path.name, made)
        put = time.perf_counter()
        path.unlink()
        return Raw(kept - began, hashed - kept, checked - hashed, put - checked)

    async def _put(self, name: str, made: Sequence[bytes]) -> None:
        async with asyncio.TaskGroup() as puts:
            for number, body in enumerate(made):
                key = f"raw/{name}/{number}"
                puts.create_task(self._client.put_object(Bucket=self._bucket, Key=key, Body=body))


def _keep(body: bytes, path: Path) -> None:
    hashlib.sha256(body).digest()
    with path.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


@asynccontextmanager
async def raw_steps(folder: Path, s3: dict[str, str]) -> AsyncIterator[RawSteps]:
    """In a folder on the same volume, and with the store of stack.json's `s3`."""
    async with aioboto3.Session().client(
        "s3",
        endpoint_url=s3["endpoint_url"],
        region_name=s3["region"],
        aws_access_key_id=s3["access_key_id"],
        aws_secret_access_key=s3["secret_access_key"],
    ) as client:
        yield RawSteps(folder, client, s3["bucket"])
