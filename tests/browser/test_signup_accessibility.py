"""The signup for people who see, hear or point differently: axe finds nothing in any section or
state, and what a screen reader meets from choosing a file to having it stored is kept as it is."""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.support.files import jpeg, pdf
from tests.support.packages import installed
from tests.support.signup_page import PATIENCE, SignupPage
from tests.support.stack import CHECKOUT, Stack

GOLDEN = CHECKOUT / "tests/browser/golden"
WIDTHS = {"phone": (360, 740), "desktop": (1280, 800)}

pytestmark = pytest.mark.parametrize("stack", ["sqlite"], indirect=True, scope="session")


LOOKS = [
    pytest.param(("phone", "light"), id="phone-light"),
    pytest.param(("desktop", "dark"), id="desktop-dark"),
    pytest.param(("phone", "dark"), id="phone-dark", marks=pytest.mark.slow),
]


@pytest.fixture(params=LOOKS)
def signup(request: pytest.FixtureRequest, browser: Browser, stack: Stack) -> Iterator[SignupPage]:
    width, scheme = request.param
    size = WIDTHS[width]
    context = browser.new_context(
        base_url=stack.url,
        viewport={"width": size[0], "height": size[1]},
        color_scheme=scheme,
        reduced_motion="reduce",  # or a colour is measured while it fades
    )
    yield SignupPage(context.new_page()).open()
    context.close()


@pytest.fixture(scope="session")
def axe() -> str:
    return (installed() / "node_modules/axe-core/axe.min.js").read_text("utf-8")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    contents = {
        "me.jpg": plain_jpeg(),
        "tiny.jpg": jpeg(),
        "licence.pdf": pdf(),
        "secret.pdf": pdf(password="sesame"),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def plain_jpeg() -> bytes:
    """Large enough for its field, and so few bytes that they leave at once."""
    buffer = io.BytesIO()
    Image.new("RGB", (900, 900), "teal").save(buffer, "JPEG")
    return buffer.getvalue()


def check(page: Page, axe: str, state: str, *rules: str) -> None:
    """Nothing that axe knows is wrong with the page, or nothing that breaks `rules`; it runs beside
    the page, out of its policy's reach."""
    options = {"runOnly": list(rules)} if rules else {}
    found: dict[str, Any] = page.evaluate(
        f"async (options) => {{ {axe}; return await axe.run(options); }}", options
    )
    wrong = [
        f"{each['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for each in found["violations"]
        for node in each["nodes"]
    ]
    assert wrong == [], f"{state}: {wrong}"


def test_axe_finds_nothing_in_any_section_and_state(
    signup: SignupPage, axe: str, files: Path
) -> None:
    page = signup.page
    check(page, axe, "a new signup")
    signup.go_on()
    expect(page.get_by_role("alert")).to_be_visible()
    check(page, axe, "with mistakes")
    signup.fill(full_name="Ann", email="ann@example.org")
    signup.choose("headshot", files / "tiny.jpg")
    expect(signup.line("tiny.jpg")).to_contain_text("at least 400")
    check(page, axe, "a file refused before it was sent")
    signup.choose("headshot", files / "me.jpg")
    expect(signup.line("me.jpg")).to_contain_text("Stored", timeout=PATIENCE)
    check(page, axe, "a file stored")
    signup.go_on()
    signup.is_at("Your licence")
    signup.choose("licence", files / "secret.pdf")
    signup.choose("certificates", files / "licence.pdf", files / "me.jpg")
    signup.go_to("Your practice")
    expect(page.get_by_text("1 problem in Your licence")).to_be_visible(timeout=PATIENCE)
    check(page, axe, "a problem elsewhere")
    page.context.set_offline(True)
    expect(page.get_by_text("You are offline")).to_be_visible()
    check(page, axe, "offline")
    page.context.set_offline(False)
    signup.go_to("Your licence")
    expect(signup.line("secret.pdf")).to_contain_text("password protected")
    check(page, axe, "a file refused later")
    signup.go_to("Check and send")
    check(page, axe, "answers missing")
    page.get_by_text("Start over", exact=True).click()
    check(page, axe, "starting over")
    signup.go_to("Your licence")
    signup.choose("licence", files / "licence.pdf")
    expect(signup.line("licence.pdf").first).to_contain_text("Stored", timeout=PATIENCE)
    signup.go_to("Documents")
    check(page, axe, "documents")
    page.get_by_label("What I have given is true").check()
    signup.go_on()
    page.get_by_role("button", name="Send", exact=True).click()
    signup.is_sent()
    check(page, axe, "the end")
    page.goto("/signup/nowhere")
    check(page, axe, "no such page")


def test_axe_finds_nothing_where_the_pages_script_is_not_there(
    browser: Browser, stack: Stack, axe: str, files: Path
) -> None:
    width, height = WIDTHS["phone"]
    context = browser.new_context(
        base_url=stack.url, viewport={"width": width, "height": height}, reduced_motion="reduce"
    )
    context.route("**/static/*.js", lambda route: route.abort())  # axe is a script itself
    page = context.new_page()
    signup = SignupPage(page, scripts=False).open()

    def check_in_both_colours(state: str) -> None:
        check(page, axe, state)
        page.emulate_media(color_scheme="dark")
        check(page, axe, f"{state}, dark", "color-contrast")
        page.emulate_media(color_scheme="light")

    check_in_both_colours("a new signup")
    signup.go_on()
    check_in_both_colours("with mistakes")
    signup.fill(full_name="Ann", email="ann@example.org")
    signup.choose("headshot", files / "tiny.jpg")
    signup.go_on()
    signup.is_at("Your licence")
    signup.choose("licence", files / "licence.pdf")
    signup.choose("certificates", files / "licence.pdf", files / "secret.pdf")
    signup.go_to("About you")
    signup.refresh_until_seen(page.get_by_text("There is a problem"))
    check_in_both_colours("a file refused")
    signup.go_to("Your licence")
    signup.refresh_until_seen(signup.line("secret.pdf").get_by_text("Not accepted"))
    check_in_both_colours("files stored and refused")
    signup.go_to("Your practice")
    check_in_both_colours("problems elsewhere")
    signup.go_to("Check and send")
    check_in_both_colours("answers missing")
    page.get_by_text("Start over", exact=True).click()
    page.get_by_role("button", name="Send").click()
    check_in_both_colours("sent too soon")
    signup.go_to("Documents")
    page.get_by_label("What I have given is true").check()
    signup.choose("resume", files / "licence.pdf")
    signup.go_on()
    signup.is_at("Check and send")
    check_in_both_colours("a file being checked")
    signup.refresh_until_seen(page.locator("[data-field=resume]").get_by_text("Stored"))
    check_in_both_colours("ready to send")
    page.get_by_role("button", name="Send").click()
    signup.is_sent()
    check_in_both_colours("the end")
    context.close()


def test_dropping_is_named_where_there_is_a_place_for_it_and_a_pointer(
    browser: Browser, stack: Stack
) -> None:
    for touch, width in ((False, 1280), (True, 1280), (False, 360)):
        context = browser.new_context(
            base_url=stack.url,
            viewport={"width": width, "height": 800},
            has_touch=touch,
            is_mobile=touch,
        )
        signup = SignupPage(context.new_page()).open()
        said = signup.field("headshot").get_by_text("or drop it here")
        expect(said).to_be_visible(visible=width > 360 and not touch)
        expect(signup.page.get_by_role("button", name="Photo of you")).to_be_visible()
        context.close()


class Transcript:
    """What a screen reader meets, held against what was kept of it."""

    def __init__(self) -> None:
        self.new: list[str] = []

    def heard(self, signup: SignupPage, name: str) -> None:
        """The same as ever; one that wasn't kept yet is written, to be looked at."""
        path = GOLDEN / f"{name}.yaml"
        field = signup.field("headshot").aria_snapshot()
        field = re.sub(r".*: Uploading \d+ %\"?\n", "", field)  # how often depends on the network
        now = re.sub(r"/url: \S*upl_\w+\S*", "/url: …", field) + "\n"
        if path.exists():
            assert now == path.read_text("utf-8")
        else:
            path.write_text(now, "utf-8")
            self.new.append(name)


@pytest.fixture
def transcript() -> Iterator[Transcript]:
    kept = Transcript()
    yield kept
    assert kept.new == [], "were not there, and are now: look at them"


@pytest.mark.parametrize("signup", [("phone", "light")], indirect=True, ids=["phone-light"])
def test_from_choosing_to_stored_a_screen_reader_meets_what_it_did(
    signup: SignupPage, transcript: Transcript, files: Path
) -> None:
    page = signup.page
    transcript.heard(signup, "1-nothing-chosen")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Photo of you").press("Enter")
    chooser.value.set_files(files / "tiny.jpg")
    expect(signup.line("tiny.jpg")).to_contain_text("at least 400")
    transcript.heard(signup, "2-rejected")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Replace tiny.jpg").press("Enter")
    chooser.value.set_files(files / "me.jpg")
    expect(signup.line("me.jpg")).to_contain_text("Stored", timeout=PATIENCE)
    transcript.heard(signup, "3-stored")
    page.get_by_role("button", name="Remove me.jpg").press("Enter")
    expect(page.get_by_role("button", name="Photo of you")).to_be_focused()
    transcript.heard(signup, "4-removed")
