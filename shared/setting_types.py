"""Settings that both services read the same way, and what makes a value of one unusable.

A validator's text goes after the setting's name: what is wrong, then what to do. It never repeats
the value, which may hold a password.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo

from shared.secrets import example, weakness


def _present(value: object) -> object:
    if value == "":
        raise ValueError("is empty; give it a value, or don't set it")
    return value


def _split_url(value: str) -> SplitResult:
    """Raises `ValueError` for a port that is none, too."""
    parts = urlsplit(value)
    parts.port  # noqa: B018 - reading it is what checks it
    return parts


def _http_url(value: str) -> str:
    try:
        parts = _split_url(value)
    except ValueError:
        parts = SplitResult("", "", "", "", "")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("is no address; it looks like http://127.0.0.1:8000")
    return value


def split_urls(value: str) -> list[str]:
    """Those between commas."""
    return [each.strip() for each in value.split(",")]


def _http_urls(value: str) -> str:
    for each in split_urls(value):
        _http_url(each)
    return value


def _redis_url(value: str, info: ValidationInfo) -> str:
    if not _names_a_redis(value):
        raise ValueError("is no address of a Redis; it looks like redis://:password@host:6379/0")
    refuse_example(unquote(urlsplit(value).password or ""), info)
    return value


def _names_a_redis(value: str) -> bool:
    """Whether the queue library can read it."""
    try:
        parts = _split_url(value)
        int(parse_qs(parts.query).get("db", ["0"])[0])
        if parts.scheme != "unix":
            int(parts.path.lstrip("/") or "0")
    except ValueError:
        return False
    return parts.scheme in {"redis", "rediss", "unix"}


def is_dev(info: ValidationInfo) -> bool:
    """Whether example secrets will do. `environment` has to be the first field of its settings;
    a wrong one is told by itself and brings no other refusals with it."""
    return bool(info.data.get("environment", "dev") == "dev")


def refuse_example(secret: str, info: ValidationInfo) -> None:
    """Raise `ValueError` in production when `secret` is one of the example's."""
    reason = example(secret)
    if reason and not is_dev(info):
        raise ValueError(reason)


def refuse_weak(secret: str, info: ValidationInfo, *, whose: str = "") -> None:
    """Raise `ValueError` in production when we would be guarded by `secret` alone and it is the
    example's or short."""
    reason = weakness(secret)
    if reason and not is_dev(info):
        raise ValueError(f"{whose}{reason}")


def _hidden(
    refuse: Callable[[str, ValidationInfo], None],
) -> Callable[[SecretStr, ValidationInfo], SecretStr]:
    def check(value: SecretStr, info: ValidationInfo) -> SecretStr:
        refuse(value.get_secret_value(), info)
        return value

    return check


def _shown(value: str, info: ValidationInfo) -> str:
    refuse_example(value, info)
    return value


def _of_a_test(folder: Path, info: ValidationInfo) -> Path:
    if not is_dev(info):
        raise ValueError("is for tests; take it away, or set ENVIRONMENT=dev")
    return folder


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


Present = BeforeValidator(_present)
"""An empty value is not taken for one: an empty path would be the current folder."""
Text = Annotated[str, Present]
HttpUrl = Annotated[str, Present, AfterValidator(_http_url)]
HttpUrls = Annotated[str, Present, AfterValidator(_http_urls)]
"""One or more, by commas."""
RedisUrl = Annotated[str, Present, AfterValidator(_redis_url)]
KeyId = Annotated[str, Present, AfterValidator(_shown)]
OtherSecret = Annotated[SecretStr, Present, AfterValidator(_hidden(refuse_example))]
"""A secret that somebody else made: how long it has to be is their business."""
OwnSecret = Annotated[SecretStr, Present, AfterValidator(_hidden(refuse_weak))]
TestFolder = Annotated[Path, Present, AfterValidator(_of_a_test)]
"""What a test asks a process to do to itself: nothing that production may be told."""
LogLevel = Annotated[
    Literal["debug", "info", "warning", "error", "critical"], BeforeValidator(_lower)
]
Environment = Literal["dev", "production"]
Port = Annotated[int, Field(gt=0, lt=65536)]
