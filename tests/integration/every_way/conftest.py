"""What holds whichever way a file is sent: on its own, with a section, from an HTML form.

One api for each file of tests, in this process.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from api.services import Services
from tests.support.begun import LEAST, MOST, Begun, begin, services_in


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def services(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Services]:
    bounds = {"max_form_bytes": MOST, "min_free_bytes": LEAST}
    async with services_in(tmp_path_factory.mktemp("every_way"), **bounds) as services:
        yield services


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def impatient(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Services]:
    """It waits a tenth of a second for what stops coming."""
    folder = tmp_path_factory.mktemp("impatient")
    async with services_in(folder, receive_idle_seconds=0.1) as services:
        yield services


@pytest_asyncio.fixture(loop_scope="module")
async def begun(services: Services) -> AsyncIterator[Begun]:
    async with begin(services) as begun:
        yield begun
