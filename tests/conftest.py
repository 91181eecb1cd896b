"""One running stack for all tests that know the product only from outside, on each database."""

from collections.abc import Iterator

import pytest
from sqlalchemy import URL

from tests.support.client import FormClient
from tests.support.postgres import new_database, run_postgres
from tests.support.stack import Stack, forms_folder


@pytest.fixture(scope="session")
def postgres() -> Iterator[URL]:
    with run_postgres() as url:
        yield url


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def stack(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    env = {"FORMS_DIR": str(forms_folder(folder / "forms"))}
    if request.param == "postgresql":
        env["DATABASE_URL"] = new_database(request.getfixturevalue("postgres"), "acceptance")
    running = Stack(folder / "state", env)
    try:
        yield running.start()
    finally:
        running.stop()


@pytest.fixture
def signup(stack: Stack) -> FormClient:
    """A new form of the shipped type."""
    return FormClient(stack.url)


@pytest.fixture
def form(stack: Stack) -> FormClient:
    """A new form of the tests' own type."""
    return FormClient(stack.url, "acceptance")
