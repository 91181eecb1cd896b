"""A house on each database, and the event loop that it lives in."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.protocol.house import House, house_on
from tests.support.postgres import new_database

Run = Callable[[Coroutine[Any, Any, Any]], Any]


@dataclass(frozen=True)
class Home:
    house: House
    run: Run


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def home(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Home]:
    folder = tmp_path_factory.mktemp("house")
    url = f"sqlite:///{folder}/records.db"
    if request.param == "postgresql":
        url = new_database(request.getfixturevalue("postgres"), "protocol")
    with asyncio.Runner() as runner:
        opened = house_on(folder, url)
        house = runner.run(opened.__aenter__())
        try:
            yield Home(house, runner.run)
        finally:
            runner.run(opened.__aexit__(None, None, None))
