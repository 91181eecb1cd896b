"""What compose.yaml runs besides our own services, started with the same words outside of it."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.compose import (
    CHECKOUT,
    composed,
    environment,
    program,
    run_redis,
    with_programs,
)

OBJECT_STORE = CHECKOUT / "deploy/objectstore"


# --- Redis


def test_redis_asks_for_its_password_keeps_its_log_and_evicts_nothing(tmp_path: Path) -> None:
    def ask(*words: str, **env: str) -> str:
        asked = subprocess.run(
            [*client, *words], env=env, capture_output=True, text=True, check=False
        )
        return asked.stdout.strip()

    with run_redis(tmp_path) as (env, client, _):
        deadline = time.monotonic() + 10
        while ask("ping", **env) != "PONG":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert ask("ping").startswith("NOAUTH")
        assert ask("config", "get", "appendonly", **env).split()[1:] == ["yes"]
        assert ask("config", "get", "maxmemory-policy", **env).split()[1:] == ["noeviction"]


# --- the object store


def test_the_worker_has_its_bucket_and_the_api_may_read_it(tmp_path: Path) -> None:
    service = composed()["services"]["objectstore"]
    # instead of serving: show the identities, their mode, and what it was told
    program(
        tmp_path / "bin",
        "weed",
        'for each in "$@"; do case $each in -s3.config=*) cat "${each#*=}"; '
        'stat -c %a "${each#*=}" >&2;; esac; done; echo "$@" >&2',
    )
    script = (OBJECT_STORE / "start.sh").read_text()
    assert script.count("/tmp/identities.json") == 2
    adapted = tmp_path / "start.sh"
    adapted.write_text(script.replace("/tmp/identities.json", f"{tmp_path}/identities.json"))
    env = with_programs(tmp_path / "bin", environment(service))
    told = subprocess.run(["sh", adapted], env=env, capture_output=True, text=True, check=True)
    identities = {i["name"]: i for i in json.loads(told.stdout)["identities"]}
    assert {name: i["actions"] for name, i in identities.items()} == {
        "worker": ["Read:longshore", "Write:longshore", "List:longshore"],
        "api": ["Read:longshore"],
    }
    services = composed()["services"]
    for name, identity in identities.items():
        own = environment(services[name])
        (key,) = identity["credentials"]
        assert key["accessKey"] == own["S3_ACCESS_KEY_ID"]
        assert key["secretKey"] == own["S3_SECRET_ACCESS_KEY"]
    mode, arguments = told.stderr.splitlines()
    assert mode == "600"
    assert "-ip.bind=127.0.0.1" in arguments.split()
    assert "-s3.ip.bind=0.0.0.0" in arguments.split()


FAKE_SHELL = """
read -r line
case $line in
  s3.bucket.list) cat "$STATE";;
  "s3.bucket.create -name "*) [ -n "$BROKEN" ] || printf '  %s\\tsize:0\\n' "${line##* }" >> "$STATE"; echo "$line" >> "$STATE.log";;
esac"""


@pytest.mark.parametrize(
    ("before", "created"),
    [("", 1), ("  longshore-old\tsize:0\n", 1), ("  longshore\tsize:8\n", 0)],
)
def test_the_bucket_is_made_once(tmp_path: Path, before: str, created: int) -> None:
    done, log = make_bucket(tmp_path, before)
    assert done.returncode == 0, done.stderr
    assert log == ["s3.bucket.create -name longshore"] * created


def test_a_bucket_that_could_not_be_made_is_an_error(tmp_path: Path) -> None:
    done, _ = make_bucket(tmp_path, "", BROKEN="1")
    assert done.returncode != 0


def make_bucket(
    folder: Path, before: str, **env: str
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    program(folder / "bin", "weed", FAKE_SHELL)
    state = folder / "state"
    state.write_text(before)
    given = environment(composed()["services"]["bucket"]) | {"STATE": str(state), **env}
    done = subprocess.run(
        ["sh", OBJECT_STORE / "make_bucket.sh"],
        env=with_programs(folder / "bin", given),
        capture_output=True,
        text=True,
        check=False,
    )
    log = Path(f"{state}.log")
    return done, log.read_text().splitlines() if log.exists() else []


def test_the_scripts_of_the_object_store_are_plain_shell() -> None:
    for script in OBJECT_STORE.glob("*.sh"):
        assert os.access(script, os.X_OK)
        subprocess.run(["sh", "-n", script], check=True)
