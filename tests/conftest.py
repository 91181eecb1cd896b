"""One running stack for all tests that know the product only from outside, on each database."""

import gc
from collections.abc import Generator, Iterator
from functools import cache
from typing import Any

import httpx
import pytest
from botocore.loaders import JSONFileLoader
from sqlalchemy import URL

from tests.support.chains import InChains, chain_of, place_of
from tests.support.client import FormClient
from tests.support.other_site import OtherSite
from tests.support.postgres import new_database, run_postgres
from tests.support.s3 import S3Endpoint, run_seaweedfs
from tests.support.stack import SHARED_STACKS, Stack, forms_folder

gc.disable()
"""Finding the tests makes millions of objects that all stay: looking through them again and again
took a third of the time, and a part of each test's."""


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: place_of(item.nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> InChains | None:
    return InChains(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_sessionstart(session: pytest.Session) -> None:
    session.stash[SHARED_STACKS] = {}


def _shared_stacks(item: pytest.Item) -> set[tuple[str, str]]:
    """What it needs of them, each by its fixture and parameter."""
    given: dict[str, str] = item.callspec.params if hasattr(item, "callspec") else {}
    return {(name, given[name]) for name in ("stack", "faulty") if name in given}


def pytest_runtest_setup(item: pytest.Item) -> None:
    stacks = item.session.stash[SHARED_STACKS]
    for key in _shared_stacks(item) & stacks.keys():
        stacks[key].resume()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, None, None]:
    """Stacks end with the chain of tests that needs them: idle, each takes a fiftieth of a
    processor, and a whole run would have nine."""
    yield
    if nextitem is not None and chain_of(nextitem.nodeid) != chain_of(item.nodeid):
        stacks = item.session.stash[SHARED_STACKS]
        for key in stacks.keys() - _shared_stacks(nextitem):
            stacks[key].stop()


@pytest.fixture(scope="session", autouse=True)
def _what_never_changes_is_read_once() -> Iterator[None]:
    """Each client of httpx reads the machine's certificates and each of botocore what AWS offers,
    which takes longer than what most of the tests' clients are made for."""
    certificates, offers = cache(httpx.create_ssl_context), cache(JSONFileLoader().load_file)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("httpx._transports.default.create_ssl_context", certificates)
        patched.setattr(JSONFileLoader, "load_file", lambda _, path: offers(path))
        yield


@pytest.fixture(scope="session")
def postgres() -> Iterator[URL]:
    with run_postgres() as url:
        yield url


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Endpoint]:
    with run_seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as endpoint:
        yield endpoint


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
        request.session.stash[SHARED_STACKS]["stack", request.param] = stacks[request.param]
    return stacks[request.param]


@pytest.fixture
def signup(stack: Stack) -> FormClient:
    """A new form of the shipped type."""
    return FormClient(stack.url)


@pytest.fixture
def form(stack: Stack) -> FormClient:
    """A new form of the tests' own type."""
    return FormClient(stack.url, "acceptance")
