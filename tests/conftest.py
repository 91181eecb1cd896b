"""One running stack for all tests that know the product only from outside, on each database."""

from collections.abc import Iterator

import pytest
from sqlalchemy import URL

from tests.support.client import FormClient
from tests.support.other_site import OtherSite
from tests.support.postgres import new_database, run_postgres
from tests.support.stack import Stack, forms_folder


@pytest.fixture(scope="session")
def postgres() -> Iterator[URL]:
    with run_postgres() as url:
        yield url


@pytest.fixture(scope="session")
def stacks(postgres: URL) -> Iterator[dict[str, Stack]]:  # noqa: ARG001 - it has to outlive them
    """Those that run, by database: each is started once, whichever order the tests come in."""
    running: dict[str, Stack] = {}
    yield running
    for each in running.values():
        each.stop()


@pytest.fixture(scope="session")
def other_site() -> Iterator[OtherSite]:
    with OtherSite() as site:
        yield site


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def stack(
    request: pytest.FixtureRequest,
    stacks: dict[str, Stack],
    other_site: OtherSite,
    tmp_path_factory: pytest.TempPathFactory,
) -> Stack:
    if request.param not in stacks:
        folder = tmp_path_factory.mktemp("stack")
        env = {
            "FORMS_DIR": str(forms_folder(folder / "forms")),
            "REDIRECT_ORIGINS": ",".join(other_site.origins),
        }
        if request.param == "postgresql":
            env["DATABASE_URL"] = new_database(request.getfixturevalue("postgres"), "acceptance")
        stacks[request.param] = Stack(folder / "state", env).start()
    return stacks[request.param]


@pytest.fixture
def signup(stack: Stack) -> FormClient:
    """A new form of the shipped type."""
    return FormClient(stack.url)


@pytest.fixture
def form(stack: Stack) -> FormClient:
    """A new form of the tests' own type."""
    return FormClient(stack.url, "acceptance")
