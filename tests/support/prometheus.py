"""A real Prometheus of a test's own, with the rules and the configuration that are shipped."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from dev.ports import free_port
from tests.support.faulty_stack import until
from tests.support.stack import CHECKOUT

FILES = CHECKOUT / "deploy/observability"
RULES = FILES / "alerts.yaml"
DASHBOARD = FILES / "dashboard.json"
SERVER, TOOL = shutil.which("prometheus"), shutil.which("promtool")


def needs_prometheus() -> None:
    """Skip where it isn't installed; a machine that checks changes has to have it."""
    if SERVER is None or TOOL is None:
        why = "prometheus and promtool aren't installed (Debian: prometheus)"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)


def promtool(*arguments: str | Path) -> str:
    """What it says; the test fails when it finds something wrong."""
    needs_prometheus()
    ran = subprocess.run(
        [str(TOOL), *arguments], cwd=FILES, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def panels() -> list[dict[str, Any]]:
    """Those of the dashboard that show something."""
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def expressions() -> Iterator[str]:
    """Of all panels, as Grafana asks them."""
    for panel in panels():
        for target in panel["targets"]:
            yield target["expr"].replace("$__rate_interval", "1m")


class RunningPrometheus:
    """Asks one api every half a second. Its rules are those that are shipped, but fire at once:
    how long something has to last is what promtool's tests are for."""

    def __init__(self, folder: Path, target: str, secret: str) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self.output = folder / "output"
        folder.mkdir()
        (folder / "secret").write_text(secret)
        rules = re.sub(r"^ +for: .+\n", "", RULES.read_text("utf-8"), flags=re.MULTILINE)
        (folder / RULES.name).write_text(rules)
        config = yaml.safe_load((FILES / "prometheus.yaml").read_text("utf-8"))
        config["global"] = dict.fromkeys(("scrape_interval", "evaluation_interval"), "500ms")
        [job] = config["scrape_configs"]
        job["authorization"]["credentials_file"] = str(folder / "secret")
        del job["dns_sd_configs"]
        job["static_configs"] = [{"targets": [target]}]
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                [
                    str(SERVER),
                    f"--config.file={folder}/prometheus.yaml",
                    f"--storage.tsdb.path={folder}/data",
                    f"--web.listen-address={self.url.removeprefix('http://')}",
                ],
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """Its samples now."""
        result: list[dict[str, Any]] = self._get("query", query=expression)["result"]
        return result

    def firing(self) -> set[str]:
        """The names of the alerts."""
        alerts = self._get("alerts")["alerts"]
        return {each["labels"]["alertname"] for each in alerts if each["state"] == "firing"}

    def broken_rules(self) -> list[str]:
        """What it says of rules that it couldn't evaluate."""
        groups = self._get("rules")["groups"]
        return [rule["lastError"] for g in groups for rule in g["rules"] if "lastError" in rule]

    def _get(self, path: str, **query: str) -> dict[str, Any]:
        answer = httpx.get(
            f"{self.url}/api/v1/{path}", params=query, trust_env=False, timeout=10
        ).json()
        assert answer["status"] == "success", answer
        data: dict[str, Any] = answer["data"]
        return data

    def answers(self) -> bool:
        assert self._process.poll() is None, self.output.read_text()
        try:
            return httpx.get(f"{self.url}/-/ready", trust_env=False, timeout=5).is_success
        except httpx.HTTPError:
            return False

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


@contextmanager
def running_prometheus(folder: Path, target: str, secret: str) -> Iterator[RunningPrometheus]:
    needs_prometheus()
    prometheus = RunningPrometheus(folder, target, secret)
    try:
        until(prometheus.answers, "Prometheus doesn't start")
        until(lambda: prometheus.ask("up == 1"), "Prometheus can't scrape")
        yield prometheus
    finally:
        prometheus.stop()
