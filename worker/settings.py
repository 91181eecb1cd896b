"""What can be set, by environment variables of the same name in capitals.

`docs/settings.md` lists them; a test holds the two together.
"""

import tempfile
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.logs import LogFormat
from shared.setting_types import (
    Environment,
    HttpUrl,
    HttpUrls,
    KeyId,
    LogLevel,
    OtherSecret,
    OwnSecret,
    Present,
    RedisUrl,
    TestFolder,
    Text,
    split_urls,
)
from worker.scanner import address


def _listens_somewhere(value: str) -> str:
    try:
        address.parse(value)
    except ValueError:
        text = "is no address of a clamd; it looks like clamd:3310 or unix:/run/clamav/clamd.ctl"
        raise ValueError(text) from None
    return value


ClamdAddress = Annotated[str, Present, AfterValidator(_listens_somewhere)]


class Settings(BaseSettings):
    """Settings of the worker. Raises `pydantic.ValidationError` naming what is missing or wrong."""

    model_config = SettingsConfigDict(env_file=None, extra="ignore", frozen=True)

    environment: Annotated[
        Environment,
        Field(description="`dev` accepts example secrets, `production` refuses them"),
    ] = "production"
    redis_url: Annotated[RedisUrl, Field(description="where jobs are queued", repr=False)]
    staging_dir: Annotated[
        Path, Present, Field(description="root of the staging volume; reading it is enough")
    ]
    scratch_dir: Annotated[
        Path, Present, Field(description="where converted files live until they are put")
    ] = Path(tempfile.gettempdir()) / "longshore"
    internal_url: Annotated[
        HttpUrls,
        Field(
            description="the api's internal listener; every address of its name is a replica, and"
            " several URLs go by commas"
        ),
    ]
    internal_secret: Annotated[OwnSecret, Field(description="bearer secret for it")]
    s3_endpoint_url: Annotated[
        HttpUrl | None, Field(description="the object store; default: AWS S3 of the region")
    ] = None
    s3_region: Annotated[Text, Field(description="region of the bucket")] = "us-east-1"
    s3_bucket: Annotated[Text, Field(description="bucket of the objects")]
    s3_access_key_id: Annotated[
        KeyId, Field(description="key that may put, read, list and delete in the bucket")
    ]
    s3_secret_access_key: Annotated[OtherSecret, Field(description="its secret")]
    max_jobs: Annotated[
        int, Field(description="uploads that are checked at the same time", gt=0, le=200)
    ] = 8
    max_puts: Annotated[
        int, Field(description="uploads that are put at the same time", gt=0, le=64)
    ] = 8
    max_checked: Annotated[
        int,
        Field(
            description="checked uploads that may wait for the store, those being put among them",
            gt=0,
            le=1000,
        ),
    ] = 64
    max_checked_bytes: Annotated[
        int, Field(description="bytes of converted files that may wait for the store", gt=0)
    ] = 256 * 1024 * 1024
    max_decoders: Annotated[
        int, Field(description="files that are decoded at the same time", gt=0, le=64)
    ] = 2
    decode_seconds: Annotated[
        float, Field(description="how long decoding one file may take", gt=0)
    ] = 60
    clamd_address: Annotated[
        ClamdAddress | None,
        Field(description="the virus scanner: `host:3310` or `unix:/path`; default: none is asked"),
    ] = None
    max_scans: Annotated[
        int, Field(description="files that it looks into at the same time", gt=0, le=64)
    ] = 4
    scan_seconds: Annotated[float, Field(description="how long it may take for one file", gt=0)] = (
        150
    )
    soffice: Annotated[
        Path | None,
        Present,
        Field(description="LibreOffice's program; default: looked for where distributions put it"),
    ] = None
    max_office: Annotated[
        int, Field(description="documents that LibreOffice converts at the same time", gt=0, le=16)
    ] = 1
    office_seconds: Annotated[
        float, Field(description="how long converting one document may take", gt=0)
    ] = 60
    poll_seconds: Annotated[
        float,
        Field(
            description="how often the queue is looked at, besides when the api rings", gt=0, le=10
        ),
    ] = 0.05
    shutdown_seconds: Annotated[
        int, Field(description="how long SIGTERM waits for uploads under way", gt=0)
    ] = 4
    health_file: Annotated[
        Path | None,
        Present,
        Field(
            description="touched every few seconds while jobs are taken, the store takes us and"
            " the scanner finds its test virus"
        ),
    ] = None
    crash_points: Annotated[
        TestFolder | None,
        Field(description="folder of a test's crash points; refused outside `dev`"),
    ] = None
    log_level: Annotated[LogLevel, Field(description="least level that is logged")] = "info"
    log_format: Annotated[
        LogFormat, Field(description="`json`, `text`, or `auto`: text in a terminal")
    ] = "auto"

    @property
    def internal_urls(self) -> list[str]:
        return split_urls(self.internal_url)
