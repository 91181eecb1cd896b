"""The alerts that are shipped, by a real Prometheus that scrapes a running stack."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.support.client import FormClient
from tests.support.faulty_stack import until
from tests.support.files import pdf, png
from tests.support.prometheus import (
    RunningPrometheus,
    expressions,
    needs_prometheus,
    running_prometheus,
)
from tests.support.stack import Stack, forms_folder

TINY = 'mount -t tmpfs -o size=48m longshore "$1" && shift && exec "$@"'
TWENTY_MINUTES = 20 * 60 * 1000
"""In milliseconds, as the records count."""
ONLY_IN_TROUBLE = ("longshore_scans", "longshore_sweep_failures", "longshore_given_back")
"""Of these there is nothing to show as long as all is well, or without a scanner."""


class TinyVolume(Stack):
    """A stack whose staging volume is a tmpfs of 48 MiB, in a mount namespace of its own."""

    def command(self) -> list[str]:
        staging = self.state_dir / "staging"
        staging.mkdir(parents=True)
        return [*namespace(staging), *super().command()]


def namespace(volume: Path) -> list[str]:
    return ["unshare", "-Urm", "sh", "-c", TINY, "sh", str(volume)]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyVolume]:
    needs_prometheus()
    folder = tmp_path_factory.mktemp("alerts")
    if not shutil.which("unshare"):
        pytest.skip("no tmpfs may be mounted in a namespace: there is no unshare here")
    tried = subprocess.run([*namespace(folder), "true"], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip(f"no tmpfs may be mounted in a namespace: {tried.stderr.decode().strip()}")
    env = {
        "FORMS_DIR": str(forms_folder(folder / "forms")),
        "MIN_FREE_BYTES": str(9 * 1024**2),
        "SWEEP_SECONDS": "0.5",
        "MAX_BACKOFF_SECONDS": "1",
    }
    stack = TinyVolume(folder / "state", env)
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()


@pytest.fixture(scope="module")
def prometheus(
    tiny: TinyVolume, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningPrometheus]:
    secret = json.loads((tiny.state_dir / "secrets.json").read_text())["internal_secret"]
    target = tiny.info["internal_url"].removeprefix("http://")
    folder = tmp_path_factory.mktemp("observability") / "prometheus"
    with running_prometheus(folder, target, secret) as running:
        yield running


@contextmanager
def frozen(stack: Stack, part: str) -> Iterator[None]:
    pid = stack.pid(part)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_every_panel_of_the_dashboard_shows_something(
    tiny: TinyVolume, prometheus: RunningPrometheus
) -> None:
    form = FormClient(tiny.url, "acceptance")
    assert form.final(form.upload("pair", png()))["status"] == "stored"
    assert form.final(form.upload("needed", b"neither of them"))["status"] == "rejected"
    assert form.http.get("/nowhere").status_code == 404
    for expression in expressions():
        if not any(name in expression for name in ONLY_IN_TROUBLE):
            until(partial(prometheus.ask, expression), f"nothing is shown: {expression}")
    assert prometheus.broken_rules() == []
    assert prometheus.firing() == set()


def test_a_store_that_is_away_is_told_and_so_is_the_volume_that_fills_up_meanwhile(
    tiny: TinyVolume, prometheus: RunningPrometheus
) -> None:
    large = pdf(ballast=4 * 1024**2)
    with frozen(tiny, "s3"):
        until(lambda: "StoreAway" in prometheus.firing(), "the store's absence isn't told")
        while FormClient(tiny.url, "acceptance").put("bulk", "a", _chunks(large)).is_success:
            pass
        expected = {"StoreAway", "TakesNoUploads", "VolumeFillsUp"}
        until(lambda: prometheus.firing() == expected, "the full volume isn't told")
        [told] = prometheus.ask('ALERTS{alertname="TakesNoUploads"}')
        assert told["metric"]["check"] == "space"
    until(lambda: prometheus.firing() == set(), "their end isn't told", 60)


def test_a_queue_that_is_stuck_is_told(tiny: TinyVolume, prometheus: RunningPrometheus) -> None:
    form = FormClient(tiny.url, "acceptance")
    with frozen(tiny, "worker"):
        upload = form.upload("needed", png())
        assert "UploadsStuck" not in prometheus.firing()
        with sqlite3.connect(tiny.state_dir / "longshore.db", timeout=10) as records:
            records.execute("UPDATE uploads SET created_at = created_at - ?", [TWENTY_MINUTES])
        until(lambda: "UploadsStuck" in prometheus.firing(), "not told")
    assert form.final(upload)["status"] == "stored"
    until(lambda: prometheus.firing() == set(), "its end isn't told")


def _chunks(content: bytes) -> Iterator[bytes]:
    """A body that doesn't say its length, so that it goes below the watermark."""
    yield content
