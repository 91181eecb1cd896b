"""`./longshore soak` as an operator meets it."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.support.stack import CHECKOUT


@pytest.mark.slow
def test_a_short_soak_keeps_the_promise_and_says_so(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    options = ["--minutes", "0.5", "--uploads", "60", "--kills", "4", "--seed", "5"]
    done = subprocess.run(
        ["./longshore", "soak", *options, "--report", str(report)],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(report.read_text())
    assert told["acknowledged"] >= 60
    assert told["killed"] == 4
    for name in ("lost", "stuck", "wrong", "orphans_on_volume", "orphans_in_bucket"):
        assert told[name] == 0
    ended = ("stored", "replaced", "removed", "rejected", "failed", "aged")
    assert sum(told[name] for name in ended) == told["acknowledged"]
    assert "promise kept; seed 5" in done.stdout
