"""Use cases on real parts, in a folder of their own, on every database that records may live in."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL

from api.services import Services
from tests.support.postgres import new_database, run_postgres
from tests.support.services import Scene, services_on

DATABASES = ["sqlite", "postgresql"]


@pytest.fixture(scope="session")
def postgres() -> Iterator[URL]:
    with run_postgres() as url:
        yield url


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
