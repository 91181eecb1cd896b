"""A service that can't start says why in one line for each setting, and nothing else."""

import re
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL

from dev.ports import free_port
from tests.support.postgres import new_database
from tests.support.starting import (
    answering_redis,
    api_settings,
    run,
    run_until,
    worker_settings,
)
from tests.support.tables import make_tables


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with answering_redis(tmp_path_factory.mktemp("redis")) as (_, _, url):
        yield url


@pytest.fixture
def api(tmp_path: Path) -> dict[str, str]:
    """Settings with which the api starts."""
    env = api_settings(tmp_path)
    make_tables(env["DATABASE_URL"])
    return env


def refusal(service: str, env: dict[str, str]) -> list[str]:
    """The lines of a service that doesn't start."""
    ended = run(service, env)
    assert ended.status == 1
    assert all(line.startswith(f"{service.partition('.')[0]}: ") for line in ended.lines)
    return ended.lines


def the_line(service: str, env: dict[str, str]) -> str:
    (line,) = refusal(service, env)
    return line


def revised(path: Path, revision: str) -> str:
    """A database with the mark of another version."""
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        connection.execute("INSERT INTO alembic_version VALUES (?)", (revision,))
    return f"sqlite:///{path}"


# --- the api


def test_without_any_setting_each_that_is_needed_is_named() -> None:
    lines = refusal("api", {})
    assert {line.partition(": ")[2] for line in lines} == {
        f"{name}: is not set"
        for name in (
            "DATABASE_URL",
            "REDIS_URL",
            "STAGING_DIR",
            "INTERNAL_SECRETS",
            "S3_PUBLIC_ENDPOINT_URL",
            "S3_BUCKET",
            "S3_ACCESS_KEY_ID",
            "S3_SECRET_ACCESS_KEY",
        )
    }


def test_what_is_wrong_beyond_the_settings_is_named_at_once_too(tmp_path: Path) -> None:
    (tmp_path / "volume").touch()
    lines = refusal("api", api_settings(tmp_path, FORMS_DIR=f"{tmp_path}/none"))
    assert [line.split(": ")[1] for line in lines] == ["DATABASE_URL", "STAGING_DIR", "FORMS_DIR"]


def test_all_that_is_wrong_with_a_form_definition_is_named_with_its_key(
    api: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "signup.toml").write_text('type = "signup"')
    lines = refusal("api", {**api, "FORMS_DIR": str(tmp_path)})
    assert [line.split("/signup.toml: ")[1] for line in lines] == [
        "title: is missing",
        "sections: is missing",
    ]
    assert all(line.startswith("api: FORMS_DIR: ") for line in lines)


def test_a_database_that_was_never_made_is_to_be_migrated(tmp_path: Path) -> None:
    env = api_settings(tmp_path)
    assert re.fullmatch(
        r"api: DATABASE_URL: there is no database .* run: python -m api\.migrate",
        the_line("api", env),
    )
    assert not (tmp_path / "records.db").exists()


def test_an_empty_database_is_to_be_migrated(tmp_path: Path, postgres: URL) -> None:
    url = new_database(postgres, "unmigrated")
    line = the_line("api", api_settings(tmp_path, DATABASE_URL=url))
    assert line.startswith("api: DATABASE_URL: the database has no tables yet; run: python -m ")


@pytest.mark.parametrize("service", ["api", "api.migrate"])
def test_a_database_of_a_newer_version_wants_that_version(service: str, tmp_path: Path) -> None:
    url = revised(tmp_path / "newer.db", "9999")
    line = the_line(service, api_settings(tmp_path, DATABASE_URL=url))
    assert re.search("DATABASE_URL: the schema is 9999, .* start the newer version", line)


def test_a_database_that_is_away_is_named_by_its_address_and_not_by_its_password(
    tmp_path: Path,
) -> None:
    url = f"postgresql+asyncpg://ada:s3cr3t@127.0.0.1:{free_port()}/longshore"
    line = the_line("api", api_settings(tmp_path, DATABASE_URL=url))
    assert line.startswith("api: DATABASE_URL: nothing listens at 127.0.0.1:")
    assert "s3cr3t" not in line


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"database": "nowhere"}, "there is no database 'nowhere'; make it with: createdb nowhere"),
        ({"username": "nobody"}, "PostgreSQL lets 'nobody' not in"),
    ],
)
def test_what_postgresql_refuses_is_said_with_its_remedy(
    change: dict[str, str], said: str, tmp_path: Path, postgres: URL
) -> None:
    url = postgres.set(**change).render_as_string(hide_password=False)  # type: ignore[arg-type] # names of parts
    line = the_line("api", api_settings(tmp_path, DATABASE_URL=url))
    assert line.startswith(f"api: DATABASE_URL: {said}")


@pytest.mark.parametrize("service", ["api", "api.migrate"])
def test_a_file_that_is_no_database_is_named(service: str, tmp_path: Path) -> None:
    (tmp_path / "records.db").write_text("no database at all" * 500)
    line = the_line(service, api_settings(tmp_path))
    assert line.endswith("records.db is no SQLite database; name another file")


@pytest.mark.parametrize("name", ["PORT", "INTERNAL_PORT"])
def test_a_port_in_use_is_named(name: str, api: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        line = the_line("api", {**api, name: port})
    assert line.startswith(f"api: {name}: 127.0.0.1:{port} is in use; ")


def test_a_host_that_is_not_this_machines_is_named(api: dict[str, str]) -> None:
    line = the_line("api", {**api, "HOST": "192.0.2.1"})
    assert line.startswith("api: HOST: 192.0.2.1:")


def test_without_redis_and_without_the_store_the_api_serves_and_says_what_is_missing(
    api: dict[str, str],
) -> None:
    log = run_until("api", api, "api_starting", '"start_check"')
    assert re.search(r'"setting": "REDIS_URL", "reason": "nothing listens at .* Uploads', log)


def test_a_volume_of_another_database_is_an_error_in_the_log_with_its_remedy(
    api: dict[str, str],
) -> None:
    volume = Path(api["STAGING_DIR"])
    volume.mkdir()
    (volume / ".longshore-volume").write_text("vol_of_another")
    log = run_until("api", api, "api_starting")
    assert re.search(r'"setting": "STAGING_DIR", "reason": "the volume has a marker', log)


# --- the worker


def test_the_worker_names_every_setting_that_is_wrong() -> None:
    lines = refusal("worker", {"MAX_JOBS": "many", "INTERNAL_URL": "api", "LOG_LEVEL": "loud"})
    named = {line.split(": ")[1] for line in lines}
    assert {"MAX_JOBS", "INTERNAL_URL", "LOG_LEVEL", "REDIS_URL", "S3_BUCKET"} <= named


def test_a_wrong_password_of_redis_is_named_and_not_shown(tmp_path: Path, redis_url: str) -> None:
    url = re.sub(r":[^:]+@", ":s3cr3t@", redis_url)
    line = the_line("worker", worker_settings(tmp_path, REDIS_URL=url))
    assert re.search("^worker: REDIS_URL: .* refuses user or password; ", line)
    assert "s3cr3t" not in line


def test_folders_that_cant_be_written_are_named_together(tmp_path: Path, redis_url: str) -> None:
    (tmp_path / "file").touch()
    change = {"SCRATCH_DIR": f"{tmp_path}/file", "HEALTH_FILE": f"{tmp_path}/none/health"}
    lines = refusal("worker", worker_settings(tmp_path, REDIS_URL=redis_url, **change, **LOCAL))
    assert [line.split(": ")[1] for line in lines] == ["SCRATCH_DIR", "HEALTH_FILE"]


LOCAL = {"ENVIRONMENT": "dev"}  # Redis here has the example's password


def test_without_store_api_and_volume_the_worker_works_and_says_what_is_missing(
    tmp_path: Path, redis_url: str
) -> None:
    health = tmp_path / "health"
    env = worker_settings(tmp_path, REDIS_URL=redis_url, HEALTH_FILE=str(health), **LOCAL)
    settings = ("STAGING_DIR", "INTERNAL_URL", "S3_ENDPOINT_URL")
    away = [f'"setting": "{name}", "reason"' for name in settings]
    run_until("worker", env, *away, made=[health])  # a store that is away is no alarm
