"""The override file of docs/deployment.md, with a store that is no part of the deployment."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.compose import CHECKOUT
from tests.support.engine import Deployment, deployment, docker
from tests.support.files import pdf

ELSEWHERE = "longshore-elsewhere"

pytestmark = pytest.mark.slow  # two deployments more


@pytest.fixture
def elsewhere(running: Deployment, tmp_path: Path) -> Iterator[Deployment]:
    """Our own object store, run by itself and published where no network of ours leads."""
    docs = (CHECKOUT / "docs/deployment.md").read_text("utf-8")
    (override,) = re.findall(
        r"```yaml\n# compose.override.yaml\n(services:\n  worker:.*?)```", docs, re.DOTALL
    )
    running("stop")
    with (
        deployment(f"{ELSEWHERE}-store", tmp_path) as store,
        deployment(ELSEWHERE, tmp_path) as made,
    ):
        store.settings["S3_BIND"] = "0.0.0.0"  # noqa: S104 - the machine's other addresses
        store.settings["S3_PUBLIC_ENDPOINT_URL"] = "http://localhost:1"
        store("up", "--detach", "--wait", "objectstore")
        store("up", "--no-log-prefix", "bucket")
        (container,) = store.containers("objectstore")
        gateway = next(iter(container["NetworkSettings"]["Networks"].values()))["Gateway"]
        (tmp_path / "override.yaml").write_text(override)
        made.overrides = [tmp_path / "override.yaml"]
        made.settings["S3_ENDPOINT_URL"] = f"http://{gateway}:{store.settings['S3_PORT']}"
        made.settings["S3_PUBLIC_ENDPOINT_URL"] = f"http://localhost:{store.settings['S3_PORT']}"
        made.settings["PUBLIC_SUBNET"] = "10.231.180.0/24"
        made.settings["FRONT_SUBNET"] = "10.231.181.0/24"
        made.up()
        yield made
    running.up()


def test_a_store_elsewhere_takes_the_place_of_ours(elsewhere: Deployment) -> None:
    assert not {"objectstore", "bucket"} & set(elsewhere("ps", "--all", "--services").split())
    form = elsewhere.form()
    upload = form.stored("resume", pdf(), kind="application/pdf")
    assert (
        form.http.get(f"/v1/uploads/{upload['id']}/content", follow_redirects=True).content == pdf()
    )
    assert docker("ps", "--quiet", "--filter", f"name={ELSEWHERE}-objectstore") == ""
