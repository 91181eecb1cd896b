"""What each part of the stack is told: its addresses, its keys, its environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dev import CHECKOUT
from dev.ports import Ports
from dev.state import DATABASE_FILE, read_file

REGION = "us-east-1"
BUCKET = "longshore"
HOST = "127.0.0.1"

# All that a service sees of the caller's own environment ...
KEPT = (
    "PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE",
)  # fmt: skip # one a line would be a page
# ... but for these settings, which win over the stack's own.
TUNABLE = (
    "FORMS_DIR", "CORS_ORIGINS", "CORS_HEADERS", "REDIRECT_ORIGINS",
    "LOG_LEVEL", "LEASE_SECONDS", "HEARTBEAT_SECONDS",
    "WORK_SECONDS", "SWEEP_SECONDS", "FIRST_BACKOFF_SECONDS", "MAX_BACKOFF_SECONDS", "MAX_ATTEMPTS",
    "MAX_JOBS", "MAX_PUTS", "MAX_CHECKED", "MAX_CHECKED_BYTES",
    "DEADLINE_SECONDS", "ORPHAN_SECONDS", "QUARANTINE_SECONDS", "RECEIVE_IDLE_SECONDS",
    "DECODE_SECONDS", "RECEIVE_RATE_SECONDS", "RECEIVE_HEAD_SECONDS", "RECEIVING_KEEP_SECONDS",
    "REJECTED_KEEP_SECONDS",
    "FAILED_KEEP_SECONDS", "FAILED_WARNING_SECONDS", "DRAFT_KEEP_SECONDS", "SUBMITTED_KEEP_SECONDS",
    "MAX_FORM_BYTES", "MAX_FORM_UPLOADS", "MAX_FORM_TEXT_BYTES", "MAX_DRAFTS_PER_HOUR",
    "MIN_FREE_BYTES", "MIN_FREE_INODES", "SMALL_BODY_BYTES",
    "CLAMD_ADDRESS", "MAX_SCANS", "SCAN_SECONDS",
    "SOFFICE", "MAX_OFFICE", "OFFICE_SECONDS",
)  # fmt: skip # as above
# Any setting of one service alone, whatever the stack says: `LONGSHORE_WORKER_REDIS_URL`. It is how
# faulty links are put between the parts.
API_PREFIX, WORKER_PREFIX = "LONGSHORE_API_", "LONGSHORE_WORKER_"


def clean(environ: Mapping[str, str]) -> dict[str, str]:
    """A child's environment: little, so that nothing depends on the shell `up` was started from."""
    kept = {name: environ[name] for name in KEPT if name in environ}
    return kept | {"PYTHONUNBUFFERED": "1"}


def tuned(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name in TUNABLE}


def overridden(environ: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {n.removeprefix(prefix): v for n, v in environ.items() if n.startswith(prefix)}


@dataclass(frozen=True)
class Services:
    """One stack's addresses and the settings that follow from them."""

    folder: Path
    ports: Ports
    secrets: dict[str, Any]  # shared with the state: keys made later are seen at the next start

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.ports['public']}"

    @property
    def internal_url(self) -> str:
        return f"http://{HOST}:{self.ports['internal']}"

    @property
    def s3_url(self) -> str:
        return f"http://{HOST}:{self.ports['s3']}"

    @property
    def redis_url(self) -> str:
        return f"redis://:{self.secrets['redis_password']}@{HOST}:{self.ports['redis']}/0"

    @property
    def database_url(self) -> str:
        """Where `up` was told to keep the records, then and now; else a file of the folder."""
        kept: str | None = read_file(self.folder, DATABASE_FILE).get("url")
        own = f"sqlite:///{self.folder / 'longshore.db'}"
        return kept or os.environ.get("DATABASE_URL", own)

    @property
    def worker_health(self) -> Path:
        return self.folder / "worker.health"

    def api(self) -> dict[str, str]:
        return (
            self._both("s3_api")
            | {
                "HOST": HOST,
                "PORT": str(self.ports["public"]),
                "INTERNAL_HOST": HOST,
                "INTERNAL_PORT": str(self.ports["internal"]),
                "PUBLIC_URL": self.url,
                "DATABASE_URL": self.database_url,
                "FORMS_DIR": str(CHECKOUT / "forms"),
                "INTERNAL_SECRETS": self.secrets["internal_secret"],
                "API_KEYS": f"local:{self.secrets['service_key']}",
                "S3_PUBLIC_ENDPOINT_URL": self.s3_url,
            }
            | tuned(os.environ)
            | overridden(os.environ, API_PREFIX)
        )

    def worker(self) -> dict[str, str]:
        return (
            self._both("s3_worker")
            | {
                "INTERNAL_URL": self.internal_url,
                "INTERNAL_SECRET": self.secrets["internal_secret"],
                "S3_ENDPOINT_URL": self.s3_url,
                "HEALTH_FILE": str(self.worker_health),
            }
            | tuned(os.environ)
            | overridden(os.environ, WORKER_PREFIX)
        )

    def _both(self, key: str) -> dict[str, str]:
        return clean(os.environ) | {
            "ENVIRONMENT": "dev",
            "LOG_FORMAT": "json",
            "SHUTDOWN_SECONDS": "1",  # a developer's Ctrl-C doesn't wait: uploads are given back
            "REDIS_URL": self.redis_url,
            "STAGING_DIR": str(self.folder / "staging"),
            "S3_REGION": REGION,
            "S3_BUCKET": BUCKET,
            "S3_ACCESS_KEY_ID": self.secrets.get(key, {}).get("access_key_id", ""),
            "S3_SECRET_ACCESS_KEY": self.secrets.get(key, {}).get("secret_access_key", ""),
        }

    def s3(self) -> dict[str, str]:
        """Its home is its folder, so that it finds no settings of a SeaweedFS of the person's."""
        return clean(os.environ) | {"HOME": str(self.folder / "s3")}

    def redis_conf(self) -> str:
        """In a file of mode 600, since a process's arguments are everybody's to read."""
        return (
            f"bind {HOST}\nport {self.ports['redis']}\n"
            f"requirepass {self.secrets['redis_password']}\n"
            'appendonly yes\nappendfsync everysec\nsave ""\nmaxmemory-policy noeviction\n'
        )

    def described(self, pids: dict[str, list[int]]) -> dict[str, Any]:
        """The content of stack.json."""
        return {
            "url": self.url,
            "internal_url": self.internal_url,
            "database_url": self.database_url,
            "redis_url": self.redis_url,
            "staging_dir": str(self.folder / "staging"),
            "service_key": self.secrets["service_key"],
            "pids": pids,
            "s3": {
                "endpoint_url": self.s3_url,
                "region": REGION,
                "bucket": BUCKET,
                **self.secrets["s3_worker"],
            },
        }
