from pathlib import Path

import pytest

from dev.services import Services, clean, tuned

PORTS = {"public": 8000, "internal": 8001, "s3": 20001, "redis": 20002}
SECRETS = {
    "redis_password": "pw",
    "internal_secret": "between-them",
    "service_key": "back-end",
    "s3_root": {"access_key_id": "ROOT", "secret_access_key": "root"},
    "s3_worker": {"access_key_id": "WORKER", "secret_access_key": "w"},
    "s3_api": {"access_key_id": "API", "secret_access_key": "a"},
}


@pytest.fixture
def services(tmp_path: Path) -> Services:
    return Services(tmp_path, PORTS, SECRETS)


def test_a_child_sees_little_of_the_callers_environment() -> None:
    environ = {"PATH": "/bin", "HOME": "/root", "AWS_PROFILE": "mine", "PYTHONPATH": "/x"}

    assert clean(environ) == {"PATH": "/bin", "HOME": "/root", "PYTHONUNBUFFERED": "1"}


def test_settings_made_for_tuning_are_handed_on() -> None:
    environ = {"LEASE_SECONDS": "2", "CORS_ORIGINS": "*", "S3_BUCKET": "other"}

    assert tuned(environ) == {"LEASE_SECONDS": "2", "CORS_ORIGINS": "*"}


def test_a_tuned_setting_wins_over_the_stacks_own(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql+asyncpg://elsewhere")
    monkeypatch.setenv("FORMS_DIR", "/other/forms")

    assert services.api()["DATABASE_URL"] == "postgresql+asyncpg://elsewhere"
    assert services.api()["FORMS_DIR"] == "/other/forms"
    assert services.database_url == "postgresql+asyncpg://elsewhere"


def test_a_setting_of_one_service_alone_wins_over_everything(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LONGSHORE_WORKER_REDIS_URL", "redis://through-a-faulty-link")
    monkeypatch.setenv("LONGSHORE_API_LEASE_SECONDS", "3")
    monkeypatch.setenv("LEASE_SECONDS", "9")

    assert services.worker()["REDIS_URL"] == "redis://through-a-faulty-link"
    assert services.api()["REDIS_URL"] == services.redis_url
    assert services.api()["LEASE_SECONDS"] == "3"


def test_each_service_has_its_own_key_and_none_has_the_stores_root_key(services: Services) -> None:
    assert services.api()["S3_ACCESS_KEY_ID"] == "API"
    assert services.worker()["S3_ACCESS_KEY_ID"] == "WORKER"
    assert not {"ROOT", "root"} & {*services.api().values(), *services.worker().values()}


def test_the_worker_gets_no_database(services: Services) -> None:
    assert "DATABASE_URL" not in services.worker()


def test_both_services_share_one_internal_secret(services: Services) -> None:
    assert services.api()["INTERNAL_SECRETS"] == services.worker()["INTERNAL_SECRET"]
