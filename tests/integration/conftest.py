"""Use cases on real parts, in a folder of their own, on every database that records may live in."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import URL, make_url

from api.services import Services
from tests.support.postgres import new_database
from tests.support.services import Scene, services_on
from tests.support.tables import make_tables

DATABASES = ["sqlite", "postgresql"]


@pytest.fixture(scope="session")
def migrated(postgres: URL) -> str:
    """The name of a database with all tables: making them takes PostgreSQL far longer than a copy,
    which on SQLite is the other way round."""
    url = new_database(postgres, "migrated")
    make_tables(url)
    return str(make_url(url).database)


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/records.db"
    postgres, migrated = map(request.getfixturevalue, ("postgres", "migrated"))
    return new_database(postgres, "records", like=migrated)


@pytest.fixture
async def services(tmp_path: Path, database_url: str) -> AsyncIterator[Services]:
    async with services_on(tmp_path, database_url) as opened:
        yield opened


@pytest.fixture
async def scene(services: Services) -> Scene:
    return await Scene.create(services)
