"""Use cases on real parts, in a folder of their own, on every database that records may live in."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api.services import Services
from tests.support.postgres import new_database
from tests.support.services import Scene, services_on

DATABASES = ["sqlite", "postgresql"]


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/records.db"
    return new_database(request.getfixturevalue("postgres"), "records")


@pytest.fixture
async def services(tmp_path: Path, database_url: str) -> AsyncIterator[Services]:
    async with services_on(tmp_path, database_url) as opened:
        yield opened


@pytest.fixture
async def scene(services: Services) -> Scene:
    return await Scene.create(services)
