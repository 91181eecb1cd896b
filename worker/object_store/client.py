"""The S3 client: where the bucket is, and how patient we are with it."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import aioboto3
from aiobotocore.config import AioConfig

if TYPE_CHECKING:  # the stubs are not installed where the worker runs
    from types_aiobotocore_s3 import S3Client

MIB = 1024 * 1024
CONNECT_SECONDS = 5
READ_SECONDS = 30
CONNECTIONS = 64
"""For all files at once; each holds as many as it has parts on their way."""


@dataclass(frozen=True)
class StoreSettings:
    """Where the bucket is and how hard to press. `endpoint_url` None is AWS itself."""

    bucket: str
    region: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    endpoint_url: str | None = None
    part_bytes: int = 8 * MIB
    """Files of this size and above are put in parts of it. S3 wants at least 5 MiB."""
    put_concurrency: int = 4
    """Parts of one file on their way at once."""


def open_client(settings: StoreSettings) -> "AbstractAsyncContextManager[S3Client]":
    encrypted = not (settings.endpoint_url or "").startswith("http://")
    config = AioConfig(
        region_name=settings.region,
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        max_pool_connections=CONNECTIONS,
        # a proxy of the environment may carry what is encrypted: in the clear it would see files
        proxies=None if encrypted else {},
        # one repeat for a connection that went stale: the queue is what tries again
        retries={"mode": "standard", "total_max_attempts": 2},
        # the checksums we need are sent by name; others break compatible stores
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={
            "addressing_style": "path" if settings.endpoint_url else "auto",
            # bodies go with a signed SHA-256 of their own: a second one only costs time
            "payload_signing_enabled": not encrypted,
        },
    )
    return aioboto3.Session().client(
        "s3",
        endpoint_url=settings.endpoint_url,
        aws_access_key_id=settings.access_key_id,
        aws_secret_access_key=settings.secret_access_key,
        config=config,
    )
