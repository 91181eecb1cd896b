"""What can be set, by environment variables of the same name in capitals.

`docs/settings.md` lists them; a test holds the two together.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.logs import LogFormat
from shared.secrets import weakness


def _split(value: object) -> object:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


Csv = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Seconds = Annotated[float, Field(gt=0)]


class Settings(BaseSettings):
    """Settings of the api. Raises `pydantic.ValidationError` naming what is missing or wrong."""

    model_config = SettingsConfigDict(env_file=None, extra="ignore", frozen=True)

    environment: Annotated[
        Literal["dev", "production"],
        Field(description="`dev` accepts example secrets; anything else is production"),
    ] = "production"
    host: Annotated[str, Field(description="address of the public listener")] = "127.0.0.1"
    port: Annotated[int, Field(description="port of the public listener", gt=0, lt=65536)] = 8000
    internal_host: Annotated[
        str, Field(description="address of the internal listener; never a public one")
    ] = "127.0.0.1"
    internal_port: Annotated[
        int, Field(description="port of the internal listener", gt=0, lt=65536)
    ] = 8001
    public_url: Annotated[
        str | None,
        Field(description="what clients call the public listener; default: what they asked for"),
    ] = None
    database_url: Annotated[str, Field(description="SQLAlchemy URL of the records")]
    redis_url: Annotated[str, Field(description="where jobs are queued")]
    staging_dir: Annotated[Path, Field(description="root of the staging volume")]
    forms_dir: Annotated[Path, Field(description="folder with the form definitions")] = Path(
        "forms"
    )
    internal_secrets: Annotated[
        Csv, Field(description="one or two bearer secrets of the internal listener, by commas")
    ]
    api_keys: Annotated[
        Csv,
        Field(description="service keys of the application's back ends, `name:secret` by commas"),
    ] = ()
    s3_public_endpoint_url: Annotated[
        str, Field(description="the object store as browsers reach it; presigned links go there")
    ]
    s3_region: Annotated[str, Field(description="region that links are signed for")] = "us-east-1"
    s3_bucket: Annotated[str, Field(description="bucket of the objects")]
    s3_access_key_id: Annotated[
        str, Field(description="key that links are signed with; needs GetObject only")
    ]
    s3_secret_access_key: Annotated[SecretStr, Field(description="its secret")]
    public_base_url: Annotated[
        str | None,
        Field(description="start of every `public_url`; default: S3_PUBLIC_ENDPOINT_URL"),
    ] = None
    cors_origins: Annotated[
        Csv, Field(description="origins that may call from a browser, by commas; `*` is any")
    ] = ("*",)
    presigned_seconds: Annotated[
        int, Field(description="how long a link to an object works", gt=0, le=300)
    ] = 300
    lease_seconds: Annotated[
        Seconds, Field(description="how long a claim lasts without a heartbeat")
    ] = 20
    heartbeat_seconds: Annotated[
        Seconds, Field(description="how often a worker renews its lease")
    ] = 5
    work_seconds: Annotated[
        Seconds, Field(description="how long one attempt at an upload may take")
    ] = 900
    sweep_seconds: Annotated[Seconds, Field(description="pause between two sweeps")] = 5
    first_backoff_seconds: Annotated[
        Seconds, Field(description="pause after the first attempt that didn't succeed; doubles")
    ] = 1
    max_backoff_seconds: Annotated[Seconds, Field(description="the longest such pause")] = 300
    max_attempts: Annotated[
        int, Field(description="attempts before an upload ends `failed`", gt=0)
    ] = 5
    deadline_seconds: Annotated[
        Seconds, Field(description="after this long a pending upload ends `failed`")
    ] = 7 * 86400
    quarantine_seconds: Annotated[
        Seconds, Field(description="how long orphaned bytes are kept before they are deleted")
    ] = 7 * 86400
    orphan_seconds: Annotated[
        Seconds, Field(description="age at which a file without a record counts as orphaned")
    ] = 3600
    receive_idle_seconds: Annotated[
        Seconds, Field(description="a body that brings nothing for this long is cut off")
    ] = 30
    min_free_bytes: Annotated[
        int, Field(description="free space on the volume below which uploads are refused", ge=0)
    ] = 256 * 1024 * 1024
    queue_high_water: Annotated[
        int, Field(description="jobs on the queue above which the sweep enqueues no more", gt=0)
    ] = 1000
    shutdown_seconds: Annotated[
        int, Field(description="how long SIGTERM waits for requests under way", gt=0)
    ] = 5
    log_level: Annotated[str, Field(description="least level that is logged")] = "info"
    log_format: Annotated[
        LogFormat, Field(description="`json`, `text`, or `auto`: text in a terminal")
    ] = "auto"

    @property
    def service_keys(self) -> tuple[tuple[str, str], ...]:
        """Name and secret of each; a name may stand twice while its secret is rotated."""
        return tuple(
            (name, secret) for name, _, secret in (e.partition(":") for e in self.api_keys)
        )

    @model_validator(mode="after")
    def _secrets_are_real(self) -> Self:
        secrets = self.internal_secrets
        if not 1 <= len(secrets) <= 2:  # noqa: PLR2004 - one, and a second while rotating
            raise ValueError("INTERNAL_SECRETS: one secret, or two while rotating")
        for secret in secrets:
            weak = weakness(secret)
            if weak and self.environment != "dev":
                raise ValueError(f"INTERNAL_SECRETS: {weak}")
        for entry in self.api_keys:
            name, colon, secret = entry.partition(":")
            if not (name and colon):
                raise ValueError("API_KEYS: name:secret pairs, separated by commas")
            weak = weakness(secret)
            if weak and self.environment != "dev":
                raise ValueError(f"API_KEYS: the secret of {name!r} {weak}")
        if self.heartbeat_seconds * 2 > self.lease_seconds:
            raise ValueError("HEARTBEAT_SECONDS: at most half of LEASE_SECONDS")
        return self
