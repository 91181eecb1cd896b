"""Settings that can't be right stop the start, by name."""

import pytest
from pydantic import ValidationError

from api.settings.settings import Settings as ApiSettings
from shared.settings_errors import explain
from worker.settings import Settings as WorkerSettings

API = {
    "database_url": "sqlite:///x",
    "redis_url": "redis://x",
    "staging_dir": "/x",
    "internal_secrets": "0123456789abcdef",
    "s3_public_endpoint_url": "http://x",
    "s3_bucket": "x",
    "s3_access_key_id": "x",
    "s3_secret_access_key": "x",
}
WORKER = {
    "redis_url": "redis://x",
    "staging_dir": "/x",
    "internal_url": "http://x",
    "internal_secret": "0123456789abcdef",
    "s3_bucket": "x",
    "s3_access_key_id": "x",
    "s3_secret_access_key": "x",
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"internal_secrets": "change-me-change-me"}, "INTERNAL_SECRETS: is the example's"),
        ({"internal_secrets": "CHANGE-ME-CHANGE-ME"}, "INTERNAL_SECRETS: is the example's"),
        ({"internal_secrets": "Change-me-0123456789"}, "INTERNAL_SECRETS: is the example's"),
        ({"internal_secrets": "short"}, "INTERNAL_SECRETS: has under 16 characters"),
        ({"internal_secrets": "0123456789abcde"}, "INTERNAL_SECRETS: has under 16 characters"),
        ({"internal_secrets": "0123456789abcdef,short"}, "INTERNAL_SECRETS: has under 16"),
        ({"metrics_secrets": "short"}, "METRICS_SECRETS: has under 16 characters"),
        ({"internal_secrets": ""}, "INTERNAL_SECRETS: one secret, or two"),
        ({"internal_secrets": "a,b,c"}, "INTERNAL_SECRETS: one secret, or two"),
        ({"api_keys": "no-colon"}, "API_KEYS: name:secret pairs"),
        ({"api_keys": "crm:short"}, "API_KEYS: the secret of entry 1 has under 16"),
        ({"heartbeat_seconds": 15}, "HEARTBEAT_SECONDS: at most half of LEASE_SECONDS"),
        ({"lease_seconds": 5, "heartbeat_seconds": 5}, "HEARTBEAT_SECONDS: at most half of"),
        ({"lease_seconds": 5}, "HEARTBEAT_SECONDS: at most half of LEASE_SECONDS"),
        ({"port": 99999}, "PORT: has to be under 65536"),
        ({"port": "web"}, "PORT: is no whole number"),
        ({"port": 8001}, "INTERNAL_PORT: is PORT's too"),
        ({"staging_dir": ""}, "STAGING_DIR: is empty"),
        ({"s3_bucket": ""}, "S3_BUCKET: is empty"),
        ({"environment": "prod"}, "ENVIRONMENT: is none of 'dev' or 'production'"),
        ({"log_level": "loud"}, "LOG_LEVEL: is none of"),
        ({"public_url": "signup"}, "PUBLIC_URL: is no address"),
        ({"s3_public_endpoint_url": "ftp://x"}, "S3_PUBLIC_ENDPOINT_URL: is no address"),
        ({"redis_url": "redis://x:port/0"}, "REDIS_URL: is no address of a Redis"),
        ({"redis_url": "redis://x/zero"}, "REDIS_URL: is no address of a Redis"),
        ({"database_url": "nonsense"}, "DATABASE_URL: is no SQLAlchemy URL"),
        ({"database_url": "mysql://x/y"}, "DATABASE_URL: is neither SQLite nor PostgreSQL"),
        (
            {"database_url": "sqlite+x:///y"},
            "DATABASE_URL: begins with sqlite+x://; write sqlite://",
        ),
        ({"database_url": "postgres://x/y"}, "DATABASE_URL: begins with postgres://; write post"),
        ({"database_url": "sqlite://"}, "DATABASE_URL: names no file"),
        ({"redirect_origins": "http://app.example"}, "REDIRECT_ORIGINS: must be https"),
        ({"redirect_origins": "https://a.example/x"}, "REDIRECT_ORIGINS: is no origin; write"),
        ({"redirect_origins": "*"}, "REDIRECT_ORIGINS: must begin with https://"),
        ({"s3_bucket": None}, "S3_BUCKET: "),
    ],
)
def test_the_api_names_the_setting_that_is_wrong(change: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        ApiSettings.model_validate({**API, **change})
    (finding,) = explain(refused.value)
    assert str(finding).startswith(said)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "CLAMD_ADDRESS: is empty"),
        ("tcp://clamd:3310", "CLAMD_ADDRESS: is no address of a clamd"),
        ("unix:clamd.ctl", "CLAMD_ADDRESS: is no address of a clamd"),
    ],
)
def test_a_scanner_that_is_meant_is_never_none(value: str, said: str) -> None:
    assert WorkerSettings.model_validate(WORKER).clamd_address is None
    with pytest.raises(ValidationError) as refused:
        WorkerSettings.model_validate({**WORKER, "clamd_address": value})
    (finding,) = explain(refused.value)
    assert str(finding).startswith(said)


def test_a_missing_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("S3_BUCKET", raising=False)
    for kind, values in ((ApiSettings, API), (WorkerSettings, WORKER)):
        with pytest.raises(ValidationError) as refused:
            kind.model_validate(
                {name: each for name, each in values.items() if name != "s3_bucket"}
            )
        assert [str(each) for each in explain(refused.value)] == ["S3_BUCKET: is not set"]


@pytest.mark.parametrize("secret", ["change-me", "CHANGE-ME-CHANGE-ME", "short", "0123456789abcde"])
def test_a_weak_secret_is_good_enough_for_dev_only(secret: str) -> None:
    for kind, values in (
        (ApiSettings, API | {"internal_secrets": secret}),
        (WorkerSettings, WORKER | {"internal_secret": secret}),
    ):
        kind.model_validate({**values, "environment": "dev"})
        with pytest.raises(ValidationError) as refused:
            kind.model_validate(values)
        (finding,) = explain(refused.value)
        assert finding.name.startswith("INTERNAL_SECRET")
        assert secret not in str(finding)


def test_crash_points_are_for_tests_alone() -> None:
    for kind, values in ((ApiSettings, API), (WorkerSettings, WORKER)):
        armed = {**values, "crash_points": "/x"}
        kind.model_validate({**armed, "environment": "dev"})
        with pytest.raises(ValidationError) as refused:
            kind.model_validate(armed)
        (finding,) = explain(refused.value)
        assert str(finding).startswith("CRASH_POINTS: is for tests")


def test_every_wrong_setting_is_named_at_once() -> None:
    wrong = {"port": "web", "s3_bucket": "", "internal_secrets": "short", "lease_seconds": 1}
    with pytest.raises(ValidationError) as refused:
        ApiSettings.model_validate({**API, **wrong})
    named = [finding.name for finding in explain(refused.value)]
    assert named == ["PORT", "INTERNAL_SECRETS", "S3_BUCKET", "HEARTBEAT_SECONDS"]


EXAMPLE = "change-me-example-secret"
EXAMPLES = [
    (ApiSettings, "internal_secrets", EXAMPLE),
    (ApiSettings, "internal_secrets", f"0123456789abcdef,{EXAMPLE}"),
    (ApiSettings, "api_keys", f"backend:{EXAMPLE}"),
    (ApiSettings, "database_url", f"postgresql+asyncpg://longshore:{EXAMPLE}@postgres/longshore"),
    (ApiSettings, "database_url", f"postgresql+asyncpg://postgres/x?user=y&password={EXAMPLE}"),
    (ApiSettings, "redis_url", f"redis://:{EXAMPLE}@redis:6379/0"),
    (ApiSettings, "redis_url", f"redis://:{EXAMPLE.replace('-', '%2D')}@redis:6379/0"),
    (ApiSettings, "s3_access_key_id", EXAMPLE),
    (ApiSettings, "s3_secret_access_key", EXAMPLE),
    (WorkerSettings, "internal_secret", EXAMPLE),
    (WorkerSettings, "redis_url", f"redis://:{EXAMPLE}@redis:6379/0"),
    (WorkerSettings, "s3_access_key_id", EXAMPLE),
    (WorkerSettings, "s3_secret_access_key", EXAMPLE),
]


@pytest.mark.parametrize(("kind", "name", "value"), EXAMPLES)
def test_production_refuses_a_secret_of_the_example_wherever_it_stands(
    kind: type[ApiSettings | WorkerSettings], name: str, value: str
) -> None:
    others = API if kind is ApiSettings else WORKER
    kind.model_validate({**others, name: value, "environment": "dev"})
    with pytest.raises(ValidationError) as refused:
        kind.model_validate({**others, name: value})
    (finding,) = explain(refused.value)
    assert finding.name == name.upper()
    assert "the example's" in finding.text
    assert EXAMPLE not in str(finding)


def test_two_secrets_are_valid_while_one_is_rotated() -> None:
    two = "0123456789abcdef, fedcba9876543210"
    settings = ApiSettings.model_validate({**API, "internal_secrets": two})
    assert settings.internal_secrets == ("0123456789abcdef", "fedcba9876543210")


def test_no_secret_is_shown_when_settings_are_printed() -> None:
    secret = "s3cr3t-s3cr3t-s3cr3t"
    redis = {"redis_url": f"redis://:{secret}@x"}
    s3 = {"s3_secret_access_key": secret}
    api = {
        "database_url": f"postgresql+asyncpg://u:{secret}@x/y",
        "internal_secrets": secret,
        "metrics_secrets": f"{secret}-too",
        "api_keys": f"backend:{secret}",
    }
    shown = repr(ApiSettings.model_validate({**API, **redis, **s3, **api}))
    shown += repr(
        WorkerSettings.model_validate({**WORKER, **redis, **s3, "internal_secret": secret})
    )
    assert "s3_bucket" in shown
    assert secret not in shown
