"""A real Chromium, beside a stack."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.support.chromium import chromium
from tests.support.stack import Stack


@pytest.fixture(scope="module")  # while it runs, no test of another module can have a loop
def browser(stack: Stack) -> Iterator[Browser]:  # noqa: ARG001 - the next stack starts without a loop, too
    with chromium() as running:
        yield running


@pytest.fixture
def address(stack: Stack) -> str:
    """Where pages find the service."""
    return stack.url


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A page of the stack; what it complains about in the console fails the test."""
    complaints: list[str] = []
    opened = browser.new_page(base_url=address)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on(
        "console",
        lambda line: complaints.append(line.text) if "Content Security" in line.text else None,
    )
    yield opened
    opened.close()
    assert complaints == []
