"""Every answer that a test of this folder meets is held against the API's own description."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.support.described import Description, of_same_origin
from tests.support.stack import Stack


@pytest.fixture(scope="session")
def descriptions(stack: Stack) -> list[Description]:
    return [Description(stack.url), Description(stack.info["internal_url"])]


@pytest.fixture(autouse=True)
def _answers_are_described(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    if "stack" not in request.fixturenames:
        yield
        return
    described: list[Description] = request.getfixturevalue("descriptions")
    send: Callable[..., httpx.Response] = httpx.Client.send

    def checked(client: httpx.Client, *args: Any, **kwargs: Any) -> httpx.Response:
        response = send(client, *args, **kwargs)
        if not kwargs.get("stream"):
            for each in described:
                if of_same_origin(each, response):
                    each.check(response)
        return response

    monkeypatch.setattr(httpx.Client, "send", checked)
    yield
