"""What can be set, by environment variables of the same name in capitals.

`docs/settings.md` lists them; a test holds the two together.
"""

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from api.settings.database_url import DatabaseUrl
from api.settings.pace import Pace
from api.settings.public_url import PublicUrl
from api.settings.retention import Retention
from api.settings.trusted_proxies import ForwardingHeader, TrustedProxies, network
from api.settings.web_origin import exact_origin
from shared.logs import LogFormat
from shared.setting_types import (
    Environment,
    HttpUrl,
    KeyId,
    LogLevel,
    OtherSecret,
    Port,
    Present,
    RedisUrl,
    TestFolder,
    Text,
    refuse_weak,
)

SMALL = 256 * 1024
_EVERY_ADDRESS = {"0.0.0.0", "::"}  # noqa: S104 - compared with, not bound to


def _split(value: object) -> object:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


Csv = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Seconds = Annotated[float, Field(gt=0)]


class Settings(BaseSettings):
    """Settings of the api. Raises `pydantic.ValidationError` naming what is missing or wrong."""

    model_config = SettingsConfigDict(
        env_file=None, extra="ignore", frozen=True, validate_default=True
    )

    environment: Annotated[
        Environment,
        Field(description="`dev` accepts example secrets, `production` refuses them"),
    ] = "production"
    host: Annotated[Text, Field(description="address of the public listener")] = "127.0.0.1"
    port: Annotated[Port, Field(description="port of the public listener")] = 8000
    internal_host: Annotated[
        Text, Field(description="address of the internal listener; never a public one")
    ] = "127.0.0.1"
    internal_port: Annotated[Port, Field(description="port of the internal listener")] = 8001
    public_url: Annotated[
        PublicUrl | None,
        Field(
            description="what clients call the public listener, with the path that it is below, "
            "if any; default: the scheme and `Host` of each request"
        ),
    ] = None
    database_url: Annotated[
        DatabaseUrl, Field(description="SQLAlchemy URL of the records", repr=False)
    ]
    redis_url: Annotated[RedisUrl, Field(description="where jobs are queued", repr=False)]
    staging_dir: Annotated[Path, Present, Field(description="root of the staging volume")]
    forms_dir: Annotated[Path, Present, Field(description="folder with the form definitions")] = (
        Path("forms")
    )
    internal_secrets: Annotated[
        Csv,
        Field(
            description="one or two bearer secrets of the internal listener, by commas", repr=False
        ),
    ]
    metrics_secrets: Annotated[
        Csv,
        Field(
            description="bearer secrets that open `/metrics` and nothing else, by commas",
            repr=False,
        ),
    ] = ()
    api_keys: Annotated[
        Csv,
        Field(
            description="service keys of the application's back ends, `name:secret` by commas",
            repr=False,
        ),
    ] = ()
    s3_public_endpoint_url: Annotated[
        HttpUrl,
        Field(description="the object store as browsers reach it; presigned links go there"),
    ]
    s3_region: Annotated[Text, Field(description="region that links are signed for")] = "us-east-1"
    s3_bucket: Annotated[Text, Field(description="bucket of the objects")]
    s3_access_key_id: Annotated[
        KeyId, Field(description="key that links are signed with; needs GetObject only")
    ]
    s3_secret_access_key: Annotated[OtherSecret, Field(description="its secret")]
    public_base_url: Annotated[
        HttpUrl | None,
        Field(description="start of every `public_url`; default: S3_PUBLIC_ENDPOINT_URL"),
    ] = None
    cors_origins: Annotated[
        Csv, Field(description="origins that may call from a browser, by commas; `*` is any")
    ] = ("*",)
    cors_headers: Annotated[
        Csv,
        Field(
            description="headers that their scripts may send besides ours and those of common "
            "tracing tools, by commas"
        ),
    ] = ()
    redirect_origins: Annotated[
        Csv,
        Field(
            description="origins that a back end's forms may send people back to, by commas; https "
            "outside `dev`"
        ),
    ] = ()
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
        Seconds,
        Field(
            description="after this long a pending upload ends `failed`; an attempt under way is"
            " waited for"
        ),
    ] = 7 * 86400
    quarantine_seconds: Annotated[
        Seconds, Field(description="how long orphaned bytes are kept before they are deleted")
    ] = 7 * 86400
    orphan_seconds: Annotated[
        Seconds, Field(description="age at which a file without a record counts as orphaned")
    ] = 3600
    receiving_keep_seconds: Annotated[
        Seconds,
        Field(description="how long a resumable upload is kept after bytes of it came last"),
    ] = 86400
    rejected_keep_seconds: Annotated[
        Seconds, Field(description="how long the bytes of a rejected upload are kept")
    ] = 86400
    failed_keep_seconds: Annotated[
        Seconds, Field(description="how long those of a failed one are, to be tried again")
    ] = 30 * 86400
    failed_warning_seconds: Annotated[
        float, Field(description="how long before that end log and metrics warn", ge=0)
    ] = 7 * 86400
    draft_keep_seconds: Annotated[
        Seconds, Field(description="a draft is purged so long after the person's last edit")
    ] = 30 * 86400
    submitted_keep_seconds: Annotated[
        float, Field(description="and a form so long after it was submitted; 0 is never", ge=0)
    ] = 0
    max_form_bytes: Annotated[
        int | None,
        Field(
            description="bytes that the files of one form may have together; default: twice what"
            " all fields of its type may hold",
            gt=0,
        ),
    ] = None
    max_form_uploads: Annotated[
        int, Field(description="uploads of one form; removed and replaced ones count", gt=0)
    ] = 500
    max_form_text_bytes: Annotated[
        int, Field(description="bytes that the texts of one form may have, as JSON", gt=0)
    ] = 256 * 1024
    max_drafts_per_hour: Annotated[
        int | None,
        Field(
            description="drafts that one client address may begin; 0 is no limit. Default: 60 where"
            " TRUSTED_PROXIES tells clients apart, else no limit",
            ge=0,
        ),
    ] = None
    receive_idle_seconds: Annotated[
        Seconds, Field(description="a body that brings nothing for this long is cut off")
    ] = 30
    receive_min_bytes_per_second: Annotated[
        float, Field(description="a body slower than this is cut off; 0 is no limit", ge=0)
    ] = 1024
    receive_rate_seconds: Annotated[
        Seconds, Field(description="time over which that rate is measured, and its grace")
    ] = 60
    receive_head_seconds: Annotated[
        Seconds, Field(description="how long the head of a request may take")
    ] = 15
    send_idle_seconds: Annotated[
        Seconds,
        Field(description="a client that takes nothing of its answer for this long is cut off"),
    ] = 30
    max_connections: Annotated[
        int, Field(description="open connections of the public listener; 0 is no limit", ge=0)
    ] = 2000
    max_connections_per_client: Annotated[
        int,
        Field(
            description="the same for one client, which is an address, of IPv6 a /64; behind "
            "TRUSTED_PROXIES it bounds the client's requests under way. 0 is no limit",
            ge=0,
        ),
    ] = 600
    max_internal_connections: Annotated[
        int, Field(description="open connections of the internal listener; 0 is no limit", ge=0)
    ] = 1000
    max_waiting: Annotated[
        int,
        Field(
            description="requests that may wait (`Prefer: wait`) or stream events at a time; "
            "beyond, the former are answered at once and the latter refused. 0 is no limit",
            ge=0,
        ),
    ] = 1500
    max_waiting_per_client: Annotated[
        int | None,
        Field(
            description="the same for one client; 0 is no limit. Default: half of"
            " MAX_CONNECTIONS_PER_CLIENT",
            ge=0,
        ),
    ] = None
    max_streams_per_form: Annotated[
        int, Field(description="streams of events that one form may have open; 0 is no limit", ge=0)
    ] = 20
    trusted_proxies: Annotated[
        Csv,
        Field(
            description="addresses or networks of proxies whose word is taken about the client's "
            "address and scheme, by commas; nobody else's is"
        ),
    ] = ()
    forwarding_header: Annotated[
        ForwardingHeader,
        BeforeValidator(_lower),
        Field(
            description="where they say it: `x-forwarded-for`, with X-Forwarded-Proto, or "
            "`forwarded` (RFC 7239); the other one is not read"
        ),
    ] = "x-forwarded-for"
    min_free_bytes: Annotated[
        int, Field(description="free space on the volume below which uploads are refused", ge=0)
    ] = 256 * 1024 * 1024
    min_free_inodes: Annotated[
        int, Field(description="free inodes on the volume below which uploads are refused", ge=0)
    ] = 1000
    small_body_bytes: Annotated[
        int,
        Field(
            description="a file up to this is gathered in memory and put on the volume by one call;"
            " 0 gathers none",
            ge=0,
        ),
    ] = SMALL
    queue_high_water: Annotated[
        int, Field(description="jobs on the queue above which the sweep enqueues no more", gt=0)
    ] = 1000
    shutdown_seconds: Annotated[
        int, Field(description="how long SIGTERM waits for requests under way", gt=0)
    ] = 5
    crash_points: Annotated[
        TestFolder | None,
        Field(description="folder of a test's crash points; refused outside `dev`"),
    ] = None
    log_level: Annotated[LogLevel, Field(description="least level that is logged")] = "info"
    log_format: Annotated[
        LogFormat, Field(description="`json`, `text`, or `auto`: text in a terminal")
    ] = "auto"

    @property
    def pace(self) -> Pace:
        """How slow a body may be."""
        return Pace(
            idle_seconds=self.receive_idle_seconds,
            min_bytes_per_second=self.receive_min_bytes_per_second,
            window_seconds=self.receive_rate_seconds,
        )

    @property
    def waiting_per_client(self) -> int:
        """How many requests of one client may wait; 0 is no limit, as it is by default where its
        connections have none."""
        if self.max_waiting_per_client is not None:
            return self.max_waiting_per_client
        return self.max_connections_per_client // 2

    @property
    def retention(self) -> Retention:
        """How long what is kept."""
        return Retention(
            receiving_ms=_ms(self.receiving_keep_seconds),
            rejected_ms=_ms(self.rejected_keep_seconds),
            failed_ms=_ms(self.failed_keep_seconds),
            failed_warning_ms=_ms(self.failed_warning_seconds),
            draft_ms=_ms(self.draft_keep_seconds),
            submitted_ms=_ms(self.submitted_keep_seconds) or None,
        )

    @property
    def proxies(self) -> TrustedProxies:
        """Whose word is taken about the client."""
        return TrustedProxies.of(self.trusted_proxies, self.forwarding_header)

    @property
    def service_keys(self) -> tuple[tuple[str, str], ...]:
        """Name and secret of each; a name may stand twice while its secret is rotated."""
        return tuple(
            (name, secret) for name, _, secret in (e.partition(":") for e in self.api_keys)
        )

    # Each setting is checked by itself, so that all that are wrong are told at once.

    @field_validator("internal_port")
    @classmethod
    def _listeners_differ(cls, port: int, info: ValidationInfo) -> int:
        hosts = {info.data.get("host"), info.data.get("internal_host")}
        if port == info.data.get("port") and (len(hosts) == 1 or hosts & _EVERY_ADDRESS):
            raise ValueError("is PORT's too; give each listener its own")
        return port

    @field_validator("internal_secrets")
    @classmethod
    def _internal_secrets_are_real(
        cls, secrets: tuple[str, ...], info: ValidationInfo
    ) -> tuple[str, ...]:
        if not 1 <= len(secrets) <= 2:  # noqa: PLR2004 - one, and a second while rotating
            raise ValueError("one secret, or two while rotating")
        for secret in secrets:
            refuse_weak(secret, info)
        return secrets

    @field_validator("metrics_secrets")
    @classmethod
    def _metrics_secrets_are_real(
        cls, secrets: tuple[str, ...], info: ValidationInfo
    ) -> tuple[str, ...]:
        for secret in secrets:
            refuse_weak(secret, info)
        return secrets

    @field_validator("api_keys")
    @classmethod
    def _api_keys_are_real(cls, keys: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        for number, entry in enumerate(keys, 1):
            name, colon, secret = entry.partition(":")
            if not (name and colon):
                raise ValueError("name:secret pairs, separated by commas")
            refuse_weak(secret, info, whose=f"the secret of entry {number} ")
        return keys

    @field_validator("redirect_origins")
    @classmethod
    def _redirects_have_origins(
        cls, origins: tuple[str, ...], info: ValidationInfo
    ) -> tuple[str, ...]:
        may_be_plain = info.data.get("environment") == "dev"
        return tuple(exact_origin(each, may_be_plain=may_be_plain) for each in origins)

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies_are_addresses(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for entry in proxies:
            network(entry)
        return proxies

    @field_validator("heartbeat_seconds")
    @classmethod
    def _a_lease_outlives_a_lost_heartbeat(cls, seconds: float, info: ValidationInfo) -> float:
        if seconds * 2 > info.data.get("lease_seconds", seconds * 2):
            raise ValueError("at most half of LEASE_SECONDS")
        return seconds
