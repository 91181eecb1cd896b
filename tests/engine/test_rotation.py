"""Secrets are rotated as docs/deployment.md says, with two apis, while people upload."""

import secrets
from collections.abc import Iterator

import httpx
import pytest

from tests.support.engine import Deployment
from tests.support.files import pdf
from tests.support.uploading import people, replaced


@pytest.fixture
def two(running: Deployment) -> Iterator[Deployment]:
    running.up("--scale=api=2")
    yield running
    running.up()


def new() -> str:
    return secrets.token_hex(32)


@pytest.mark.slow
def test_the_internal_secret_is_rotated_without_a_refused_request(two: Deployment) -> None:
    old, fresh = two.settings["INTERNAL_SECRET"], new()
    with people(two.url):
        two.settings["INTERNAL_SECRETS"] = f"{fresh},{old}"
        replaced(two, "api")
        two.settings["INTERNAL_SECRET"] = fresh
        two("up", "--detach", "--wait", "--no-deps", "worker")
        del two.settings["INTERNAL_SECRETS"]
        replaced(two, "api")
    for service in ("api", "worker"):
        for container in two.containers(service):
            assert not any(old in line for line in container["Config"]["Env"])
            assert "claim_refused" not in "".join(two.logs(service))


@pytest.mark.slow
def test_a_service_key_is_rotated_without_a_refused_request(two: Deployment) -> None:
    old, fresh = new(), new()
    two.settings["API_KEYS"] = f"backend:{old}"
    replaced(two, "api")
    key = old

    def listed() -> int:
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.get(f"{two.url}/v1/forms", headers=headers, trust_env=False).status_code

    with people(two.url):
        two.settings["API_KEYS"] = f"backend:{fresh},backend:{old}"
        replaced(two, "api")
        assert listed() == 200
        key = fresh
        assert listed() == 200
        two.settings["API_KEYS"] = f"backend:{fresh}"
        replaced(two, "api")
    assert listed() == 200
    key = old
    assert listed() == 401


@pytest.mark.slow
def test_the_stores_keys_are_rotated_without_a_refused_request(two: Deployment) -> None:
    with people(two.url):
        for who in ("API", "WORKER"):
            two.settings[f"S3_{who}_ACCESS_KEY_ID"] += "2"
            two.settings[f"S3_{who}_SECRET_ACCESS_KEY"] = new()
        two("up", "--detach", "--wait", "--no-deps", "objectstore", "worker")
        replaced(two, "api")
    form = two.form()
    upload = form.stored("resume", pdf(), kind="application/pdf")
    link = form.http.get(f"/v1/uploads/{upload['id']}/content", follow_redirects=True)
    assert link.status_code == 200


def test_the_password_of_redis_is_rotated_without_a_refused_request(two: Deployment) -> None:
    with people(two.url):
        two.settings["REDIS_PASSWORD"] = new()
        two("up", "--detach", "--wait", "--no-deps", "redis", "worker")
        replaced(two, "api")


@pytest.mark.slow
def test_the_password_of_the_database_is_rotated_without_a_refused_request(two: Deployment) -> None:
    def say(statement: str) -> None:
        two.execute("postgres", "psql", "-q", "-U", "longshore", "-c", statement)

    fresh = new()
    with people(two.url):
        say("CREATE ROLE longshore2 LOGIN IN ROLE longshore")
        say("ALTER ROLE longshore2 SET role TO longshore")
        say(f"ALTER ROLE longshore2 PASSWORD '{fresh}'")
        two.settings |= {"DATABASE_USER": "longshore2", "POSTGRES_PASSWORD": fresh}
        replaced(two, "api")
        say("ALTER ROLE longshore PASSWORD NULL")
