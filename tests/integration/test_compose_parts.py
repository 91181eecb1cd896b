"""What compose.yaml runs besides our own services, started with the same words outside of it."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from dev import seaweedfs
from dev.ports import free_port
from dev.seaweedfs import INNER_PORTS, PORT_OPTIONS
from tests.support.compose import (
    CHECKOUT,
    composed,
    environment,
    program,
    run_redis,
    with_programs,
)
from tests.support.s3 import client as s3_client

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


@pytest.fixture(scope="module")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator["ComposedStore"]:
    store = ComposedStore(tmp_path_factory.mktemp("objectstore"))
    store.start()
    yield store
    store.kill()


class ComposedStore:
    """The real SeaweedFS by Compose's scripts, on ports and in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {name: free_port() for name in ("s3", *INNER_PORTS)}
        self.url = f"http://127.0.0.1:{self.ports['s3']}"
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "data").mkdir()
        script = (OBJECT_STORE / "start.sh").read_text()
        for path in ("/tmp/identities.json", "-dir=/data"):
            assert path in script
        script = script.replace("/tmp/identities.json", f"{folder}/identities.json")
        (folder / "start.sh").write_text(script.replace("-dir=/data", f"-dir={folder}/data"))
        program(folder / "bin", "weed", self._on_own_ports(seaweedfs.ensure()))

    def _on_own_ports(self, weed: str) -> str:
        ports = self.ports
        near = " ".join(f"-{each}={ports[name]}" for each, name in PORT_OPTIONS.items())
        filer = f"{ports['s3_filer']}.{ports['s3_filer_grpc']}"
        master = f"{ports['s3_master']}.{ports['s3_master_grpc']}"
        shell = f"-master=127.0.0.1:{master} -filer=127.0.0.1:{filer}"
        return (
            f'case "$*" in *" server "*) exec {weed} "$@" -s3.ip.bind=127.0.0.1 {near};;\n'
            f'*) exec {weed} "$@" {shell};; esac'
        )

    def start(self) -> None:
        service = composed()["services"]["objectstore"]
        env = with_programs(self.folder / "bin", environment(service))
        with (self.folder / "log").open("ab") as log:
            command = ["sh", str(self.folder / "start.sh")]
            self._process = subprocess.Popen(command, env=env, stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while not is_ok(f"{self.url}/healthz"):
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
        seaweedfs.remove_sockets(self.ports)

    def make_bucket(self) -> str:
        env = environment(composed()["services"]["bucket"])
        done = subprocess.run(
            ["sh", OBJECT_STORE / "make_bucket.sh"],
            env=with_programs(self.folder / "bin", env),
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def client(self, name: str) -> Any:
        """A client with the key of that service of ours."""
        given = environment(composed()["services"][name])
        key = {
            "access_key_id": given["S3_ACCESS_KEY_ID"],
            "secret_access_key": given["S3_SECRET_ACCESS_KEY"],
        }
        return s3_client(self.url, key)


def is_ok(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).is_success
    except httpx.TransportError:
        return False


def test_composes_store_has_one_bucket_which_the_worker_fills_and_the_api_reads(
    object_store: ComposedStore,
) -> None:
    object_store.make_bucket()
    worker, api = object_store.client("worker"), object_store.client("api")
    worker.put_object(Bucket="longshore", Key="a/b", Body=b"kept")
    object_store.make_bucket()  # as at every start: what is in it stays
    assert api.get_object(Bucket="longshore", Key="a/b")["Body"].read() == b"kept"
    for refused, bucket in ((api, "longshore"), (worker, "another")):
        with pytest.raises(ClientError, match="AccessDenied"):
            refused.put_object(Bucket=bucket, Key="a/c", Body=b"")
    with pytest.raises(ClientError, match="AccessDenied"):
        api.delete_object(Bucket="longshore", Key="a/b")


def test_composes_store_comes_back_without_an_election(object_store: ComposedStore) -> None:
    """It would take 15 s, and say so; how long it takes here is the machine's business."""
    object_store.kill()
    object_store.start()
    said = (object_store.folder / "log").read_text()
    assert said.count("single-master mode") >= 2


def test_compose_runs_the_store_that_everything_else_runs() -> None:
    service = composed()["services"]["objectstore"]
    assert service["image"] == f"chrislusf/seaweedfs:{seaweedfs.version()}"
    assert set(seaweedfs.OPTIONS) <= set((OBJECT_STORE / "start.sh").read_text().split())


def test_the_scripts_of_the_object_store_are_plain_shell() -> None:
    for script in OBJECT_STORE.glob("*.sh"):
        assert os.access(script, os.X_OK)
        subprocess.run(["sh", "-n", script], check=True)
