"""Settings that can't be right stop the start, by name."""

import pytest
from pydantic import ValidationError

from api.settings import Settings as ApiSettings
from shared.settings_errors import explain
from worker.settings import Settings as WorkerSettings

API = {
    "database_url": "sqlite+aiosqlite:///x",
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
        ({"internal_secrets": "short"}, "INTERNAL_SECRETS: has under 16 characters"),
        ({"internal_secrets": ""}, "INTERNAL_SECRETS: one secret, or two"),
        ({"internal_secrets": "a,b,c"}, "INTERNAL_SECRETS: one secret, or two"),
        ({"api_keys": "no-colon"}, "API_KEYS: name:secret pairs"),
        ({"api_keys": "crm:short"}, "API_KEYS: the secret of 'crm' has under 16"),
        ({"heartbeat_seconds": 15}, "HEARTBEAT_SECONDS: at most half of LEASE_SECONDS"),
        ({"port": 99999}, "PORT: "),
        ({"s3_bucket": None}, "S3_BUCKET: "),
    ],
)
def test_the_api_names_the_setting_that_is_wrong(change: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        ApiSettings.model_validate({**API, **change})
    assert explain(refused.value).startswith(said)


def test_a_missing_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("S3_BUCKET", raising=False)
    for kind, values in ((ApiSettings, API), (WorkerSettings, WORKER)):
        with pytest.raises(ValidationError) as refused:
            kind.model_validate(
                {name: each for name, each in values.items() if name != "s3_bucket"}
            )
        assert explain(refused.value) == "S3_BUCKET: is not set"


def test_an_examples_secret_is_good_enough_for_dev_only() -> None:
    weak = {"internal_secrets": "change-me"}
    ApiSettings.model_validate({**API, **weak, "environment": "dev"})
    with pytest.raises(ValidationError):
        WorkerSettings.model_validate({**WORKER, "internal_secret": "change-me"})


def test_two_secrets_are_valid_while_one_is_rotated() -> None:
    two = "0123456789abcdef, fedcba9876543210"
    settings = ApiSettings.model_validate({**API, "internal_secrets": two})
    assert settings.internal_secrets == ("0123456789abcdef", "fedcba9876543210")


def test_no_secret_is_shown_when_settings_are_printed() -> None:
    printed = repr(
        WorkerSettings.model_validate({**WORKER, "internal_secret": "s3cr3t-s3cr3t-s3cr3t"})
    )
    assert "s3cr3t" not in printed
