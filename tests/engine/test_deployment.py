"""The deployment as a whole: it starts, works from this machine, scales, stops, and keeps its data."""

import hashlib
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.compose import CHECKOUT
from tests.support.engine import HEALTHY_SECONDS, Deployment, EngineError, docker
from tests.support.files import pdf, photo


def test_it_is_healthy_within_a_minute(running: Deployment) -> None:
    running.remove()
    assert running.up() < HEALTHY_SECONDS
    states = {c["Name"]: c["State"] for c in _all(running)}
    for service in ("proxy", "api", "worker", "redis", "postgres", "objectstore"):
        assert states[f"/{running.project}-{service}-1"]["Health"]["Status"] == "healthy"
    for service in ("migrate", "bucket"):
        assert states[f"/{running.project}-{service}-1"]["ExitCode"] == 0


def test_the_session_of_the_readme_works_from_this_machine(
    running: Deployment, tmp_path: Path
) -> None:
    readme = (CHECKOUT / "README.md").read_text("utf-8")
    (session,) = re.findall(r"```bash\n(api=.*?)```", readme, re.DOTALL)
    session = session.replace("http://127.0.0.1:8000", running.url)
    said = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", session],
        cwd=tmp_path, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "acknowledged: staged" in said
    assert f'"public_url": "{running.settings["S3_PUBLIC_ENDPOINT_URL"]}/longshore/' in said
    assert (tmp_path / "thumb.jpg").read_bytes()[:2] == b"\xff\xd8"


def test_several_apis_and_workers_share_the_work(running: Deployment) -> None:
    running.up("--scale=api=2", "--scale=worker=3")
    forms = [running.form() for _ in range(24)]
    with ThreadPoolExecutor(8) as people:
        stored = list(people.map(lambda form: form.stored("headshot", photo()), forms))
    assert {upload["attempts"] for upload in stored} == {1}
    for service, count, event in (("api", 2, '"to": "staged"'), ("worker", 3, "promotion_ended")):
        containers = running.containers(service)
        assert len(containers) == count
        for each in containers:
            assert event in docker("logs", each["Id"]), f"{each['Name']} did nothing"
    running.up()


def test_a_stop_is_within_its_grace(running: Deployment) -> None:
    began = time.monotonic()
    running("stop")
    assert time.monotonic() - began < 60
    for container in _all(running):
        assert container["State"]["ExitCode"] == 0, container["Name"]
        assert not container["State"]["OOMKilled"]
    running.up()


def test_data_is_kept_when_everything_is_taken_down(running: Deployment) -> None:
    sent = {}
    for number in range(6):
        form, content = running.form(), pdf(pages=number + 1)
        upload = form.stored("resume", content, kind="application/pdf")
        sent[upload["id"]] = (form, content)
    volumes = _volumes()
    running("down")
    assert running.up() < HEALTHY_SECONDS
    for upload_id, (form, content) in sent.items():
        form.http = httpx.Client(base_url=running.url, headers=form.http.headers, trust_env=False)
        link = form.http.get(f"/v1/uploads/{upload_id}/content", follow_redirects=True)
        assert hashlib.sha256(link.content).digest() == hashlib.sha256(content).digest()
    assert _volumes() == volumes, "no start leaves a volume without a name behind"


def test_a_script_of_any_page_may_follow_a_link(running: Deployment) -> None:
    """A browser that is led from a page's origin over another to the store calls its own `null`."""
    form = running.form()
    upload = form.stored("resume", pdf(), kind="application/pdf")
    link = form.http.get(f"/v1/uploads/{upload['id']}/content").headers["location"]
    answer = httpx.get(link, headers={"Origin": "null"}, trust_env=False)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] in {"*", "null"}


def test_in_production_the_secrets_of_the_example_are_refused(running: Deployment) -> None:
    for service in ("api", "worker"):
        start = ["run", "--rm", "--no-deps", "-e", "ENVIRONMENT=production", service]
        with pytest.raises(EngineError, match="is the example's") as refused:
            running(*start, "python", "-m", service)
        assert "change-me" not in str(refused.value)


def test_images_say_which_release_they_are(running: Deployment) -> None:
    said = httpx.get(f"{running.url}/healthz", trust_env=False).json()["version"]
    for service in ("api", "worker"):
        (container,) = running.containers(service)
        assert container["Config"]["Labels"]["org.opencontainers.image.version"] == said


def test_a_secret_of_the_build_is_in_no_image(running: Deployment) -> None:
    for service in ("api", "worker"):
        assert not running.runs(service, "test", "-e", "/etc/pip.conf")
        assert not running.runs(service, "test", "-e", "/run/secrets")


def test_each_service_finds_what_it_needs(running: Deployment) -> None:
    api = running.execute("api", "python", "bind_internal.py", "api.check")
    assert re.search(r"^ok +INTERNAL_PORT +an api listens on \S+:8001$", api, re.MULTILINE), api
    worker = running.execute("worker", "python", "-m", "worker.check")
    for said in (api, worker):
        assert not re.search(r"^(wrong|warning)", said, re.MULTILINE), said


def _all(running: Deployment) -> list[dict[str, Any]]:
    return [
        c
        for service in running("config", "--services").split()
        for c in running.containers(service)
    ]


def _volumes() -> set[str]:
    return set(docker("volume", "ls", "--quiet").split())
