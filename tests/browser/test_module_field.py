"""`<longshore-file>` as a person meets it: choosing, being told, mending, taking away."""

import base64
import json
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Page, Route, expect

from api.texts.sizes import size
from tests.support.client import FormClient
from tests.support.examples import example
from tests.support.files import jpeg, pdf, png
from tests.support.module_page import (
    choose,
    field,
    heard,
    line,
    on_sending,
    payload,
    show,
    uploads,
    wait_for,
)
from tests.support.stack import CHECKOUT, Stack

pytestmark = pytest.mark.parametrize("stack", ["sqlite"], indirect=True)

GOOD = ("me.jpg", jpeg(500, 500))
TOO_SMALL = ("tiny.jpg", jpeg())
SAYS_TOO_SMALL = "The selected image must be at least 400 × 400 pixels"
SECRET = ("secret.pdf", pdf(password="x"))
SAYS_ENCRYPTED = "The selected file is password protected: save it without a password"


def values(page: Page, name: str) -> list[str]:
    """What the form would send for the field."""
    found: list[str] = page.evaluate(
        "name => new FormData(application).getAll(name).map(String)", name
    )
    return found


def in_state(page: Page, state: str) -> bool:
    return bool(page.locator(f"longshore-file:state({state})").count())


def drop(page: Page, kind: str, *files: tuple[str, bytes]) -> None:
    """Drop files on the field, or paste them into it."""
    page.evaluate(
        """([kind, files]) => {
          const transfer = new DataTransfer();
          for (const [name, content] of files) {
            const bytes = Uint8Array.from(atob(content), (each) => each.charCodeAt());
            transfer.items.add(new File([bytes], name));
          }
          const Kind = kind === 'paste' ? ClipboardEvent : DragEvent;
          const event = new Kind(kind, {bubbles: true, cancelable: true, dataTransfer: transfer, clipboardData: transfer});
          document.querySelector('longshore-file button').dispatchEvent(event);
        }""",
        [kind, [[name, base64.b64encode(content).decode()] for name, content in files]],
    )


@pytest.mark.parametrize(
    ("name", "file", "said"),
    [
        ("headshot", TOO_SMALL, SAYS_TOO_SMALL),
        ("headshot", ("notes.jpg", b"Dear all,"), "The selected file must be a JPG, PNG, WebP or HEIC"),
        ("headshot", ("empty.jpg", b""), "The selected file is empty"),
        ("resume", ("sums.xlsx", b"PK\x03\x04 xl/workbook.xml"), "The selected file must be a PDF, DOCX or ODT"),
    ],
)  # fmt: skip
def test_what_a_field_refuses_is_told_in_its_words_before_a_byte_is_sent(
    page: Page, signup: FormClient, name: str, file: tuple[str, bytes], said: str
) -> None:
    sent: list[str] = []
    on_sending(page, lambda route: sent.append(route.request.url))
    show(page, signup, field(signup, name))
    choose(page, name, file)
    wait_for(page, file[0], "rejected")
    expect(line(page, file[0])).to_contain_text(said)
    expect(page.get_by_role("button", name="Choose another file")).to_have_accessible_description(
        said
    )
    assert heard(page, "reject")[0]["problem"]["detail"] == said
    assert sent == []
    assert in_state(page, "rejected")


def test_a_file_that_is_too_large_is_refused_whatever_it_is(page: Page, form: FormClient) -> None:
    show(page, form, field(form, "tiny"))
    choose(page, "tiny", ("big.png", png() + bytes(3_000)))
    wait_for(page, "big.png", "rejected")
    expect(line(page, "big.png")).to_contain_text("The selected file must be smaller than 2 KB")
    assert form.read()["uploads"]["tiny"] == []


def test_a_size_is_said_as_the_service_says_it(page: Page, signup: FormClient) -> None:
    counts = [
        0,
        1,
        537,
        999,
        1_000,
        1_150,
        1_250,
        999_949,
        999_950,
        15_000_000,
        999_950_000,
        10**12,
    ]
    show(page, signup, field(signup, "certificates"))
    page.evaluate(
        """(counts) => document.querySelector('longshore-file').choose(counts.map((size, at) =>
          Object.defineProperty(new File([], `${at}.pdf`), 'size', {value: size})))""",
        counts,
    )
    expect(page.locator("li .size")).to_have_text([size(count) for count in counts])


def test_a_name_with_another_ending_is_no_reason_to_refuse(page: Page, signup: FormClient) -> None:
    show(page, signup, field(signup, "headshot"))
    choose(page, "headshot", ("me.heic", png(500, 500)), kind="image/heic")
    wait_for(page, "me.heic", "stored")


def test_a_late_refusal_is_told_and_replaced_in_place(page: Page, signup: FormClient) -> None:
    show(page, signup, field(signup, "certificates"))
    choose(page, "certificates", ("a.pdf", pdf()), SECRET, ("c.pdf", pdf(pages=3)))
    wait_for(page, "secret.pdf", "rejected")
    expect(line(page, "secret.pdf")).to_contain_text(SAYS_ENCRYPTED)
    assert heard(page, "reject")[0]["problem"]["code"] == "file-encrypted"
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Replace secret.pdf").click()
    chooser.value.set_files(payload("open.pdf", pdf(pages=2)))
    wait_for(page, "open.pdf", "stored")
    expect(page.locator("li .filename")).to_have_text(["a.pdf", "open.pdf", "c.pdf"])
    expect(page.get_by_role("button", name="Choose another file")).to_have_accessible_description(
        ""
    )


def test_a_field_for_one_file_shows_one_history_and_keeps_what_is_good(
    page: Page, signup: FormClient
) -> None:
    show(page, signup, field(signup, "licence"))
    choose(page, "licence", ("good.pdf", pdf()))
    wait_for(page, "good.pdf", "stored")
    for number in (1, 2):
        choose(page, "licence", (f"secret-{number}.pdf", pdf(password="x")))
        wait_for(page, f"secret-{number}.pdf", "rejected")
    expect(page.locator("li .filename")).to_have_text(["good.pdf", "secret-2.pdf"])
    page.reload()
    expect(page.locator("li .filename")).to_have_text(["good.pdf", "secret-2.pdf"])
    page.get_by_role("button", name="Remove secret-2.pdf").click()
    expect(page.locator("li .filename")).to_have_text(["good.pdf"])
    choose(page, "licence", ("better.pdf", pdf(pages=2)))
    wait_for(page, "better.pdf", "stored")
    expect(page.locator("li .filename")).to_have_text(["better.pdf"])
    held: list[Route] = []
    on_sending(page, held.append)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Replace better.pdf").click()
    chooser.value.set_files(payload("best.pdf", pdf(pages=3)))
    wait_for(page, "best.pdf", "uploading")
    expect(page.locator("li .filename")).to_have_text(["better.pdf", "best.pdf"])
    held[0].continue_()
    wait_for(page, "best.pdf", "stored")
    expect(page.locator("li .filename")).to_have_text(["best.pdf"])


def test_the_pages_own_error_goes_once_it_is_mended(page: Page, signup: FormClient) -> None:
    said = '<p class="problem" id="said">Choose a copy of your licence</p>'
    show(page, signup, field(signup, "licence", within=said))
    choose(page, "licence", ("notes.pdf", b"Dear all,"))
    wait_for(page, "notes.pdf", "rejected")
    expect(page.locator("#said")).to_be_visible()
    choose(page, "licence", ("licence.pdf", pdf()))
    expect(page.locator("#said")).to_have_count(0)


def test_more_files_than_the_field_takes_are_told_so(page: Page, form: FormClient) -> None:
    body = field(form, "pair", "multiple") + field(form, "needed")
    show(page, form, body)
    drop(page, "drop", *((f"{number}.png", png(40, number)) for number in (40, 41, 42)))
    wait_for(page, "40.png", "stored")
    wait_for(page, "41.png", "stored")
    expect(line(page, "42.png")).to_contain_text("You can only select up to 2 files")
    page.evaluate("document.querySelector('longshore-file').remove()")
    drop(page, "drop", ("1.png", png()), ("2.png", png(41)))
    expect(line(page, "2.png")).to_contain_text("You can only select one file")
    assert uploads(form, "needed") == []


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_files_can_be_dropped_and_pasted(page: Page, signup: FormClient, kind: str) -> None:
    show(page, signup, field(signup, "headshot"))
    if kind == "drop":
        drop(page, "dragover", GOOD)
        assert in_state(page, "dragging")
    drop(page, kind, GOOD)
    assert not in_state(page, "dragging")
    wait_for(page, "me.jpg", "stored")


def test_everything_can_be_done_by_keyboard(page: Page, signup: FormClient) -> None:
    page.on("filechooser", lambda _: None)  # taken over once: to do it anew races with the key
    show(page, signup, field(signup, "headshot", "required"))
    page.keyboard.press("Tab")
    button = page.get_by_role("button", name="File for headshot Choose a file")
    expect(button).to_be_focused()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(payload(*TOO_SMALL))
    wait_for(page, "tiny.jpg", "rejected")
    expect(button.or_(page.locator("button.choose")).first).to_have_accessible_name(
        "File for headshot Choose another file tiny.jpg"
    )
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Replace tiny.jpg")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Remove tiny.jpg")).to_be_focused()
    page.keyboard.press("Space")
    expect(line(page, "tiny.jpg")).to_have_count(0)
    expect(button).to_be_focused()
    with page.expect_file_chooser() as again:
        page.keyboard.press("Space")
    again.value.set_files(payload(*GOOD))
    wait_for(page, "me.jpg", "stored")


def test_the_focus_is_never_lost_when_a_button_goes(page: Page, signup: FormClient) -> None:
    held: list[Route] = []
    on_sending(page, held.append)
    show(page, signup, field(signup, "headshot"))
    choose(page, "headshot", GOOD)
    page.get_by_role("button", name="Pause me.jpg").focus()
    page.wait_for_timeout(0)
    expect(line(page, "me.jpg", "uploading")).to_have_count(1)
    for each in held:
        each.continue_()
    wait_for(page, "me.jpg", "stored")
    expect(page.get_by_role("button", name="Remove me.jpg")).to_be_focused()


def test_the_label_and_the_links_of_a_summary_lead_to_the_button(
    page: Page, signup: FormClient
) -> None:
    show(page, signup, '<a href="#headshot">Mend it</a>' + field(signup, "headshot"))
    page.get_by_role("link", name="Mend it").click()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    expect(page.get_by_role("button", name="File for headshot")).to_be_focused()
    with page.expect_file_chooser():
        page.get_by_text("File for headshot").click()


def test_the_same_file_can_be_chosen_again_after_it_was_removed(
    page: Page, signup: FormClient
) -> None:
    show(page, signup, field(signup, "headshot"))
    for _ in range(2):
        choose(page, "headshot", GOOD)
        wait_for(page, "me.jpg", "stored")
        with page.expect_response(lambda answer: answer.request.method == "DELETE"):
            page.get_by_role("button", name="Remove me.jpg").click()
        expect(line(page, "me.jpg")).to_have_count(0)
        expect(page.get_by_role("button", name="File for headshot")).to_have_text("Choose a file")
    expect(page.locator("input[type=file]")).to_be_hidden()  # it would say what isn't so
    expect(page.locator("longshore-file [role=status]")).to_contain_text("me.jpg: Removed")
    assert uploads(signup, "headshot") == []


def test_what_cant_be_removed_comes_back_and_says_why(page: Page, signup: FormClient) -> None:
    show(page, signup, field(signup, "headshot"))
    choose(page, "headshot", GOOD)
    wait_for(page, "me.jpg", "stored")
    refusal = {"code": "form-submitted", "detail": "The form was submitted and is closed."}
    page.route("**/v1/uploads/*", lambda route: route.fulfill(status=409, json=refusal))
    with page.expect_response(lambda answer: answer.status == 409):
        page.get_by_role("button", name="Remove me.jpg").click()
    wait_for(page, "me.jpg", "stored")
    assert heard(page, "error")[-1]["problem"]["code"] == "form-submitted"


def test_a_name_is_text_whatever_is_in_it(page: Page, signup: FormClient) -> None:
    show(page, signup, field(signup, "headshot"))
    name = "<img src=x onerror=alert(1)>.jpg"
    choose(page, "headshot", (name, GOOD[1]))
    wait_for(page, name, "stored")
    expect(page.locator("longshore-file .filename")).to_have_text(name)
    expect(page.locator("longshore-file [src=x]")).to_have_count(0)
    page.reload()
    wait_for(page, name, "stored")


def test_a_picture_of_the_file_is_shown_before_and_after_a_reload(
    browser: Browser, stack: Stack, signup: FormClient
) -> None:
    context = browser.new_context(base_url=stack.url, permissions=["local-network-access"])
    page = context.new_page()
    policy = {"Content-Security-Policy": "default-src 'self'; img-src blob: http://127.0.0.1:*"}
    show(page, signup, field(signup, "headshot", "preview"), policy=policy)
    choose(page, "headshot", GOOD)
    expect(page.locator("img.preview")).to_be_visible()
    wait_for(page, "me.jpg", "stored")
    page.reload()
    expect(page.locator("img.preview")).to_be_visible()
    assert page.locator("img.preview").evaluate("each => each.naturalWidth") == 200
    context.close()


def test_what_is_stored_can_be_fetched_from_its_name(page: Page, signup: FormClient) -> None:
    show(page, signup, field(signup, "licence"))
    choose(page, "licence", ("licence.pdf", pdf()))
    wait_for(page, "licence.pdf", "stored")
    with page.expect_download() as download:
        page.get_by_role("link", name="licence.pdf").click()
    assert Path(download.value.path()).read_bytes() == pdf()


def test_the_field_takes_part_in_its_form(page: Page, signup: FormClient) -> None:
    held: list[Route] = []
    on_sending(page, held.append)
    body = f"<fieldset>{field(signup, 'licence', 'required')}</fieldset>"
    show(page, signup, body)
    valid = "application.checkValidity()"
    assert page.evaluate(valid) is False
    assert values(page, "licence") == []
    choose(page, "licence", ("licence.pdf", pdf()))
    wait_for(page, "licence.pdf", "uploading")
    assert in_state(page, "uploading")
    assert page.evaluate(valid) is False  # leaving now would cut it off
    for each in held:
        each.continue_()
    wait_for(page, "licence.pdf", "stored")
    assert page.evaluate(valid) is True
    assert in_state(page, "stored")
    assert values(page, "licence") == [each["id"] for each in uploads(signup, "licence")]
    page.evaluate("document.querySelector('fieldset').disabled = true")
    expect(page.get_by_role("button", name="File for licence")).to_be_disabled()
    assert values(page, "licence") == []


def test_a_page_may_begin_its_form_when_a_file_is_chosen_or_refuse_it(
    page: Page, signup: FormClient
) -> None:
    script = f"""
    addEventListener('longshore-select', (event) => {{
      if (event.detail.files[0].name === 'no.jpg') event.preventDefault();
      else event.detail.waitUntil(new Promise((begun) => setTimeout(begun, 50, '{signup.path}')));
    }});"""
    body = field(signup, "headshot", 'policy="/v1/form-types/therapist_signup"')
    show(page, signup, body.replace(f'form-url="{signup.path}"', ""), script=script)
    choose(page, "headshot", ("no.jpg", GOOD[1]))
    choose(page, "headshot", GOOD)
    wait_for(page, "me.jpg", "stored")
    expect(page.locator("li")).to_have_count(1)


def test_all_fields_of_a_page_share_the_form_that_the_first_file_begins(
    page: Page, signup: FormClient, stack: Stack
) -> None:
    begin = example(CHECKOUT / "docs/browser.md", "begin.js")
    begin = begin.replace("https://files.example.org", stack.url)
    without = field(signup, "licence") + field(signup, "headshot")
    without = without.replace(
        f'form-url="{signup.path}"', 'policy="/v1/form-types/therapist_signup"'
    )
    show(page, signup, without, script=begin)
    choose(page, "licence", ("licence.pdf", pdf()))
    choose(page, "headshot", GOOD)
    wait_for(page, "licence.pdf", "stored")
    wait_for(page, "me.jpg", "stored")
    begun = page.evaluate("longshore.uploads.list().map((each) => each.form.url)")
    assert len(begun) == 2
    assert len(set(begun)) == 1


def test_a_file_of_one_field_is_used_in_another_without_being_sent_again(
    page: Page, signup: FormClient, stack: Stack
) -> None:
    reuse = example(CHECKOUT / "docs/browser.md", "reuse.js")
    reuse = reuse.replace("https://files.example.org", stack.url) + "window.reuse = reuse;"
    show(page, signup, field(signup, "licence") + field(signup, "resume"), script=reuse)
    choose(page, "licence", ("licence.pdf", pdf()))
    wait_for(page, "licence.pdf", "stored")
    again = f"""id => {{
      const [{{ form }}] = document.querySelector('[name=licence]').uploads;
      return reuse({{ form, id }}, 'resume', '{signup.token}');
    }}"""
    page.evaluate(again, signup.read()["uploads"]["licence"][0]["id"])
    other = page.locator("longshore-file[name=resume] li")
    expect(other).to_contain_text("Stored")
    expect(other).to_contain_text("licence.pdf")
    with pytest.raises(Error, match="no such"):
        page.evaluate(again, "upl_of_another_form")


def test_what_is_chosen_together_goes_to_one_form(
    page: Page, signup: FormClient, stack: Stack
) -> None:
    other = FormClient(stack.url)
    script = f"""
    document.addEventListener('longshore-status', ({{target}}) => {{
      target.setAttribute('form-url', '{other.path}');
    }}, {{once: true}});"""
    show(page, signup, field(signup, "certificates"), script=script)
    choose(page, "certificates", ("a.pdf", pdf()), ("b.pdf", pdf(pages=2)))
    page.wait_for_function(
        """() => {
          const all = longshore.uploads.list();
          return all.length === 2 && all.every((each) => each.record);
        }"""
    )
    names = sorted(each["filename"] for each in uploads(signup, "certificates"))
    assert names == ["a.pdf", "b.pdf"]


def test_the_pages_own_list_stands_until_the_record_is_read(page: Page, signup: FormClient) -> None:
    signup.stored("headshot", GOOD[1], filename="me.jpg")
    own = '<ul class="files"><li>me.jpg, as the server wrote it</li></ul>'
    held: list[Route] = []
    page.route(f"**{signup.path}", lambda route: held.append(route))  # noqa: PLW0108 - it writes on its handlers
    show(page, signup, field(signup, "headshot", within=own))
    expect(page.locator("ul.files li")).to_have_text(["me.jpg, as the server wrote it"])
    for _ in range(300):
        if held:
            break
        page.wait_for_timeout(20)
    held[0].continue_()
    wait_for(page, "me.jpg", "stored")
    expect(page.locator("ul.files")).to_have_count(1)
    expect(page.locator("li")).to_have_count(1)


def test_texts_are_those_of_the_pages_language(page: Page, signup: FormClient) -> None:
    texts = {
        "de": {
            "choose": "Datei wählen",
            "another": "Andere Datei wählen",
            "stored": "Gespeichert",
            "remove": "Entfernen:",
            "file-encrypted": "Die Datei hat ein Kennwort",
        }
    }
    script = f"longshore.configure({{texts: {json.dumps(texts)}}});"
    show(page, signup, field(signup, "licence", 'locale="de"'), script=script)
    choose(page, "licence", SECRET)
    wait_for(page, "secret.pdf", "rejected")
    expect(line(page, "secret.pdf")).to_contain_text("Die Datei hat ein Kennwort")
    expect(page.get_by_role("button", name="Entfernen: secret.pdf")).to_be_visible()
    expect(page.get_by_role("button", name="Andere Datei wählen")).to_be_visible()


def test_an_element_may_come_before_its_input(page: Page, signup: FormClient) -> None:
    show(page, signup, field(signup, "licence"))
    page.evaluate(
        """(markup) => {
          const element = document.createElement('longshore-file');
          application.append(element);
          element.innerHTML = '<label for=late>Later</label><input type=file id=late name=licence>';
          element.setAttribute('form-url', markup);
        }""",
        signup.path,
    )
    expect(page.get_by_role("button", name="Later Choose a file")).to_be_visible()


def test_without_the_script_it_is_a_plain_input(page: Page, signup: FormClient) -> None:
    page.route("**/longshore.js", lambda route: route.abort())
    page.route(
        "**/plain",
        lambda route: route.fulfill(body=field(signup, "headshot"), content_type="text/html"),
    )
    page.goto("/plain")
    expect(page.get_by_label("File for headshot")).to_have_attribute("type", "file")
