"""One running stack for all tests that know the product only from outside."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.client import FormClient
from tests.support.stack import Stack, forms_folder


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    running = Stack(folder / "state", {"FORMS_DIR": str(forms_folder(folder / "forms"))})
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


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    return tmp_path
