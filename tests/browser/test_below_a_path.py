"""The signup and the API docs below a path, in a real browser, behind both kinds of proxy."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.chromium import chromium
from tests.support.files import pdf, photo
from tests.support.proxy import FIRST, TO_THE_API, Names, run_proxy
from tests.support.stack import Stack

TAKEN_OFF = "location /apply/ { set $api api; rewrite ^/apply(/.*)$ $1 break;"
PATIENCE = 30_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One that waits for no shared stack: this module has a stack of its own."""
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def below(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    env = {"LONGSHORE_API_PUBLIC_URL": "https://forms.example/apply"}
    running = Stack(tmp_path_factory.mktemp("below") / "state", env).start()
    yield running
    running.stop()


@pytest.fixture(params=[TO_THE_API, TAKEN_OFF], ids=["as it came", "taken off"])
def page(
    request: pytest.FixtureRequest, tmp_path: Path, browser: Browser, below: Stack
) -> Iterator[Page]:
    """Anything in the console, and any answer that isn't one, fails the test."""
    complaints: list[str] = []
    names = Names(FIRST)
    with run_proxy(tmp_path, names, below.port, request.param) as proxy:
        opened = browser.new_page(base_url=proxy.url)
        opened.on("pageerror", lambda error: complaints.append(str(error)))
        opened.on("console", lambda line: complaints.append(line.text))
        opened.on(
            "response",
            lambda answer: complaints.append(answer.url) if answer.status >= 400 else None,
        )
        yield opened
        opened.close()
    names.close()
    assert complaints == []


def go_on(page: Page, to: str) -> None:
    page.get_by_role("button", name="Save and continue").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(to)


def choose(page: Page, field: str, path: Path) -> None:
    page.locator(f"longshore-file[field={field}] input[type=file]").set_input_files(path)


def test_a_person_signs_up_below_a_path(page: Page, tmp_path: Path) -> None:
    picture, licence = tmp_path / "me.jpg", tmp_path / "licence.pdf"
    picture.write_bytes(photo())
    licence.write_bytes(pdf())
    page.goto("/apply/")
    page.get_by_label("Full name").fill("Ann Example")
    page.get_by_label("Email address").fill("ann@example.org")
    choose(page, "headshot", picture)
    go_on(page, "Your licence")
    page.get_by_label("State that issued it").select_option("CA")
    page.get_by_label("Date it expires").fill("2030-03-31")
    choose(page, "licence", licence)
    go_on(page, "Your practice")
    go_on(page, "Documents")
    page.get_by_label("What I have given is true").check()
    go_on(page, "Check your answers")
    page.get_by_role("link", name="Change Full name").click()
    expect(page.get_by_label("Full name")).to_have_value("Ann Example")
    page.get_by_role("button", name="Check and send").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Check your answers")
    page.screenshot(path=tmp_path / "check.png", full_page=True)
    (cookie,) = page.context.cookies()
    assert cookie.get("path") == "/apply"
    # sent before its files are stored it would be told to wait, which the console has as a 409
    for field in ("headshot", "licence"):
        expect(page.locator(f"[data-field={field}]")).to_contain_text("Stored", timeout=PATIENCE)
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible(timeout=PATIENCE)
    (left,) = page.context.cookies()
    assert (left.get("name"), left.get("path")) == ("longshore_sent_apply", "/apply")
    page.get_by_role("link", name="Begin another form").click()
    expect(page.get_by_label("Full name")).to_have_value("")
    assert page.url.endswith("/apply/")


def test_the_api_docs_load_below_a_path(page: Page) -> None:
    page.goto("/apply/docs")
    expect(page.get_by_text("/v1/forms/{form_id}/submit")).to_be_visible(timeout=PATIENCE)
    expect(page.locator(".servers option")).to_have_text("/apply")
