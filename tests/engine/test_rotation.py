"""Secrets are rotated as docs/deployment.md says, with two apis, while people upload."""

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.support.client import FormClient
from tests.support.engine import Deployment
from tests.support.files import pdf

STORED_SECONDS = 90


class People:
    """Who begin forms, upload, and read, all the time; each refusal is kept."""

    def __init__(self, url: str, at_once: int = 3) -> None:
        self._url = url
        self.refused: list[str] = []
        self.uploads: list[tuple[FormClient, dict[str, str]]] = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._go) for _ in range(at_once)]
        for each in self._threads:
            each.start()

    def _go(self) -> None:
        number = 0
        while not self._over.wait(0.05):
            number += 1
            try:
                form = FormClient(self._url)
                upload = form.upload("resume", pdf(pages=number % 5 + 1), kind="application/pdf")
                form.read()
                self.uploads.append((form, upload))
            except (httpx.HTTPError, AssertionError) as error:
                self.refused.append(f"{time.strftime('%X')} {error!r}")

    def end(self) -> None:
        self._over.set()
        for each in self._threads:
            each.join()


@contextmanager
def people(running: Deployment) -> Iterator[People]:
    """Afterwards no request of theirs was refused, and all they sent is stored."""
    uploading = People(running.url)
    try:
        yield uploading
    finally:
        uploading.end()
    assert not uploading.refused, (
        f"{len(uploading.refused)} of {len(uploading.uploads)}: {uploading.refused}"
    )
    assert uploading.uploads
    for form, upload in uploading.uploads:
        assert form.final(dict(upload), STORED_SECONDS)["status"] == "stored"


@pytest.fixture
def two(running: Deployment) -> Iterator[Deployment]:
    running.up("--scale=api=2")
    yield running
    running.up()


def renewed(running: Deployment, service: str = "api", count: int = 2) -> None:
    """As docs/deployment.md replaces containers: new ones beside the old, which then go."""
    running(
        "up",
        "--detach",
        "--wait",
        "--no-deps",
        "--no-recreate",
        f"--scale={service}={2 * count}",
        service,
    )
    running("up", "--detach", "--wait", "--no-deps", f"--scale={service}={count}", service)


def new() -> str:
    return secrets.token_hex(32)


@pytest.mark.slow
def test_the_internal_secret_is_rotated_without_a_refused_request(two: Deployment) -> None:
    old, fresh = two.settings["INTERNAL_SECRET"], new()
    with people(two):
        two.settings["INTERNAL_SECRETS"] = f"{fresh},{old}"
        renewed(two)
        two.settings["INTERNAL_SECRET"] = fresh
        two("up", "--detach", "--wait", "--no-deps", "worker")
        del two.settings["INTERNAL_SECRETS"]
        renewed(two)
    for service in ("api", "worker"):
        for container in two.containers(service):
            assert not any(old in line for line in container["Config"]["Env"])
            assert "claim_refused" not in "".join(two.logs(service))


@pytest.mark.slow
def test_a_service_key_is_rotated_without_a_refused_request(two: Deployment) -> None:
    old, fresh = new(), new()
    two.settings["API_KEYS"] = f"backend:{old}"
    renewed(two)
    key = old

    def listed() -> int:
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.get(f"{two.url}/v1/forms", headers=headers, trust_env=False).status_code

    with people(two):
        two.settings["API_KEYS"] = f"backend:{fresh},backend:{old}"
        renewed(two)
        assert listed() == 200
        key = fresh
        assert listed() == 200
        two.settings["API_KEYS"] = f"backend:{fresh}"
        renewed(two)
    assert listed() == 200
    key = old
    assert listed() == 401


@pytest.mark.slow
def test_the_stores_keys_are_rotated_without_a_refused_request(two: Deployment) -> None:
    with people(two):
        for who in ("API", "WORKER"):
            two.settings[f"S3_{who}_ACCESS_KEY_ID"] += "2"
            two.settings[f"S3_{who}_SECRET_ACCESS_KEY"] = new()
        two("up", "--detach", "--wait", "--no-deps", "objectstore", "worker")
        renewed(two)
    form = two.form()
    upload = form.stored("resume", pdf(), kind="application/pdf")
    link = form.http.get(f"/v1/uploads/{upload['id']}/content", follow_redirects=True)
    assert link.status_code == 200


def test_the_password_of_redis_is_rotated_without_a_refused_request(two: Deployment) -> None:
    with people(two):
        two.settings["REDIS_PASSWORD"] = new()
        two("up", "--detach", "--wait", "--no-deps", "redis", "worker")
        renewed(two)


@pytest.mark.slow
def test_the_password_of_the_database_is_rotated_without_a_refused_request(two: Deployment) -> None:
    def say(statement: str) -> None:
        two.execute("postgres", "psql", "-q", "-U", "longshore", "-c", statement)

    fresh = new()
    with people(two):
        say("CREATE ROLE longshore2 LOGIN IN ROLE longshore")
        say("ALTER ROLE longshore2 SET role TO longshore")
        say(f"ALTER ROLE longshore2 PASSWORD '{fresh}'")
        two.settings |= {"DATABASE_USER": "longshore2", "POSTGRES_PASSWORD": fresh}
        renewed(two)
        say("ALTER ROLE longshore PASSWORD NULL")
