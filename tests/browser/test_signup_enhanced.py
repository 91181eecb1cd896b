"""What the signup's script adds: files that are sent while a person goes on."""

import contextlib
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    Response,
    Route,
    ViewportSize,
    expect,
)
from playwright.sync_api import (
    TimeoutError as Late,
)

from tests.support.files import jpeg, pdf, photo
from tests.support.signup_page import PATIENCE, SignupPage
from tests.support.stack import Stack

PHONE: ViewportSize = {"width": 360, "height": 740}
UPLOADS = re.compile(r"/fields/\w+/uploads$")
SAVED = re.compile(r"/v1/forms/\w+$")
LOST_CONNECTION = "net::ERR_"
"""What the browser itself says of a request without a connection."""

pytestmark = pytest.mark.parametrize("stack", ["sqlite"], indirect=True, scope="session")


@pytest.fixture
def context(browser: Browser, stack: Stack) -> Iterator[BrowserContext]:
    opened = browser.new_context(base_url=stack.url, viewport=PHONE)
    yield opened
    opened.close()


@pytest.fixture
def signup(context: BrowserContext) -> Iterator[SignupPage]:
    """The first page. Whatever its console says fails the test, but for lost connections."""
    said: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda line: said.append(line.text))
    yield SignupPage(page).open()
    assert [each for each in said if LOST_CONNECTION not in each] == []


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with a good photo, one that is too small, a licence, and one with a password."""
    contents = {
        "me.jpg": photo(),
        "tiny.jpg": jpeg(),
        "licence.pdf": pdf(),
        "secret.pdf": pdf(password="sesame"),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


class Held:
    """Uploads of a page that get no further until they are let go."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.routes: list[Route] = []
        page.route(UPLOADS, lambda route: self.routes.append(route))  # noqa: PLW0108 - it takes no builtin

    def wait(self) -> None:
        """Until one is on its way."""
        for _ in range(200):
            if self.routes:
                return
            self.page.wait_for_timeout(50)
        pytest.fail("nothing was sent")

    def let_go(self) -> None:
        for route in self.routes:
            route.continue_()
        self.page.unroute(UPLOADS)


def _is_save(answer: Response) -> bool:
    return answer.request.method == "POST" and SAVED.search(answer.url) is not None


def test_files_are_sent_while_the_person_goes_on(signup: SignupPage, files: Path) -> None:
    page = signup.page
    held = Held(page)
    signup.fill(full_name="Ann")
    signup.choose("headshot", files / "me.jpg")
    held.wait()
    signup.go_on()
    signup.is_at("Your licence")
    about = signup.step("About you")
    expect(about).to_contain_text("Uploading")
    signup.go_to("Your practice")
    expect(about).to_contain_text("Uploading")
    held.let_go()
    expect(about).not_to_contain_text("Uploading", timeout=PATIENCE)
    expect(about).not_to_contain_text("Checking", timeout=PATIENCE)
    signup.go_to("About you")
    line = signup.line("me.jpg")
    expect(line).to_contain_text("Stored")
    expect(line.locator("img")).to_be_visible()
    expect(page.get_by_label("Full name")).to_have_value("Ann")


def test_a_file_that_can_be_refused_here_is_not_sent_and_is_replaced_in_place(
    signup: SignupPage, files: Path
) -> None:
    page = signup.page
    sent: list[str] = []
    page.on("request", lambda each: sent.append(each.url) if UPLOADS.search(each.url) else None)
    signup.choose("headshot", files / "tiny.jpg")
    said = "The selected image must be at least 400 × 400 pixels"
    expect(signup.line("tiny.jpg")).to_contain_text(said)
    expect(signup.step("About you")).to_contain_text("1 problem")
    expect(signup.field("headshot")).to_have_css("border-left-width", "4px")
    assert not sent
    signup.choose("headshot", files / "me.jpg")
    expect(signup.line("me.jpg")).to_contain_text("Stored", timeout=PATIENCE)
    expect(page.locator(".files, .problem").get_by_text(said)).to_have_count(0)
    expect(signup.line("tiny.jpg")).to_have_count(0)
    expect(signup.step("About you")).not_to_contain_text("problem")
    assert len(sent) == 1


def test_a_step_with_a_problem_says_so_while_another_file_is_on_its_way(
    signup: SignupPage, files: Path
) -> None:
    signup.fill(full_name="Ann")
    signup.go_on()
    signup.is_at("Your licence")
    held = Held(signup.page)
    (files / "notes.exe").write_bytes(b"MZ" + bytes(100))
    signup.choose("certificates", files / "licence.pdf", files / "notes.exe")
    held.wait()
    licence = signup.step("Your licence")
    expect(licence).to_contain_text("1 problem, uploading")
    expect(licence).to_have_class(re.compile("is-problem"))
    signup.page.get_by_role("button", name="Remove notes.exe").click()
    expect(licence).to_contain_text("Uploading")
    expect(licence).to_have_class(re.compile("is-uploading"))


def test_a_file_that_is_refused_later_is_told_wherever_the_person_is(
    signup: SignupPage, files: Path
) -> None:
    page = signup.page
    signup.fill(full_name="Ann", email="ann@example.org")
    signup.go_on()
    signup.is_at("Your licence")
    signup.choose("licence", files / "secret.pdf")
    signup.go_on()
    signup.is_at("Your practice")
    page.get_by_label("Website").fill("https://ann.example")
    expect(page.get_by_text("1 problem in Your licence")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_label("Website")).to_have_value("https://ann.example")
    expect(page.get_by_label("Website")).to_be_focused()
    page.get_by_role("button", name="Your licence", exact=True).click()
    said = "The selected file is password protected: save it without a password"
    expect(signup.line("secret.pdf")).to_contain_text(said)
    field = signup.field("licence")
    seen = field.locator(".problem, .files").get_by_text(said).locator("visible=true")
    expect(seen).to_have_count(1)
    chooser = page.get_by_role("button", name="Copy of your licence Choose another file")
    hint = field.locator(".hint").first.inner_text()
    expect(chooser).to_have_accessible_description(f"{hint} {said}")
    signup.choose("licence", files / "licence.pdf")
    expect(signup.line("licence.pdf")).to_contain_text("Stored", timeout=PATIENCE)
    expect(page.get_by_text("There is a problem")).to_have_count(0)
    expect(signup.step("Your licence")).to_contain_text("Done")


def test_sending_waits_for_files_and_then_happens_by_itself(
    signup: SignupPage, files: Path
) -> None:
    page = signup.page
    signup.fill(full_name="Ann", email="ann@example.org")
    signup.go_on()
    signup.is_at("Your licence")
    signup.choose("licence", files / "licence.pdf")
    expect(signup.line("licence.pdf")).to_contain_text("Stored", timeout=PATIENCE)
    signup.go_to("Documents")
    page.get_by_label("What I have given is true").check()
    held = Held(page)
    signup.choose("resume", files / "licence.pdf")
    held.wait()
    signup.go_on()
    signup.is_at("Check and send")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_role("status").get_by_text("Your form is sent as soon as")).to_be_visible()
    page.get_by_role("button", name="Don't send yet").click()
    page.get_by_role("button", name="Send", exact=True).click()
    held.let_go()
    signup.is_sent()
    expect(signup.line("licence.pdf")).to_have_count(2)


def test_40_megabytes_on_a_slow_line_hold_nobody_up(signup: SignupPage, tmp_path: Path) -> None:
    page = signup.page
    devtools = page.context.new_cdp_session(page)

    def limit_sending(bytes_per_second: int) -> None:
        line = {"offline": False, "latency": 0, "downloadThroughput": -1}
        devtools.send(
            "Network.emulateNetworkConditions", {**line, "uploadThroughput": bytes_per_second}
        )

    sent = {f"{pages}.pdf": pdf(pages=pages, ballast=19_950_000) for pages in (1, 2)}
    for name, content in sent.items():
        (tmp_path / name).write_bytes(content)
    signup.fill(full_name="Ann", email="ann@example.org")
    signup.go_on()
    signup.is_at("Your licence")
    page.evaluate(
        """async () => {
          const {uploads} = await import('/static/longshore.js');
          window.progress = [];
          uploads.addEventListener('change', ({detail}) => progress.push(detail.loaded));
        }"""
    )
    limit_sending(500_000)
    signup.choose("certificates", *[tmp_path / name for name in sent])
    licence = signup.step("Your licence")
    expect(licence).to_contain_text(re.compile(r"Uploading [1-9]\d? %"))
    signup.go_to("Your practice")
    page.get_by_label("Website").fill("https://ann.example")
    signup.go_to("Documents")
    expect(licence).to_contain_text(re.compile(r"Uploading \d+ %, \d min left"), timeout=PATIENCE)
    expect(page.locator(".caption")).to_have_text(
        re.compile(r"Step 4 of 5 · Uploading \d+ %, \d min left")
    )
    page.wait_for_function("() => new Set(progress).size > 5", timeout=PATIENCE)
    limit_sending(20_000_000)
    expect(licence).not_to_contain_text("Uploading", timeout=PATIENCE)
    signup.go_to("Your licence")
    expect(page.locator(".files .stored")).to_have_count(2, timeout=PATIENCE)
    uploads = page.evaluate("fetch(section.action).then((answer) => answer.json())")["uploads"]
    hashes = sorted(hashlib.sha256(each).hexdigest() for each in sent.values())
    assert sorted(each["object"]["sha256"] for each in uploads["certificates"]) == hashes


def test_what_is_missing_is_told_at_once_although_a_file_is_on_its_way(
    signup: SignupPage, files: Path
) -> None:
    page = signup.page
    signup.fill(full_name="Ann", email="ann@example.org")
    signup.go_on()
    signup.is_at("Your licence")
    held = Held(page)
    signup.choose("licence", files / "licence.pdf")
    held.wait()
    signup.go_to("Check and send")
    expect(page.get_by_role("heading", name="Still needed")).to_be_visible()
    row = page.locator("[data-field=licence]")
    expect(row).to_contain_text("licence.pdf: Uploading")
    expect(row.get_by_text("Choose a copy")).to_be_hidden()
    expect(row.get_by_role("link", name="Change")).to_be_visible()
    expect(page.get_by_role("link", name="Add Certificates")).to_be_visible()
    needed = page.locator(".summary").get_by_role("link")
    expect(needed).to_have_text([re.compile("Confirm that what you have given")])
    expect(page.get_by_text("One answer is needed before you can send")).to_be_visible()
    page.get_by_role("button", name="Send", exact=True).click()
    summary = page.get_by_role("alert")
    expect(summary).to_contain_text("Confirm that what you have given")
    expect(summary).to_be_focused()
    expect(needed).to_have_count(1)
    expect(row).to_contain_text("licence.pdf: Uploading")
    held.let_go()
    expect(row).to_contain_text("Stored", timeout=PATIENCE)
    expect(row.get_by_text("Uploading")).to_have_count(0)


def test_without_a_connection_the_form_waits_for_one_and_says_so(
    signup: SignupPage, files: Path
) -> None:
    page = signup.page
    signup.fill(full_name="Ann", email="ann@example.org")
    signup.go_on()
    signup.is_at("Your licence")
    signup.choose("licence", files / "licence.pdf")
    expect(signup.line("licence.pdf")).to_contain_text("Stored", timeout=PATIENCE)
    signup.go_to("Documents")
    page.get_by_label("What I have given is true").check()
    signup.go_on()
    signup.is_at("Check and send")
    page.context.set_offline(True)
    page.get_by_role("button", name="Send", exact=True).click()
    said = page.get_by_role("status").get_by_text("is sent when the connection is back")
    expect(said).to_be_visible()
    page.context.set_offline(False)
    signup.is_sent()


def test_a_file_that_was_cut_off_is_told_by_its_field_where_answers_are_checked(
    signup: SignupPage, files: Path
) -> None:
    page = signup.page
    signup.fill(full_name="Ann", email="ann@example.org")
    signup.go_on()
    signup.is_at("Your licence")
    held = Held(page)
    signup.choose("licence", files / "licence.pdf")
    held.wait()
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    page.unroute(UPLOADS)
    again = signup.line("licence.pdf").get_by_role("button", name="Choose a file licence.pdf")
    expect(again).to_be_visible()
    signup.go_to("Check and send")
    said = "Copy of your licence: licence.pdf was not sent. Choose it again"
    expect(page.locator("#unsent")).to_contain_text(said)


def test_fields_and_the_summary_say_the_same_when_a_file_comes(
    signup: SignupPage, files: Path
) -> None:
    page = signup.page
    signup.go_on()
    summary = page.locator(".summary")
    expect(summary).to_contain_text("Enter your full name")
    signup.fill(full_name="Ada Diaz", email="ada")
    signup.choose("headshot", files / "me.jpg")
    expect(summary).to_contain_text("must be an email address")
    expect(signup.field("email")).to_contain_text("must be an email address")
    expect(signup.field("full_name").locator(".problem")).to_have_count(0)
    expect(page.get_by_label("Full name")).not_to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Full name")).to_have_value("Ada Diaz")


def test_a_page_that_is_being_saved_says_so_on_its_button(signup: SignupPage) -> None:
    page = signup.page
    held: list[Route] = []
    page.route("**/", lambda route: held.append(route))  # noqa: PLW0108 - it takes no builtin
    signup.fill(full_name="Ann", email="ann@example.org")
    signup.go_on()
    button = page.get_by_role("button", name="Saving…")
    expect(button).to_have_attribute("aria-busy", "true")
    for each in held:
        each.continue_()
    page.unroute("**/")
    signup.is_at("Your licence")


def test_a_form_is_not_sent_without_a_file_that_was_refused_meanwhile(
    signup: SignupPage, files: Path
) -> None:
    page = signup.page
    signup.fill(full_name="Ann", email="ann@example.org")
    signup.go_on()
    signup.is_at("Your licence")
    signup.choose("licence", files / "licence.pdf")
    signup.go_to("Documents")
    page.get_by_label("What I have given is true").check()
    held = Held(page)
    signup.choose("resume", files / "secret.pdf")
    held.wait()
    signup.go_to("Check and send")
    page.get_by_role("button", name="Send", exact=True).click()
    held.let_go()
    expect(page.get_by_role("alert")).to_contain_text("Not sent", timeout=PATIENCE)
    expect(page.get_by_text("You can send without it.")).to_be_visible()
    page.get_by_role("button", name="Send", exact=True).click()
    signup.is_sent()
    expect(signup.line("secret.pdf")).to_contain_text("Not accepted: ")


def test_without_a_connection_nothing_is_lost_and_files_go_on_by_themselves(
    signup: SignupPage, files: Path
) -> None:
    page = signup.page
    signup.fill(full_name="Ann", email="ann@example.org")
    signup.go_on()
    signup.is_at("Your licence")
    held = Held(page)
    signup.choose("licence", files / "licence.pdf")
    held.wait()
    page.context.set_offline(True)
    expect(page.get_by_text("You are offline")).to_be_visible()
    expect(signup.step("Your licence")).to_contain_text("No connection")
    page.get_by_label("Licence number").fill("LMFT 1")
    signup.go_on()
    expect(page.get_by_role("alert")).to_contain_text("What you typed is still here")
    expect(page.get_by_label("Licence number")).to_have_value("LMFT 1")
    page.unroute(UPLOADS)
    with page.expect_response(_is_save):
        page.context.set_offline(False)
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.get_by_text("You are offline")).to_have_count(0)
    expect(signup.line("licence.pdf")).to_contain_text("Stored", timeout=PATIENCE)
    signup.go_on()
    signup.is_at("Your practice")


def test_after_a_reload_what_was_typed_is_there_and_an_unfinished_file_is_asked_for(
    signup: SignupPage, files: Path
) -> None:
    page = signup.page
    signup.fill(full_name="Ann", email="ann@example.org")
    signup.choose("headshot", files / "me.jpg")
    expect(signup.line("me.jpg")).to_contain_text("Stored", timeout=PATIENCE)
    signup.go_on()
    signup.is_at("Your licence")
    held = Held(page)
    signup.choose("licence", files / "licence.pdf")
    held.wait()
    with page.expect_response(re.compile("/v1/forms/")):  # a rest is enough to save it
        signup.fill(licence_number="LMFT 1")
    page.on("dialog", lambda dialog: dialog.accept())  # bytes are moving: the browser asks
    page.reload()
    page.unroute(UPLOADS)
    expect(page.get_by_label("Licence number")).to_have_value("LMFT 1")
    expect(signup.line("licence.pdf")).to_contain_text("choose it again")
    signup.choose("licence", files / "licence.pdf")
    expect(signup.line("licence.pdf")).to_contain_text("Stored", timeout=PATIENCE)
    signup.go_to("About you")
    expect(signup.line("me.jpg")).to_contain_text("Stored")


def test_what_is_typed_just_before_a_reload_is_there_and_is_saved(signup: SignupPage) -> None:
    page = signup.page
    signup.fill(full_name="Ann", email="ann@example.org")
    signup.go_on()
    signup.is_at("Your licence")
    page.route(
        SAVED, lambda route: route.abort() if route.request.method == "POST" else route.fallback()
    )
    signup.fill(licence_number="LMFT 1")
    page.reload()
    expect(page.get_by_label("Licence number")).to_have_value("LMFT 1")
    page.unroute(SAVED)
    with page.expect_response(_is_save):
        signup.fill(licence_number="LMFT 12")
    page.wait_for_function(
        "() => Object.keys(sessionStorage).every(each => !each.startsWith('signup '))"
    )


def test_a_page_of_a_proxy_is_not_shown_in_place_of_ours(signup: SignupPage) -> None:
    page = signup.page
    signup.fill(full_name="Ann", email="ann@example.org")
    signup.go_to("Check and send")
    page.route("**/signup/practice*", lambda route: route.fulfill(body="<h1>Who are you?</h1>"))
    page.get_by_role("link", name="Add Website").click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("We could not go on: the service can't be reached.")
    signup.is_at("Check and send")
    page.unroute("**/signup/practice*")
    alert.get_by_role("button", name="Try again").click()
    signup.is_at("Your practice")


def test_what_is_chosen_without_a_connection_before_there_is_a_draft_goes_on_by_itself(
    signup: SignupPage, files: Path
) -> None:
    page = signup.page
    signup.fill(full_name="Ann", email="ann@example.org")
    page.context.set_offline(True)
    with page.expect_event("requestfailed"):
        signup.choose("headshot", files / "me.jpg")
    expect(signup.line("me.jpg")).to_contain_text("Waiting")
    page.context.set_offline(False)
    expect(signup.line("me.jpg")).to_contain_text("Stored", timeout=PATIENCE)
    expect(signup.step("About you")).to_contain_text("Done")


@pytest.mark.parametrize("does", ["types", "chooses a file"])
def test_a_tab_whose_form_was_sent_in_another_shows_the_end(
    signup: SignupPage, context: BrowserContext, files: Path, does: str
) -> None:
    signup.fill(full_name="Ann", email="ann@example.org")
    signup.go_on()
    signup.is_at("Your licence")
    signup.choose("licence", files / "licence.pdf")
    expect(signup.line("licence.pdf")).to_contain_text("Stored", timeout=PATIENCE)
    left = SignupPage(context.new_page()).open()
    left.go_to("Your licence")
    signup.go_to("Documents")
    signup.page.get_by_label("What I have given is true").check()
    signup.go_on()
    signup.page.get_by_role("button", name="Send", exact=True).click()
    signup.is_sent()
    if does == "types":
        left.fill(licence_number="LMFT 1")
    else:
        left.choose("certificates", files / "me.jpg")
    left.is_sent()


def test_a_second_tab_has_the_same_form_and_overwrites_nothing_it_didnt_touch(
    signup: SignupPage, context: BrowserContext
) -> None:
    signup.fill(full_name="Ann")
    signup.go_on()
    signup.is_at("Your licence")
    other = SignupPage(context.new_page()).open()
    expect(other.page.get_by_label("Full name")).to_have_value("Ann")
    signup.go_to("About you")
    signup.fill(full_name="Ann Later")
    signup.go_to("Your practice")
    other.go_on()
    other.is_at("Your licence")
    signup.go_to("About you")
    expect(signup.page.get_by_label("Full name")).to_have_value("Ann Later")


def test_choosing_a_file_and_going_on_at_once_begins_one_draft(
    signup: SignupPage, files: Path
) -> None:
    page = signup.page
    began: list[str] = []
    page.on(
        "request",
        lambda each: (
            began.append(each.url) if each.method == "POST" and each.url.endswith("/") else None
        ),
    )
    signup.fill(full_name="Ann", email="ann@example.org")
    signup.choose("headshot", files / "me.jpg")
    signup.go_on()
    signup.is_at("Your licence")
    assert len(began) == 1
    signup.go_to("About you")
    expect(signup.line("me.jpg")).to_contain_text("Stored", timeout=PATIENCE)


def test_the_whole_signup_goes_by_keyboard(signup: SignupPage, files: Path) -> None:
    page = signup.page
    keyboard = page.keyboard

    def tab_to(selector: str, *, back: bool = False) -> None:
        for _ in range(60):
            if page.locator(selector).evaluate("each => each === document.activeElement"):
                return
            keyboard.press("Shift+Tab" if back else "Tab")
        pytest.fail(f"Tab never comes to {selector}")

    def choose(selector: str, file: Path) -> None:
        tab_to(selector)
        for _ in range(10):  # Chromium opens none while the one before is closing
            with contextlib.suppress(Late):
                with page.expect_file_chooser(timeout=2_000) as chooser:
                    keyboard.press("Enter")
                chooser.value.set_files(file)
                return
        pytest.fail("no file can be chosen")

    tab_to("#full_name")
    keyboard.type("Ann")
    tab_to("#email")
    keyboard.type("ann@example.org")
    choose("#headshot", files / "tiny.jpg")
    expect(signup.line("tiny.jpg")).to_contain_text("at least 400")
    choose("#headshot", files / "me.jpg")
    tab_to("button.main")
    keyboard.press("Enter")
    signup.is_at("Your licence")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    choose("#licence", files / "licence.pdf")
    page.get_by_role("heading", level=1).focus()
    tab_to(".steps button[value=documents]", back=True)
    keyboard.press("Enter")
    signup.is_at("Documents")
    tab_to("#agree")
    keyboard.press("Space")
    keyboard.press("Enter")
    signup.is_at("Check and send")
    tab_to("#send button")
    keyboard.press("Enter")
    signup.is_sent()
