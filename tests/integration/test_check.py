"""`python -m api.check` and `python -m worker.check`: a line for everything a service needs."""

import subprocess
from pathlib import Path

import pytest
from sqlalchemy import URL

from api.records.file_system import network_file_system
from dev.ports import free_port
from tests.support.clamd import running_clamd
from tests.support.postgres import new_database
from tests.support.s3 import S3Endpoint
from tests.support.starting import answering_redis, api_settings, run, worker_settings
from tests.support.tables import make_tables


def keys(seaweedfs: S3Endpoint) -> dict[str, str]:
    return {
        "S3_ACCESS_KEY_ID": seaweedfs.access_key_id,
        "S3_SECRET_ACCESS_KEY": seaweedfs.secret_access_key,
    }


def test_a_check_changes_nothing_and_says_what_is_still_to_come(tmp_path: Path) -> None:
    ended = run("api.check", api_settings(tmp_path), "--offline")
    assert ended.status == 1
    assert ("wrong", "DATABASE_URL") in ended.findings()
    assert ("warning", "STAGING_DIR") in ended.findings()
    assert list(tmp_path.iterdir()) == []


def test_a_postgresql_behind_a_socket_is_not_taken_for_a_file(tmp_path: Path) -> None:
    socket = f"postgresql+asyncpg:///records?host={tmp_path}"
    ended = run("api.check", api_settings(tmp_path, DATABASE_URL=socket), "--offline")
    assert ("wrong", "DATABASE_URL") in ended.findings()
    assert f"nothing listens at {tmp_path}" in ended.out


def test_wrong_settings_are_all_named_and_nothing_else_is_looked_at(tmp_path: Path) -> None:
    ended = run("worker.check", worker_settings(tmp_path, MAX_JOBS="many", S3_BUCKET=None))
    assert (ended.status, ended.findings()) == (1, [("wrong", "S3_BUCKET"), ("wrong", "MAX_JOBS")])


def test_redis_away_is_a_warning_to_the_api(tmp_path: Path, seaweedfs: S3Endpoint) -> None:
    env = api_settings(tmp_path, S3_PUBLIC_ENDPOINT_URL=seaweedfs.url, **keys(seaweedfs))
    make_tables(env["DATABASE_URL"])
    ended = run("api.check", env)
    assert ended.status == 0, ended.out
    assert ("warning", "REDIS_URL") in ended.findings()
    assert ("ok", "S3_ACCESS_KEY_ID") in ended.findings()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"S3_SECRET_ACCESS_KEY": "nothing"}, "S3_SECRET_ACCESS_KEY"),
        ({"S3_ACCESS_KEY_ID": "nobody"}, "S3_ACCESS_KEY_ID"),
    ],
)
def test_a_link_that_the_store_refuses_names_the_setting(
    change: dict[str, str], named: str, tmp_path: Path, seaweedfs: S3Endpoint
) -> None:
    given = {**keys(seaweedfs), **change}
    nobody = f"http://127.0.0.1:{free_port()}"  # a link opens what it names: no proxy's business
    env = api_settings(tmp_path, S3_PUBLIC_ENDPOINT_URL=seaweedfs.url, HTTP_PROXY=nobody, **given)
    make_tables(env["DATABASE_URL"])
    ended = run("api.check", env)
    assert ended.status == 1, ended.out
    assert [name for level, name in ended.findings() if level == "wrong"] == [named]


def test_a_store_that_only_browsers_reach_is_a_warning_to_the_api(tmp_path: Path) -> None:
    env = api_settings(tmp_path)
    make_tables(env["DATABASE_URL"])
    ended = run("api.check", env)
    assert (ended.status, ended.findings()[-1]) == (0, ("note", "S3_PUBLIC_ENDPOINT_URL"))


def test_a_postgresql_that_keeps_its_commits_is_in_order(tmp_path: Path, postgres: URL) -> None:
    env = api_settings(tmp_path, DATABASE_URL=new_database(postgres, "checked"))
    make_tables(env["DATABASE_URL"])
    ended = run("api.check", env, "--offline")
    assert ended.status == 0, ended.out
    assert [level for level, name in ended.findings() if name == "DATABASE_URL"] == ["ok"]


def test_a_redis_that_may_lose_jobs_is_a_warning_to_the_worker(
    tmp_path: Path, seaweedfs: S3Endpoint
) -> None:
    with answering_redis(tmp_path) as (redis, client, url):
        for name, value in (("maxmemory-policy", "allkeys-lru"), ("appendonly", "no")):
            subprocess.run([*client, "config", "set", name, value], env=redis, check=True)
        own = {"REDIS_URL": url, "ENVIRONMENT": "dev", "S3_ENDPOINT_URL": seaweedfs.url}
        ended = run("worker.check", worker_settings(tmp_path, **own, **keys(seaweedfs)))
    assert ended.findings().count(("warning", "REDIS_URL")) == 2, ended.out
    assert "set maxmemory-policy noeviction" in ended.out
    assert "set appendonly yes" in ended.out
    assert ("ok", "S3_ENDPOINT_URL") in ended.findings()
    assert [name for level, name in ended.findings() if level == "wrong"] == ["INTERNAL_URL"]


def test_a_scanner_is_looked_at_where_there_is_an_address(tmp_path: Path) -> None:
    with running_clamd(tmp_path / "clamd") as clamd:
        env = worker_settings(tmp_path, CLAMD_ADDRESS=clamd.address)
        assert ("ok", "CLAMD_ADDRESS") in run("worker.check", env).findings()
        clamd.stop()
        ended = run("worker.check", env)
    assert ("wrong", "CLAMD_ADDRESS") in ended.findings()
    assert f"nothing listens at {clamd.address}; start clamd" in ended.out
    named = run("worker.check", worker_settings(tmp_path)).findings()
    assert "CLAMD_ADDRESS" not in {name for _, name in named}


def test_sqlite_on_a_network_file_system_is_found_by_its_mount() -> None:
    mounts = (
        "22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n"
        "40 22 0:30 / /srv/longshore rw shared:9 - nfs4 files:/longshore rw\n"
        "41 40 0:31 / /srv/longshore/local rw shared:9 - tmpfs tmpfs rw\n"
    )
    assert network_file_system(Path("/srv/longshore/db"), mounts) == "nfs4"
    assert network_file_system(Path("/srv/longshore/local/db"), mounts) is None
    assert network_file_system(Path("/srv/longshoremen"), mounts) is None


def test_of_two_file_systems_at_one_place_the_last_one_is_seen() -> None:
    mounts = (
        "1 0 8:1 / / rw - ext4 a rw\n2 1 0:9 / /srv rw - ext4 b rw\n3 2 0:9 / /srv rw - nfs4 c rw"
    )
    assert network_file_system(Path("/srv/db"), mounts) == "nfs4"
