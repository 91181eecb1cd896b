"""The signup's pages and the API docs in a real browser, which runs no script on the pages."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect

from tests.support.files import jpeg, pdf, photo
from tests.support.stack import Stack

PATIENCE = 30_000
PHONE: ViewportSize = {"width": 390, "height": 844}


@pytest.fixture(params=["with scripts", "without scripts"])
def signup(request: pytest.FixtureRequest, browser: Browser, stack: Stack) -> Iterator[Page]:
    """The first page, on a phone; the pages need no script, and must bear one being allowed."""
    context = browser.new_context(
        base_url=stack.url,
        viewport=PHONE,
        java_script_enabled=request.param == "with scripts",
    )
    page = context.new_page()
    page.goto("/")
    yield page
    context.close()


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "me.jpg"
    path.write_bytes(photo())
    return path


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.jpg"
    path.write_bytes(jpeg())
    return path


@pytest.fixture
def licence(tmp_path: Path) -> Path:
    path = tmp_path / "licence.pdf"
    path.write_bytes(pdf())
    return path


def go_on(page: Page) -> None:
    page.get_by_role("button", name="Save and continue").click()


def refresh_until_seen(page: Page, wanted: Locator) -> None:
    """Press the page's own link until the files are checked."""
    for _ in range(100):
        if wanted.is_visible():
            return
        page.wait_for_timeout(200)
        with page.expect_navigation():  # or the page before it would be looked at
            page.get_by_role("link", name="Refresh").click()
    expect(wanted).to_be_visible()


def test_a_person_signs_up(signup: Page, picture: Path, licence: Path) -> None:
    page = signup
    page.get_by_label("Full name").fill("Ann Example")
    page.get_by_label("Email address").fill("nobody")
    page.get_by_label("Photo of you").set_input_files(picture)
    go_on(page)
    expect(page).to_have_title("Error: About you – Join as a therapist")
    page.get_by_role("link", name="Email address must be an email address").click()
    expect(page.get_by_label("Full name")).to_have_value("Ann Example")
    expect(page.get_by_label("Email address")).to_have_value("nobody")
    page.get_by_label("Email address").fill("ann@example.org")
    go_on(page)
    page.get_by_label("State that issued it").select_option("CA")
    page.get_by_label("Date it expires").fill("2030-03-31")
    page.get_by_label("Copy of your licence").set_input_files(licence)
    page.get_by_label("Certificates").set_input_files([licence, picture])
    go_on(page)
    page.get_by_label("About your work").fill("Two\nlines")
    page.get_by_label("I accept insurance").check()
    go_on(page)
    go_on(page)
    page.get_by_role("link", name="What I have given is true and complete is required").click()
    page.get_by_label("What I have given is true").check()
    go_on(page)
    expect(page.get_by_role("heading", name="Check your answers")).to_be_visible()
    for text in ("Ann Example", "ann@example.org", "CA", "2030-03-31", "me.jpg", "licence.pdf"):
        expect(page.get_by_text(text, exact=True).first).to_be_visible()
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible(timeout=PATIENCE)
    assert page.context.cookies() == []
    page.get_by_role("link", name="begin another form").click()
    expect(page.get_by_label("Full name")).to_have_value("")


def test_a_rejected_file_is_explained_and_can_be_removed(signup: Page, small: Path) -> None:
    page = signup
    page.get_by_label("Photo of you").set_input_files(small)
    go_on(page)
    expect(page.get_by_role("heading", name="Your licence")).to_be_visible()
    refresh_until_seen(page, page.get_by_text("1 problem"))
    page.get_by_role("link", name="About you").click()
    said = "tiny.jpg: The selected image must be at least 400 × 400 pixels"
    expect(page.get_by_role("alert").get_by_role("link", name=said)).to_be_visible()
    page.get_by_label("Full name").fill("Ann, typed before removing")
    page.get_by_role("button", name="Remove tiny.jpg").click()
    expect(page.get_by_text("tiny.jpg")).to_have_count(0)
    expect(page.get_by_label("Full name")).to_have_value("Ann, typed before removing")


def test_the_enter_key_saves_and_removes_nothing(signup: Page, picture: Path) -> None:
    page = signup
    page.get_by_label("Photo of you").set_input_files(picture)
    go_on(page)
    page.get_by_role("link", name="About you").click()
    page.get_by_label("Full name").fill("Ann")
    page.get_by_label("Full name").press("Enter")
    expect(page.get_by_role("heading", name="Your licence")).to_be_visible()
    page.get_by_role("link", name="About you").click()
    expect(page.get_by_text("me.jpg", exact=True).first).to_be_visible()
    expect(page.get_by_label("Full name")).to_have_value("Ann")


def test_going_back_shows_what_was_saved(signup: Page) -> None:
    page = signup
    page.get_by_label("Full name").fill("Ann")
    go_on(page)
    expect(page.get_by_role("heading", name="Your licence")).to_be_visible()
    page.go_back()
    expect(page.get_by_label("Full name")).to_have_value("Ann")
    page.get_by_label("Full name").fill("Bo")
    go_on(page)
    page.get_by_role("link", name="About you").click()
    expect(page.get_by_label("Full name")).to_have_value("Bo")


def test_start_over_asks_first_and_then_forgets(signup: Page) -> None:
    page = signup
    page.get_by_label("Full name").fill("Ann")
    go_on(page)
    delete = page.get_by_role("button", name="Delete everything")
    expect(delete).to_be_hidden()
    page.get_by_text("Start over", exact=True).click()
    delete.click()
    expect(page.get_by_label("Full name")).to_have_value("")
    assert page.context.cookies() == []


def test_no_page_is_wider_than_a_phone(page: Page, small: Path, tmp_path: Path) -> None:
    long = tmp_path / f"{'averylongname' * 15}.jpg"
    long.write_bytes(small.read_bytes())
    page.set_viewport_size(PHONE)
    page.goto("/")
    page.get_by_label("Photo of you").set_input_files(long)
    page.get_by_label("Full name").fill("Maximiliane" * 17)
    go_on(page)
    expect(page.get_by_role("heading", name="Your licence")).to_be_visible()
    refresh_until_seen(page, page.get_by_text("1 problem"))
    for name in ("about", "credentials", "practice", "documents", "check-answers", "thank-you"):
        page.goto(f"/signup/{name}")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], name


def test_the_page_itself_creates_nothing_and_sets_no_cookie(page: Page) -> None:
    requests: list[str] = []
    page.on("request", lambda request: requests.append(f"{request.method} {request.url}"))
    page.goto("/")
    expect(page.get_by_label("Photo of you")).to_be_visible()
    assert not [each for each in requests if not each.startswith("GET")]
    assert page.context.cookies() == []


def test_the_api_docs_are_served_without_a_cdn(page: Page) -> None:
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
    page.goto("/docs")
    expect(page.get_by_text("/v1/forms/{form_id}/submit")).to_be_visible(timeout=PATIENCE)
    assert hosts == {page.url.split("/")[2]}
