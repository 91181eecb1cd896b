"""Start a service, or run its check, on settings of a test's own, and see what it says."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dev.ports import free_port
from tests.support.compose import run_redis
from tests.support.stack import CHECKOUT

SECONDS = 60
SECRET = "f00d" * 8
"""Good enough for production, which is what the services believe to be in."""


@dataclass(frozen=True)
class Ended:
    """How a process ended that was to serve, or to check."""

    status: int
    out: str
    lines: list[str]
    """Of stderr."""

    def findings(self) -> list[tuple[str, str]]:
        """Level and name of each line of a check."""
        return [(words[0], words[1]) for words in map(str.split, self.out.splitlines())]


def api_settings(folder: Path, **changed: str | None) -> dict[str, str]:
    """The least that the api needs; Redis and the store are away. None takes a setting out."""
    return _environment(
        {
            "PORT": str(free_port()),
            "INTERNAL_PORT": str(free_port()),
            "DATABASE_URL": f"sqlite:///{folder}/records.db",
            "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0",
            "STAGING_DIR": f"{folder}/volume",
            "INTERNAL_SECRETS": SECRET,
            "S3_PUBLIC_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}",
        },
        changed,
    )


def worker_settings(folder: Path, **changed: str | None) -> dict[str, str]:
    return _environment(
        {
            "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0",
            "STAGING_DIR": f"{folder}/volume",
            "SCRATCH_DIR": f"{folder}/scratch",
            "INTERNAL_URL": f"http://127.0.0.1:{free_port()}",
            "INTERNAL_SECRET": SECRET,
            "S3_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}",
        },
        changed,
    )


@contextmanager
def answering_redis(folder: Path) -> Iterator[tuple[dict[str, str], list[str], str]]:
    """Compose's Redis, once it answers: its environment, its client's command, its URL."""
    with run_redis(folder) as (env, client, port):
        deadline = time.monotonic() + SECONDS
        ping = partial(subprocess.run, [*client, "ping"], env=env, capture_output=True, text=True)
        while not ping().stdout.startswith("PONG"):
            assert time.monotonic() < deadline, "Redis doesn't answer"
            time.sleep(0.05)
        yield env, client, f"redis://:{env['REDISCLI_AUTH']}@127.0.0.1:{port}/0"


def _environment(own: dict[str, str], changed: Mapping[str, str | None]) -> dict[str, str]:
    common = {
        "PATH": os.environ["PATH"],
        "LOG_FORMAT": "json",
        "SHUTDOWN_SECONDS": "1",
        "S3_BUCKET": "longshore-test",
        "S3_ACCESS_KEY_ID": "nobody",
        "S3_SECRET_ACCESS_KEY": "nothing",
    }
    return {n: v for n, v in {**common, **own, **changed}.items() if v is not None}


def run(module: str, env: Mapping[str, str], *arguments: str) -> Ended:
    """Run to the end, which for a service is a refusal to start."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=CHECKOUT,
        env=env,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr.splitlines())


def run_until(module: str, env: Mapping[str, str], *logged: str, made: Sequence[Path] = ()) -> str:
    """Serve until all of these patterns were logged and all of these files `made`, then SIGTERM; the
    log. Its end must be good."""
    log = Path(env["STAGING_DIR"]).parent / f"{module}.log"
    with log.open("wb") as output:
        serving = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=CHECKOUT,
            env=env,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + SECONDS
        while not (
            all(re.search(pattern, log.read_text()) for pattern in logged)
            and all(path.exists() for path in made)
        ):
            assert serving.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        serving.send_signal(signal.SIGTERM)
        assert serving.wait(10) == 0
    finally:
        serving.kill()
        serving.wait()
    return log.read_text()
