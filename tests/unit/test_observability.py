"""The alert rules, their tests and the dashboard name what there is, and lead to what to do."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from api.telemetry.metrics import Metrics
from docs import log_meanings
from tests.support.prometheus import (
    DASHBOARD,
    FILES,
    RULES,
    expressions,
    panels,
    promtool,
)
from tests.support.stack import CHECKOUT

CASES = FILES / "alerts_test.yaml"
OF_PROMETHEUS = {"instance", "job", "le"}
"""Labels that aren't ours."""
SELECTOR = re.compile(r"\b(longshore_\w+)(?:\{([^}]*)\})?")


def metrics() -> dict[str, set[str]]:
    """The name of each series, and its labels."""
    return {
        f"{family.name}{ending}": set(metric._labelnames)
        for metric in vars(Metrics()).values()
        if isinstance(metric, MetricWrapperBase)
        for family in metric.describe()
        for ending in {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(
            family.type, [""]
        )
    }


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def families(text: str) -> set[str]:
    """The metrics that a text names, by the names that operators know."""
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name, _ in SELECTOR.findall(text)}


@pytest.mark.parametrize("file", [RULES, CASES, DASHBOARD], ids=lambda file: file.name)
def test_every_metric_and_label_that_is_named_exists(file: Path) -> None:
    known = metrics()
    found = SELECTOR.findall(file.read_text("utf-8").replace('\\"', '"'))
    assert found
    for name, selected in found:
        assert name in known
        labels = set(re.findall(r"(\w+)[=!]", selected))
        assert labels <= known[name] | OF_PROMETHEUS, f"{name}{{{selected}}}"


def test_every_metric_is_on_the_dashboard_and_in_the_documents() -> None:
    known = {re.sub(r"_(bucket|sum|count)$", "", name) for name in metrics()}
    assert families(" ".join(expressions())) == known
    said = (CHECKOUT / "docs/deployment.md").read_text("utf-8")
    assert families(said.partition("| Metric |")[2].partition("\n\n")[0]) == known


def test_the_rules_hold_in_each_of_their_cases() -> None:
    assert "SUCCESS" in promtool("check", "rules", RULES)
    assert "SUCCESS" in promtool("test", "rules", CASES)


def test_every_alert_fires_in_a_case_and_in_another_one_does_not() -> None:
    cases = yaml.safe_load(CASES.read_text("utf-8"))["tests"]
    fired = [
        re.findall(r'alertname="(\w+)"', json.dumps(case).replace('\\"', '"')) for case in cases
    ]
    assert {name for names in fired for name in names} == {rule["alert"] for rule in alerts()}
    assert [] in fired


def test_the_configuration_is_one_that_prometheus_takes() -> None:
    assert "SUCCESS" in promtool("check", "config", "--syntax-only", FILES / "prometheus.yaml")


def test_what_the_dashboard_asks_can_be_asked(tmp_path: Path) -> None:
    asked = {f"asked:{number}": each for number, each in enumerate(expressions())}
    recorded = [{"record": name, "expr": expression} for name, expression in asked.items()]
    file = tmp_path / "asked.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": recorded}]}))
    assert f"{len(asked)} rules found" in promtool("check", "rules", file)


def test_every_panel_says_what_it_shows() -> None:
    for panel in panels():
        assert panel["title"]
        assert panel["description"], panel["title"]
    ids = [panel["id"] for panel in json.loads(DASHBOARD.read_text("utf-8"))["panels"]]
    assert len(ids) == len(set(ids))


def test_every_alert_says_how_urgent_it_is_and_where_the_runbook_has_it() -> None:
    page = (CHECKOUT / "docs/runbook.md").read_text("utf-8")
    headings = re.findall(r"^## (.+)$", page, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}
    for rule in alerts():
        assert rule["labels"]["severity"] in {"page", "ticket"}
        file, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert file == "docs/runbook.md"
        assert anchor in anchors, rule["alert"]
        assert f"`{rule['alert']}`" in page, "named where the runbook says what to do"


def test_every_symptom_has_the_metric_and_the_events_it_shows_in_and_a_command() -> None:
    page = (CHECKOUT / "docs/runbook.md").read_text("utf-8")
    _, first, *symptoms = re.split(r"^## ", page, flags=re.MULTILINE)
    assert first.startswith("First look")
    events = {*log_meanings.API, *log_meanings.WORKER}
    known = {re.sub(r"_(bucket|sum|count)$", "", name) for name in metrics()}
    for symptom in symptoms:
        title = symptom.partition("\n")[0]
        assert "**Shows in**" in symptom, title
        assert "docker " in symptom, title
        assert set(re.findall(r"`(\w+)`", symptom)) & events, title
        named = families(symptom)
        assert named or 'up{job="longshore"}' in symptom, title
        assert named <= known, title
