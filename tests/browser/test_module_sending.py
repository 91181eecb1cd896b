"""`longshore.js` against a running stack: what was chosen arrives once, whatever happens meanwhile."""

import hashlib
import re

import pytest
from playwright.sync_api import Browser, Dialog, Page, Route, expect

from dev.ports import free_port
from tests.support.client import FormClient
from tests.support.files import jpeg, pdf
from tests.support.module_page import (
    PATIENCE,
    choose,
    field,
    heard,
    line,
    on_sending,
    show,
    uploads,
    wait_for,
)
from tests.support.stack import Stack

pytestmark = pytest.mark.parametrize("stack", ["sqlite"], indirect=True)

ONE_MEGABIT = 125_000


class Held:
    """Requests that send a file, kept back until they are let go."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.routes: list[Route] = []
        on_sending(page, self.routes.append)

    def wait(self, number: int) -> None:
        for _ in range(300):
            if len(self.routes) >= number:
                return
            self._page.wait_for_timeout(20)
        raise AssertionError(f"{len(self.routes)} of {number} files are on their way")

    def let_go(self) -> None:
        for each in self.routes:
            each.continue_()
        self._page.unroute("**/fields/*/uploads")


def stored(form: FormClient, name: str) -> list[str]:
    return [each["filename"] for each in uploads(form, name) if each["status"] == "stored"]


def test_a_file_is_sent_and_stored_with_its_digest_and_a_key(
    page: Page, signup: FormClient
) -> None:
    sent: list[dict[str, str]] = []
    page.on("request", lambda r: sent.append(r.headers) if r.method == "POST" else None)
    show(page, signup, field(signup, "headshot"))
    choose(page, "headshot", ("me.jpg", jpeg(500, 500)))
    wait_for(page, "me.jpg", "stored")
    (headers,) = sent
    assert headers["repr-digest"].startswith("sha-256=:")
    assert re.fullmatch(r"[0-9a-f]{32}", headers["idempotency-key"])
    assert signup.read()["data"]["headshot"]


def test_progress_is_told_in_two_phases_and_to_a_screen_reader_in_quarters(
    page: Page, signup: FormClient
) -> None:
    large = jpeg(1200, 1200)
    show(page, signup, field(signup, "headshot"))
    devtools = page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1}
    devtools.send("Network.emulateNetworkConditions", {**slow, "uploadThroughput": 4 * ONE_MEGABIT})
    choose(page, "headshot", ("me.jpg", large))
    bar = line(page, "me.jpg").get_by_role("progressbar", name="me.jpg")
    expect(bar).to_have_attribute("value", re.compile(r"0\.[1-9]"))
    expect(line(page, "me.jpg")).to_contain_text(re.compile(r"Uploading \d+ %"))
    wait_for(page, "me.jpg", "stored")
    loaded = [each["loaded"] for each in heard(page, "progress")]
    assert loaded == sorted(loaded)
    assert loaded[-1] == len(large)
    said = page.locator("longshore-file [role=status] p").all_inner_texts()
    quarters = [each for each in said if "%" in each]
    assert len(quarters) == len(set(quarters)) <= 4
    assert said[-2:] == ["me.jpg: Checking…", "me.jpg: Stored"]


def test_offline_pauses_and_online_goes_on(page: Page, signup: FormClient) -> None:
    show(page, signup, field(signup, "headshot"))
    page.context.set_offline(True)
    choose(page, "headshot", ("me.jpg", jpeg(500, 500)))
    wait_for(page, "me.jpg", "offline")
    expect(line(page, "me.jpg")).to_contain_text("No connection")
    page.context.set_offline(False)
    wait_for(page, "me.jpg", "stored")
    assert stored(signup, "headshot") == ["me.jpg"]


def test_going_offline_in_the_middle_loses_and_doubles_nothing(
    page: Page, signup: FormClient
) -> None:
    show(page, signup, field(signup, "certificates"))
    held = Held(page)
    choose(page, "certificates", ("a.pdf", pdf()), ("b.pdf", pdf(pages=2)))
    held.wait(2)
    page.context.set_offline(True)
    wait_for(page, "a.pdf", "offline")
    page.unroute("**/fields/*/uploads")
    page.context.set_offline(False)
    wait_for(page, "a.pdf", "stored")
    wait_for(page, "b.pdf", "stored")
    assert sorted(stored(signup, "certificates")) == ["a.pdf", "b.pdf"]


def test_an_answer_that_got_lost_doubles_nothing(page: Page, signup: FormClient) -> None:
    show(page, signup, field(signup, "certificates"))
    keys: list[str] = []

    def lose_first(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) > 1:
            route.continue_()
            return
        assert route.fetch().status == 202
        route.abort()

    on_sending(page, lose_first)
    choose(page, "certificates", ("a.pdf", pdf()))
    wait_for(page, "a.pdf", "stored")
    assert len(uploads(signup, "certificates")) == 1
    assert len(set(keys)) == 1


def test_what_passes_is_tried_again(page: Page, signup: FormClient) -> None:
    show(page, signup, field(signup, "certificates"))
    refusals = {f"{status}.pdf": status for status in (408, 425, 429, 500, 503)}

    def refuse_each_once(route: Route) -> None:
        body = route.request.post_data_buffer or b""
        (name,) = [each for each in (*refusals, "") if each.encode() in body][:1]
        if name:
            route.fulfill(status=refusals.pop(name))
        else:
            route.continue_()

    on_sending(page, refuse_each_once)
    files = [(name, pdf(pages=number + 1)) for number, name in enumerate(refusals)]
    choose(page, "certificates", *files)
    expect(page.locator("li[data-status=stored]")).to_have_count(5, timeout=PATIENCE)
    assert not refusals


def test_retry_after_is_heeded(page: Page, signup: FormClient) -> None:
    page.clock.install()
    show(page, signup, field(signup, "headshot"))
    tries: list[str] = []

    def refuse(route: Route) -> None:
        tries.append(route.request.url)
        route.fulfill(status=503, headers={"Retry-After": "100"})

    on_sending(page, refuse)
    with page.expect_response("**/fields/*/uploads"):
        choose(page, "headshot", ("me.jpg", jpeg(500, 500)))
    wait_for(page, "me.jpg", "waiting")
    page.clock.run_for(99_000)
    assert len(tries) == 1
    with page.expect_request("**/fields/*/uploads"):
        page.clock.run_for(2_000)


def test_other_refusals_are_not_tried_again_and_are_told(page: Page, signup: FormClient) -> None:
    show(page, signup, field(signup, "headshot"))
    signup.http.delete(signup.path)
    choose(page, "headshot", ("me.jpg", jpeg(500, 500)))
    wait_for(page, "me.jpg", "failed")
    expect(line(page, "me.jpg")).to_contain_text("There is nothing here, or it is not yours.")
    assert heard(page, "error")[-1]["problem"]["code"] == "not-found"


def test_an_upload_that_cant_be_followed_says_so_until_its_form_opens_again(
    page: Page, signup: FormClient, stack: Stack
) -> None:
    another = FormClient(stack.url)
    sending_only = f"""
    longshore.configure({{headers: (url) => ({{
      Authorization: 'Bearer ' + (url.endsWith('/uploads') ? '{signup.token}' : '{another.token}'),
    }})}});"""
    show(page, signup, field(signup, "licence"), script=sending_only)
    choose(page, "licence", ("licence.pdf", pdf()))
    wait_for(page, "licence.pdf", "failed")
    expect(line(page, "licence.pdf")).to_contain_text("There is nothing here")
    page.evaluate(
        "(token) => longshore.configure({headers: {Authorization: `Bearer ${token}`}})",
        signup.token,
    )
    wait_for(page, "licence.pdf", "stored")


def test_three_files_are_sent_at_a_time(page: Page, signup: FormClient) -> None:
    show(page, signup, field(signup, "certificates"))
    held = Held(page)
    files = [(f"{number}.pdf", pdf(pages=number)) for number in range(1, 6)]
    choose(page, "certificates", *files)
    held.wait(3)
    expect(page.locator("li[data-status=uploading]")).to_have_count(3)
    expect(page.locator("li[data-status=waiting]")).to_have_count(2)
    held.let_go()
    expect(page.locator("li[data-status=stored]")).to_have_count(5, timeout=PATIENCE)


def test_an_upload_can_be_paused_resumed_and_cancelled(page: Page, signup: FormClient) -> None:
    show(page, signup, field(signup, "certificates"))
    held = Held(page)
    choose(page, "certificates", ("a.pdf", pdf()), ("b.pdf", pdf(pages=2)))
    held.wait(2)
    page.get_by_role("button", name="Pause a.pdf").click()
    expect(line(page, "a.pdf")).to_contain_text("Paused")
    page.get_by_role("button", name="Cancel b.pdf").click()
    expect(line(page, "b.pdf")).to_have_count(0)
    page.unroute("**/fields/*/uploads")
    page.get_by_role("button", name="Resume a.pdf").click()
    wait_for(page, "a.pdf", "stored")
    assert stored(signup, "certificates") == ["a.pdf"]


HOLD_HASHING = """
const digest = crypto.subtle.digest.bind(crypto.subtle);
window.hashing = [];
crypto.subtle.digest = (...what) =>
  new Promise((go) => hashing.push(go)).then(() => digest(...what));
"""


def hold_hashing(page: Page, number: int) -> None:
    """Wait until so many files are being hashed: none gets further by itself."""
    page.wait_for_function("number => hashing.length >= number", arg=number)


def test_what_is_cancelled_or_paused_while_it_is_hashed_is_not_sent(
    page: Page, signup: FormClient
) -> None:
    page.add_init_script(HOLD_HASHING)
    sent: list[bytes] = []
    page.on(
        "request", lambda r: sent.append(r.post_data_buffer or b"") if r.method == "POST" else None
    )
    show(page, signup, field(signup, "certificates"))
    names = ("cancelled.pdf", "paused.pdf", "resumed.pdf")
    choose(page, "certificates", *[(name, pdf(pages=at + 1)) for at, name in enumerate(names)])
    hold_hashing(page, 3)
    page.get_by_role("button", name="Cancel cancelled.pdf").click()
    page.get_by_role("button", name="Pause paused.pdf").click()
    page.get_by_role("button", name="Pause resumed.pdf").click()
    page.get_by_role("button", name="Resume resumed.pdf").click()
    page.evaluate("hashing.forEach((go) => go())")
    wait_for(page, "resumed.pdf", "stored")
    expect(line(page, "paused.pdf", "paused")).to_have_count(1)
    assert [name for each in sent for name in names if name.encode() in each] == ["resumed.pdf"]
    assert stored(signup, "certificates") == ["resumed.pdf"]


def test_what_is_replaced_while_it_is_hashed_does_not_win(page: Page, signup: FormClient) -> None:
    page.add_init_script(HOLD_HASHING)
    show(page, signup, field(signup, "headshot"))
    choose(page, "headshot", ("wrong.jpg", jpeg(500, 500)))
    hold_hashing(page, 1)
    choose(page, "headshot", ("right.jpg", jpeg(510, 510)))
    hold_hashing(page, 2)
    page.evaluate("hashing.reverse().forEach((go) => go())")
    wait_for(page, "right.jpg", "stored")
    assert [each["filename"] for each in uploads(signup, "headshot")] == ["right.jpg"]


def test_an_answer_for_what_was_cancelled_takes_it_away(page: Page, signup: FormClient) -> None:
    script = """
    longshore.configure({transports: {async deaf(file, {url, headers}) {
      const answer = await fetch(`${url}/${headers['Idempotency-Key']}`, {method: 'PUT', body: file, headers});
      await new Promise((go) => (window.answer = go));
      return answer.json();
    }}});"""
    show(page, signup, field(signup, "licence", 'transport="deaf"'), script=script)
    choose(page, "licence", ("licence.pdf", pdf()))
    page.wait_for_function("() => window.answer")
    page.get_by_role("button", name="Cancel licence.pdf").click()
    with page.expect_response(lambda response: response.request.method == "DELETE"):
        page.evaluate("answer()")
    expect(page.locator("longshore-file li")).to_have_count(0)
    assert stored(signup, "licence") == []


def test_moving_between_sections_aborts_nothing(page: Page, signup: FormClient) -> None:
    show(page, signup, field(signup, "headshot"))
    held = Held(page)
    choose(page, "headshot", ("me.jpg", jpeg(500, 500)))
    held.wait(1)
    page.evaluate(
        "window.section = document.querySelector('longshore-file'); section.replaceWith('another')"
    )
    held.let_go()
    page.evaluate("document.querySelector('form').replaceChildren(section)")
    wait_for(page, "me.jpg", "stored")
    assert stored(signup, "headshot") == ["me.jpg"]


def test_another_element_of_the_same_field_takes_over(page: Page, signup: FormClient) -> None:
    show(page, signup, field(signup, "headshot"))
    held = Held(page)
    choose(page, "headshot", ("me.jpg", jpeg(500, 500)))
    held.wait(1)
    page.evaluate("html => { application.innerHTML = html }", field(signup, "headshot"))
    wait_for(page, "me.jpg", "uploading")
    held.let_go()
    wait_for(page, "me.jpg", "stored")


def test_after_a_reload_only_what_was_cut_off_is_asked_for_again(
    page: Page, signup: FormClient
) -> None:
    show(page, signup, field(signup, "certificates"))
    choose(page, "certificates", ("here.pdf", pdf()))
    wait_for(page, "here.pdf", "stored")
    held = Held(page)
    choose(page, "certificates", ("cut-off.pdf", pdf(pages=2)))
    held.wait(1)
    page.unroute("**/fields/*/uploads")
    page.reload()
    wait_for(page, "here.pdf", "stored")
    wait_for(page, "cut-off.pdf", "unsent")
    expect(line(page, "cut-off.pdf")).to_contain_text("Not sent: choose it again")
    choose(page, "certificates", ("cut-off.pdf", pdf(pages=2)))
    wait_for(page, "cut-off.pdf", "stored")
    assert sorted(stored(signup, "certificates")) == ["cut-off.pdf", "here.pdf"]
    page.reload()
    expect(page.locator("li[data-status=stored]")).to_have_count(2)
    expect(page.locator("li")).to_have_count(2)


def test_another_file_of_the_same_name_and_size_is_not_taken_for_one_that_was_cut_off(
    page: Page, signup: FormClient
) -> None:
    """Not in the record, where another tab has sent it, and not where it is chosen in its place."""
    mine, others, chosen = (pdf() + each for each in (b"% 1", b"% 2", b"% 3"))
    show(page, signup, field(signup, "certificates"))
    held = Held(page)
    choose(page, "certificates", ("a.pdf", mine))
    held.wait(1)
    taken = held.routes[0].fetch().json()  # its answer never comes
    assert signup.http.delete(taken["url"]).status_code == 204
    signup.stored("certificates", others, filename="a.pdf")
    page.unroute("**/fields/*/uploads")
    page.reload()
    wait_for(page, "a.pdf", "stored")
    wait_for(page, "a.pdf", "unsent")
    with page.expect_response(lambda answer: answer.status == 422) as refused:
        choose(page, "certificates", ("a.pdf", chosen))
    assert refused.value.json()["code"] == "key-reused"
    expect(page.locator("li[data-status=stored]")).to_have_count(2)
    sent = [hashlib.sha256(each).hexdigest() for each in (others, chosen)]
    assert [each["sha256"] for each in uploads(signup, "certificates")] == sent


def test_what_arrived_although_the_page_was_reloaded_is_not_asked_for(
    page: Page, signup: FormClient
) -> None:
    show(page, signup, field(signup, "headshot"))

    def lose(route: Route) -> None:
        assert route.fetch().status == 202
        page.unroute("**/fields/*/uploads")
        route.abort()

    on_sending(page, lose)
    with page.expect_event("requestfailed"):
        choose(page, "headshot", ("me.jpg", jpeg(500, 500)))
    page.reload()
    wait_for(page, "me.jpg", "stored")
    expect(page.locator("li")).to_have_count(1)
    assert len(uploads(signup, "headshot")) == 1


def test_another_tab_sees_what_is_sent_and_removed_here(
    browser: Browser, stack: Stack, signup: FormClient
) -> None:
    context = browser.new_context(base_url=stack.url)
    page, other_tab = context.new_page(), context.new_page()
    show(page, signup, field(signup, "certificates"))
    show(other_tab, signup, field(signup, "certificates", "poll"))
    choose(page, "certificates", ("a.pdf", pdf()))
    wait_for(other_tab, "a.pdf", "stored")
    choose(other_tab, "certificates", ("b.pdf", pdf(pages=2)))
    wait_for(other_tab, "b.pdf", "stored")
    page.get_by_role("button", name="Remove a.pdf").click()
    expect(line(other_tab, "a.pdf")).to_have_count(0, timeout=PATIENCE)
    assert stored(signup, "certificates") == ["b.pdf"]
    context.close()


def test_a_restart_of_the_service_in_the_middle_is_survived(
    page: Page, signup: FormClient, stack: Stack
) -> None:
    show(page, signup, field(signup, "certificates"))
    held = Held(page)
    choose(page, "certificates", ("a.pdf", pdf()), ("b.pdf", pdf(pages=2)))
    held.wait(2)
    stack.kill("api")
    held.let_go()
    wait_for(page, "a.pdf", "stored")
    wait_for(page, "b.pdf", "stored")
    assert sorted(stored(signup, "certificates")) == ["a.pdf", "b.pdf"]


def test_a_tab_that_nobody_sees_asks_again_when_it_is_seen(page: Page, signup: FormClient) -> None:
    page.add_init_script("Object.defineProperty(document, 'hidden', {get: () => window.unseen})")
    asked: list[str] = []

    def show_it_pending_first(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) > 1:
            route.continue_()
            return
        record = signup.read()
        for each in record["uploads"]["licence"]:
            each.update(status="processing", poll_after_ms=1000)
        route.fulfill(json=record, headers={"ETag": '"old"'})

    show(page, signup, field(signup, "licence"))
    page.evaluate("window.unseen = true")
    page.route(f"**{signup.path}", show_it_pending_first)
    choose(page, "licence", ("licence.pdf", pdf()))
    wait_for(page, "licence.pdf", "processing")
    signup.final(uploads(signup, "licence")[0])
    assert len(asked) <= 1
    with page.expect_request(f"**{signup.path}", timeout=10_000):
        page.evaluate(
            "window.unseen = false; document.dispatchEvent(new Event('visibilitychange', {bubbles: true}))"
        )
    wait_for(page, "licence.pdf", "stored")


def test_a_page_may_bring_another_way_to_send(page: Page, signup: FormClient) -> None:
    script = """
    longshore.configure({transports: {async raw(file, {url, headers, signal, onProgress}) {
      const address = `${url}/${headers['Idempotency-Key']}`;
      const answer = await fetch(address, {method: 'PUT', body: file, headers, signal});
      onProgress(file.size);
      return answer.json();
    }}});"""
    show(page, signup, field(signup, "licence", 'transport="raw"'), script=script)
    with page.expect_request(lambda request: request.method == "PUT"):
        choose(page, "licence", ("licence.pdf", pdf()))
    page.locator("li[data-status=stored]").wait_for()
    assert signup.read()["data"]["licence"]


def test_leaving_is_held_up_only_while_bytes_move(page: Page, signup: FormClient) -> None:
    show(page, signup, field(signup, "headshot", "guard"))
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    held = Held(page)
    choose(page, "headshot", ("me.jpg", jpeg(500, 500)))
    held.wait(1)
    page.get_by_text("File for headshot").click(button="right")  # the browser asks persons alone
    with page.expect_event("dialog"):
        page.evaluate("setTimeout(() => location.assign('/docs'))")
    held.let_go()
    wait_for(page, "me.jpg", "stored")
    page.reload()
    wait_for(page, "me.jpg", "stored")
    assert asked == ["beforeunload"]


def test_what_was_chosen_is_listed_and_guarded_before_there_is_a_form_to_send_it_to(
    page: Page, signup: FormClient
) -> None:
    script = """
    addEventListener('longshore-select', ({detail}) => {
      detail.waitUntil(new Promise((go, fail) => Object.assign(window, {go, fail})));
    });"""
    body = field(signup, "certificates", 'guard policy="/v1/form-types/therapist_signup"')
    show(page, signup, body.replace(f'form-url="{signup.path}"', ""), script=script)
    choose(page, "certificates", ("a.pdf", pdf()), ("b.pdf", pdf(pages=2)))
    expect(page.locator("li[data-status=waiting] .filename")).to_have_text(["a.pdf", "b.pdf"])
    page.get_by_text("File for certificates").click(button="right")  # it asks persons alone
    with page.expect_event("dialog") as asked:
        page.evaluate("setTimeout(() => location.assign('/docs'))")
    assert asked.value.type == "beforeunload"
    asked.value.dismiss()
    page.get_by_role("button", name="Cancel b.pdf").click()
    page.evaluate("fail(new Error('there is none'))")
    wait_for(page, "a.pdf", "failed")
    expect(line(page, "a.pdf")).to_contain_text("could not be uploaded")
    choose(page, "certificates", ("c.pdf", pdf(pages=3)))
    page.evaluate("form => go(form)", signup.path)
    wait_for(page, "c.pdf", "stored")
    page.get_by_role("button", name="Try again a.pdf").click()
    wait_for(page, "a.pdf", "stored")
    assert sorted(stored(signup, "certificates")) == ["a.pdf", "c.pdf"]


def test_a_page_of_another_origin_sends_with_the_token(browser: Browser, stack: Stack) -> None:
    form = FormClient(stack.url)
    context = browser.new_context(
        base_url=f"http://localhost:{free_port()}", permissions=["local-network-access"]
    )
    page = context.new_page()
    body = field(form, "headshot").replace("/v1/", f"{stack.url}/v1/")
    show(page, form, body, policy={}, module=f"{stack.url}/static/longshore.js")
    choose(page, "headshot", ("me.jpg", jpeg(500, 500)))
    wait_for(page, "me.jpg", "stored")
    context.close()
