"""The signup and the API docs in a real browser, with the signup's script and without."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.support.files import jpeg, pdf, photo
from tests.support.signup_page import PATIENCE, SignupPage
from tests.support.stack import Stack

PHONE: ViewportSize = {"width": 360, "height": 740}

pytestmark = pytest.mark.parametrize("stack", ["sqlite"], indirect=True, scope="session")


@pytest.fixture(params=["with scripts", "without scripts"])
def signup(request: pytest.FixtureRequest, browser: Browser, stack: Stack) -> Iterator[SignupPage]:
    """The first page, on a phone. What its console complains about fails the test."""
    scripts = request.param == "with scripts"
    context = browser.new_context(base_url=stack.url, viewport=PHONE, java_script_enabled=scripts)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda line: complaints.append(line.text) if line.type in ("error", "warning") else None,
    )
    yield SignupPage(page, scripts=scripts).open()
    context.close()
    assert complaints == []


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


def test_a_person_signs_up(signup: SignupPage, picture: Path, licence: Path) -> None:
    page = signup.page
    signup.fill(full_name="Ann Example", email="nobody")
    signup.choose("headshot", picture)
    signup.go_on()
    expect(page).to_have_title("Error: About you – Join as a therapist")
    page.get_by_role("link", name="Email address must be an email address").click()
    expect(page.get_by_label("Email address")).to_be_focused()
    expect(page.get_by_label("Full name")).to_have_value("Ann Example")
    expect(page.get_by_label("Email address")).to_have_value("nobody")
    signup.fill(email="ann@example.org")
    signup.go_on()
    page.get_by_label("State that issued it").select_option("CA")
    signup.fill(licence_expires="2030-03-31")
    signup.choose("licence", licence)
    signup.choose("certificates", licence, picture)
    signup.go_on()
    page.get_by_label("About your work").fill("Two\nlines")
    page.get_by_label("I accept insurance").check()
    signup.go_on()
    signup.is_at("Documents")
    signup.go_on()
    page.get_by_role("link", name="Confirm that what you have given is true and complete").click()
    page.get_by_label("What I have given is true").check()
    signup.go_on()
    signup.is_at("Check and send")
    for text in ("Ann Example", "ann@example.org", "CA", "31 March 2030", "me.jpg", "licence.pdf"):
        expect(page.get_by_text(text, exact=True).first).to_be_visible()
    page.get_by_role("button", name="Send").click()
    signup.is_sent()
    expect(page.get_by_text("Your reference number is")).to_be_visible()
    expect(signup.line("me.jpg").first).to_contain_text("Stored")
    page.emulate_media(media="print")
    for text in ("Ann Example", "ann@example.org", "31 March 2030", "Two lines", "me.jpg"):
        expect(page.get_by_text(text, exact=True).first).to_be_visible()
    page.emulate_media(media="screen")
    assert [each.get("name") for each in page.context.cookies()] == ["longshore_sent"]
    page.go_back()
    signup.is_sent()
    page.get_by_role("link", name="Begin another form").click()
    expect(page.get_by_label("Full name")).to_have_value("")


def test_a_rejected_file_is_explained_and_can_be_removed(signup: SignupPage, small: Path) -> None:
    page = signup.page
    signup.choose("headshot", small)
    signup.go_on()
    signup.is_at("Your licence")
    signup.refresh_until_seen(signup.step("About you").get_by_text("1 problem"))
    signup.go_to("About you")
    signup.fill(full_name="Ann, typed before removing")
    said = "The selected image must be at least 400 × 400 pixels"
    expect(signup.field("headshot").get_by_text(said).first).to_be_visible()
    if not signup.scripts:  # with them it isn't sent, and the server has nothing to sum up
        page.get_by_role("link", name=f"tiny.jpg: {said}").click()
        expect(page.locator("#headshot")).to_be_focused()
    page.get_by_role("button", name="Remove tiny.jpg").click()
    expect(page.get_by_text("tiny.jpg", exact=True)).to_have_count(0)
    expect(page.get_by_label("Full name")).to_have_value("Ann, typed before removing")
    expect(signup.step("About you").get_by_text("problem")).to_have_count(0)


def test_the_enter_key_saves_and_removes_nothing(signup: SignupPage, picture: Path) -> None:
    page = signup.page
    signup.choose("headshot", picture)
    signup.go_on()
    signup.is_at("Your licence")
    signup.go_to("About you")
    signup.fill(full_name="Ann")
    page.get_by_label("Full name").press("Enter")
    signup.is_at("Your licence")
    signup.go_to("About you")
    expect(signup.line("me.jpg")).to_be_visible()
    expect(page.get_by_label("Full name")).to_have_value("Ann")


def test_going_back_shows_what_was_saved(signup: SignupPage) -> None:
    page = signup.page
    signup.fill(full_name="Ann")
    signup.go_on()
    signup.is_at("Your licence")
    page.go_back()
    expect(page.get_by_label("Full name")).to_have_value("Ann")
    signup.fill(full_name="Bo")
    signup.go_on()
    signup.is_at("Your licence")
    signup.go_to("About you")
    expect(page.get_by_label("Full name")).to_have_value("Bo")


def test_nothing_typed_is_lost_whichever_way_a_section_is_left(signup: SignupPage) -> None:
    page = signup.page
    signup.fill(full_name="Ann")
    signup.go_to("Your practice")
    page.get_by_label("Website").fill("https://ann.example")
    page.get_by_role("button", name="Back to Your licence").click()
    signup.is_at("Your licence")
    page.get_by_label("Licence number").fill("LMFT 1")
    signup.go_to("Check and send")
    for text in ("Ann", "https://ann.example", "LMFT 1"):
        expect(page.get_by_text(text, exact=True)).to_be_visible()


def test_an_empty_first_section_is_not_saved_without_a_word(signup: SignupPage) -> None:
    page = signup.page
    signup.go_on()
    summary = page.get_by_role("alert")
    expect(summary).to_contain_text("Enter your full name")
    expect(summary).to_be_focused()
    assert page.context.cookies() == []


def test_start_over_asks_first_and_then_forgets(signup: SignupPage, licence: Path) -> None:
    page = signup.page
    signup.fill(full_name="Ann")
    signup.go_on()
    signup.is_at("Your licence")
    signup.choose("certificates", licence)
    if signup.scripts:  # else the browser may complain that who is asked for it is gone
        signup.refresh_until_seen(signup.line(licence.name).get_by_text("Stored"))
    delete = page.get_by_role("button", name="Delete everything")
    expect(delete).to_be_hidden()
    page.get_by_text("Start over", exact=True).click()
    delete.click()
    expect(page.get_by_label("Full name")).to_have_value("")
    assert page.context.cookies() == []
    assert page.evaluate("Object.keys(sessionStorage)") == []


def test_no_page_is_wider_than_a_phone_and_nothing_is_too_small_for_a_thumb(
    signup: SignupPage, small: Path, tmp_path: Path
) -> None:
    page = signup.page
    long = tmp_path / f"{'averylongname' * 15}.jpg"
    long.write_bytes(small.read_bytes())
    signup.fill(full_name="Maximiliane" * 17)
    signup.choose("headshot", long)
    signup.go_on()
    signup.is_at("Your licence")
    signup.refresh_until_seen(signup.step("About you").get_by_text("1 problem"))
    for name in ("about", "credentials", "practice", "documents", "check-answers", "thank-you"):
        page.goto(f"/signup/{name}")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], name
        targets = page.locator("button:visible, .step, summary, .change a").all()
        for target in [
            each for each in targets if "visually-hidden" not in (each.get_attribute("class") or "")
        ]:
            box = target.bounding_box() or {"height": 0, "width": 0}
            assert "link" in (target.get_attribute("class") or "") or box["height"] >= 44, (
                name,
                target.inner_text(),
            )


def test_the_page_itself_creates_nothing_and_sets_no_cookie(page: Page) -> None:
    requests: list[str] = []
    page.on("request", lambda request: requests.append(f"{request.method} {request.url}"))
    page.goto("/")
    expect(page.locator("#headshot")).to_be_visible()
    assert not [each for each in requests if not each.startswith("GET")]
    assert page.context.cookies() == []


def test_the_api_docs_are_served_without_a_cdn(page: Page) -> None:
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
    page.goto("/docs")
    expect(page.get_by_text("/v1/forms/{form_id}/submit")).to_be_visible(timeout=PATIENCE)
    assert hosts == {page.url.split("/")[2]}
