from pathlib import Path
from typing import Any

import pytest

from dev import answers
from dev import s3 as local_s3
from dev.child import Child
from dev.s3 import S3
from dev.services import Services
from dev.state import StateDir

KEYS = {
    user: {"access_key_id": f"AKIA{user}", "secret_access_key": "secret"}
    for user in ("worker", "api")
}


class Endpoint:
    """The endpoint's bucket and keys, with the making of them noted instead of done."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        state = StateDir(folder)
        services = Services(folder, {"s3": 20001}, state.secrets())
        self.made = 0
        self.memory = folder / local_s3.MEMORY
        self.memory.parent.mkdir(parents=True)
        self.s3 = S3(state, services, self._new_keys)
        self.new_keys = 0

        async def healthy(_port: int, _path: str) -> bool:
            return True

        async def provision(_child: Child) -> bool:
            self.made += 1
            self.s3._keep(KEYS)
            return False

        monkeypatch.setattr(answers, "http_ok", healthy)
        monkeypatch.setattr(self.s3, "_provision", provision)

    def _new_keys(self) -> None:
        self.new_keys += 1

    async def is_ready(self) -> bool:
        no_child: Any = None
        return await self.s3.answers(no_child)

    def remember(self) -> None:
        self.memory.write_text(" ".join(key["access_key_id"] for key in KEYS.values()))


@pytest.fixture
def endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Endpoint:
    return Endpoint(tmp_path, monkeypatch)


async def test_it_is_ready_once_its_keys_are_made_and_on_disk(endpoint: Endpoint) -> None:
    assert not await endpoint.is_ready()
    endpoint.remember()

    assert await endpoint.is_ready()
    assert endpoint.made == 1
    assert endpoint.new_keys == 1


async def test_keys_it_forgot_are_made_again_before_it_is_ready(endpoint: Endpoint) -> None:
    await endpoint.is_ready()

    assert not await endpoint.is_ready()
    assert endpoint.made == 2
    assert endpoint.new_keys == 1, "the same keys are no news to the services"


async def test_rights_are_given_anew_when_the_code_that_gives_them_changed(
    endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await endpoint.is_ready()
    endpoint.remember()
    changed = tmp_path / "provision_s3.py"
    changed.write_text("other rights")
    monkeypatch.setattr(local_s3, "PROVISION", changed)

    assert not await endpoint.is_ready()
    assert endpoint.made == 2
