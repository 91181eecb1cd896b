"""The api as a real process, on SQLite, without Redis, S3 or a worker: its edge is what is seen."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

import httpx

from dev.ports import free_port
from tests.support.stack import CHECKOUT, forms_folder
from tests.support.tables import make_tables

READY_SECONDS = 120


class ApiProcess:
    def __init__(self, folder: Path, **settings: object) -> None:
        self.folder = folder
        self.port, self.internal_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "api.log"
        self._env = {
            **os.environ,
            "ENVIRONMENT": "dev",
            "PORT": str(self.port),
            "INTERNAL_PORT": str(self.internal_port),
            "DATABASE_URL": f"sqlite:///{folder}/records.db",
            "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0",
            "STAGING_DIR": str(folder / "volume"),
            "FORMS_DIR": str(forms_folder(folder / "forms")),
            "INTERNAL_SECRETS": "secret",
            "S3_PUBLIC_ENDPOINT_URL": "http://store.example",
            "S3_BUCKET": "bucket",
            "S3_ACCESS_KEY_ID": "key",
            "S3_SECRET_ACCESS_KEY": "secret",
            **{name.upper(): str(value) for name, value in settings.items()},
        }
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        make_tables(self._env["DATABASE_URL"])
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "api"], env=self._env, cwd=CHECKOUT, stdout=log, stderr=log
            )
        deadline = time.monotonic() + READY_SECONDS
        while not self._answers():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def metric(self, name: str) -> float:
        """As it is now, 0 where it isn't there yet; with its labels, if it has any."""
        url = f"http://127.0.0.1:{self.internal_port}/metrics"
        text = httpx.get(url, headers={"Authorization": "Bearer secret"}, trust_env=False).text
        found = re.findall(rf"(?m)^longshore_{re.escape(name)} (\S+)$", text)
        return float(found[0]) if found else 0.0

    def until_waiting(self, requests: int) -> None:
        """Return when so many requests wait for a change, no more and no fewer."""
        deadline = time.monotonic() + READY_SECONDS
        while (waiting := self.metric("waiting_requests")) != requests:
            assert time.monotonic() < deadline, f"{waiting} wait"
            time.sleep(0.02)

    def terminate(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGTERM)

    def ended(self, seconds: float) -> int:
        """The exit status. Raises when it takes longer."""
        assert self.process
        return self.process.wait(seconds)

    def files(self) -> list[str]:
        """What is on the volume, but for the marker."""
        found = [*self.folder.glob("volume/incoming/*"), *self.folder.glob("volume/staged/*")]
        return sorted(path.name for path in found)
