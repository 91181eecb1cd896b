"""`longshore.js` with large files: what the service has of one is not sent again."""

import hashlib
import re
from base64 import b64encode
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from dev.ports import free_port
from tests.support.client import FormClient
from tests.support.files import pdf
from tests.support.links import Link, links
from tests.support.module_page import PATIENCE, choose, field, heard, line, show, uploads, wait_for
from tests.support.signup_page import SignupPage
from tests.support.stack import Stack

pytestmark = pytest.mark.parametrize("stack", ["sqlite"], indirect=True)

PART = 300_000
"""Bytes, as the field's definition says."""
IN_VAIN = PART + 100_000
"""Bytes at most that a test sends besides the file: the part that a break cut off, which Chromium
itself sends once more where it had kept the connection, and all else."""
KEPT = """async () => {
  const {indexedDB} = await navigator.storageBuckets.open('longshore');
  const opening = indexedDB.open('longshore');
  await new Promise((done) => (opening.onsuccess = done));
  if (!opening.result.objectStoreNames.length) return 0;
  const all = opening.result.transaction('files').objectStore('files').getAllKeys();
  await new Promise((done) => (all.onsuccess = done));
  opening.result.close();
  return all.result.length;
}"""
WITHOUT_ROOM = "navigator.storage.estimate = async () => ({quota: 0, usage: 0})"


@cache
def large() -> bytes:
    """A document of five parts."""
    return pdf(ballast=4 * PART + 1000)


@pytest.fixture
def link(stack: Stack) -> Iterator[Link]:
    with links(api=stack.port) as opened:
        yield opened["api"]


@pytest.fixture
def address(link: Link) -> str:
    """The browser comes by a line that can be cut."""
    return f"http://127.0.0.1:{link.port}"


class Parts:
    """The parts that a page sends. One of them gets no further until it is let go."""

    def __init__(self, page: Page, *, hold: int = 0) -> None:
        self._page, self._hold = page, hold
        self._held: list[Route] = []
        self.offsets: list[int] = []
        page.route("**/v1/uploads/*", self._see)

    def _see(self, route: Route) -> None:
        if route.request.method != "PATCH":
            route.continue_()
            return
        self.offsets.append(int(route.request.headers["upload-offset"]))
        if len(self.offsets) == self._hold:
            self._held.append(route)
        else:
            route.continue_()

    def wait(self) -> None:
        """Until that part is on its way."""
        for _ in range(500):
            if self._held:
                return
            self._page.wait_for_timeout(20)
        raise AssertionError(f"only {self.offsets} are on their way")

    def let_go(self) -> None:
        for each in self._held:
            each.continue_()


def begin(page: Page, form: FormClient, *, hold: int = 3) -> Parts:
    """Choose the document, and stop before its third part."""
    show(page, form, field(form, "bulk"))
    parts = Parts(page, hold=hold)
    choose(page, "bulk", ("scan.pdf", large()))
    if hold:
        parts.wait()
    return parts


def is_kept(page: Page, count: int = 1) -> None:
    """The browser keeps so many files."""
    page.wait_for_function(f"async () => (await ({KEPT})()) === {count}")


def only(form: FormClient) -> dict[str, Any]:
    (upload,) = uploads(form, "bulk")
    return upload


def arrives(page: Page, form: FormClient) -> None:
    """The service has all of it, as it was chosen, and what becomes of it is its own matter."""
    page.locator("li:is([data-status=processing], [data-status=stored])").wait_for()
    assert only(form)["sha256"] == hashlib.sha256(large()).hexdigest()


def is_stored(page: Page, form: FormClient) -> None:
    wait_for(page, "scan.pdf", "stored")
    assert only(form)["sha256"] == hashlib.sha256(large()).hexdigest()


def test_a_large_file_is_sent_in_parts_and_progress_is_told_as_of_any_other(
    page: Page, form: FormClient
) -> None:
    parts = begin(page, form, hold=0)
    is_stored(page, form)
    assert parts.offsets == [0, PART, 2 * PART, 3 * PART, 4 * PART]
    loaded = [each["loaded"] for each in heard(page, "progress")]
    assert loaded == sorted(loaded)
    assert loaded[-1] == len(large())
    said = page.locator("longshore-file [role=status] p").all_inner_texts()
    assert said[-2:] == ["scan.pdf: Checking…", "scan.pdf: Stored"]
    is_kept(page, 0)
    assert page.evaluate("Object.keys(localStorage)") == []


def test_what_arrived_before_a_connection_was_cut_is_not_sent_again(
    page: Page, form: FormClient, link: Link
) -> None:
    show(page, form, field(form, "bulk"))
    parts = Parts(page)
    before = link.carried
    with link(cut_after=2 * PART + PART // 2, times=1):
        choose(page, "bulk", ("scan.pdf", large()))
        is_stored(page, form)
    assert 2 * PART < parts.offsets[3] < 3 * PART  # it went on in the middle of that part
    assert link.carried - before < len(large()) + IN_VAIN


@pytest.mark.slow
def test_it_arrives_over_a_line_that_breaks_and_breaks(
    page: Page, form: FormClient, link: Link
) -> None:
    show(page, form, field(form, "bulk"))
    with link(cut_after=PART // 2):
        choose(page, "bulk", ("scan.pdf", large()))
        is_stored(page, form)
        assert link.hits > 3, "connections that broke"


def test_offline_and_online_again_it_goes_on(page: Page, form: FormClient) -> None:
    parts = begin(page, form)
    page.context.set_offline(True)
    wait_for(page, "scan.pdf", "offline")
    page.context.set_offline(False)
    arrives(page, form)
    assert parts.offsets == [0, PART, 2 * PART, 2 * PART, 3 * PART, 4 * PART]


def test_a_pause_keeps_what_was_sent(page: Page, form: FormClient) -> None:
    parts = begin(page, form)
    page.get_by_role("button", name="Pause scan.pdf").click()
    wait_for(page, "scan.pdf", "paused")
    assert only(form)["progress"] == {"received": 2 * PART, "total": len(large())}
    page.get_by_role("button", name="Resume scan.pdf").click()
    arrives(page, form)
    assert parts.offsets[2:] == [2 * PART, 2 * PART, 3 * PART, 4 * PART]
    told = [each["loaded"] for each in heard(page, "status") if each["status"] == "uploading"]
    assert told == [0, 2 * PART]


def test_when_the_service_is_killed_it_goes_on_where_it_was(
    page: Page, form: FormClient, stack: Stack
) -> None:
    parts = begin(page, form)
    stack.kill("api")
    parts.let_go()
    is_stored(page, form)
    assert set(parts.offsets[2:]) == {2 * PART, 3 * PART, 4 * PART}


def test_after_a_reload_it_goes_on_by_itself(page: Page, form: FormClient) -> None:
    parts = begin(page, form)
    is_kept(page)
    page.reload()
    arrives(page, form)
    assert parts.offsets[2:] == [2 * PART, 2 * PART, 3 * PART, 4 * PART]
    is_kept(page, 0)


def test_after_a_reload_it_goes_on_though_the_record_is_read_late(
    page: Page, form: FormClient
) -> None:
    parts = begin(page, form)
    is_kept(page)
    late: list[Route] = []
    page.route(f"**{form.path}", lambda route: late.append(route))  # noqa: PLW0108 - no built-in
    with page.expect_request_finished(lambda asked: "longshore-tus.js" in asked.url):
        page.reload()
    is_kept(page)  # whoever looked for its file has looked by now
    for each in late:
        each.continue_()
    page.unroute(f"**{form.path}")
    arrives(page, form)
    assert parts.offsets[2:] == [2 * PART, 2 * PART, 3 * PART, 4 * PART]


def test_a_file_that_could_not_be_kept_is_asked_for_after_a_reload_and_goes_on(
    page: Page, form: FormClient
) -> None:
    page.add_init_script(WITHOUT_ROOM)
    parts = begin(page, form)
    page.reload()
    expect(line(page, "scan.pdf", "unsent")).to_contain_text("49 % sent: choose it again")
    choose(page, "bulk", ("scan.pdf", large()))
    arrives(page, form)
    assert parts.offsets[2:] == [2 * PART, 2 * PART, 3 * PART, 4 * PART]


def test_another_file_of_the_same_name_and_size_begins_anew(page: Page, form: FormClient) -> None:
    page.add_init_script(WITHOUT_ROOM)
    parts = begin(page, form)
    page.reload()
    wait_for(page, "scan.pdf", "unsent")
    other = large()[:-1] + b" "
    choose(page, "bulk", ("scan.pdf", other))
    page.locator("li:is([data-status=processing], [data-status=stored])").wait_for()
    assert parts.offsets[3:] == [0, PART, 2 * PART, 3 * PART, 4 * PART]
    assert only(form)["sha256"] == hashlib.sha256(other).hexdigest()
    expect(page.locator("li")).to_have_count(1)


def test_what_is_cancelled_is_taken_away_here_and_at_the_service(
    page: Page, form: FormClient
) -> None:
    begin(page, form)
    is_kept(page)
    with page.expect_response(lambda answer: answer.request.method == "DELETE") as removed:
        page.get_by_role("button", name="Cancel scan.pdf").click()
    assert removed.value.status == 204
    assert uploads(form, "bulk") == []
    is_kept(page, 0)


def test_what_ended_at_the_service_meanwhile_begins_anew(page: Page, form: FormClient) -> None:
    parts = begin(page, form)
    page.get_by_role("button", name="Pause scan.pdf").click()
    assert form.http.delete(only(form)["url"]).status_code == 204
    page.get_by_role("button", name="Resume scan.pdf").click()
    arrives(page, form)
    assert parts.offsets[3:] == [0, PART, 2 * PART, 3 * PART, 4 * PART]


def test_another_tab_shows_what_was_begun_and_goes_on_with_it_when_it_is_chosen_there(
    browser: Browser, page: Page, form: FormClient, address: str
) -> None:
    begin(page, form)
    page.close()
    other = browser.new_page(base_url=address)
    parts = Parts(other)
    show(other, form, field(form, "bulk"))
    expect(line(other, "scan.pdf", "unsent")).to_contain_text("49 % sent: choose it again")
    choose(other, "bulk", ("scan.pdf", large()))
    arrives(other, form)
    assert parts.offsets == [2 * PART, 3 * PART, 4 * PART]
    other.close()


def test_a_page_of_another_origin_sends_in_parts_with_the_token(
    browser: Browser, form: FormClient, stack: Stack
) -> None:
    context = browser.new_context(
        base_url=f"http://localhost:{free_port()}", permissions=["local-network-access"]
    )
    page = context.new_page()
    body = field(form, "bulk").replace("/v1/", f"{stack.url}/v1/")
    show(page, form, body, policy={}, module=f"{stack.url}/static/longshore.js")
    parts = Parts(page, hold=3)
    choose(page, "bulk", ("scan.pdf", large()))
    parts.wait()
    page.get_by_role("button", name="Pause scan.pdf").click()
    page.get_by_role("button", name="Resume scan.pdf").click()
    arrives(page, form)
    assert parts.offsets[2:] == [2 * PART, 2 * PART, 3 * PART, 4 * PART]
    context.close()


def test_a_file_that_was_kept_for_a_day_is_forgotten_by_the_next_page(
    page: Page, form: FormClient
) -> None:
    begin(page, form)
    is_kept(page)
    page.evaluate("sessionStorage.clear(); onpagehide = () => sessionStorage.clear()")
    page.add_init_script("const now = Date.now; Date.now = () => now() + 86_400_001")
    page.reload()
    is_kept(page, 0)
    page.wait_for_function("() => !Object.keys(localStorage).length")


def test_while_another_request_sends_it_the_page_waits(page: Page, form: FormClient) -> None:
    parts = begin(page, form)
    answered: list[int] = []

    def locked_first(route: Route) -> None:
        if route.request.method == "HEAD" and len(answered) < 2:
            answered.append(423)
            route.fulfill(status=423, headers={"Retry-After": "1"})
        else:
            route.fallback()

    page.route("**/v1/uploads/*", locked_first)
    page.get_by_role("button", name="Pause scan.pdf").click()
    page.get_by_role("button", name="Resume scan.pdf").click()
    arrives(page, form)
    assert answered == [423, 423]
    assert parts.offsets[3] == 2 * PART


def test_in_the_signup_a_large_scan_goes_on_after_a_reload(page: Page, tmp_path: Path) -> None:
    scan = tmp_path / "scan.pdf"
    scan.write_bytes(pdf(ballast=9_000_000))
    signup = SignupPage(page).open()
    signup.go_to("Your licence")
    parts = Parts(page, hold=2)
    signup.choose("licence", scan)
    parts.wait()
    is_kept(page)
    page.reload()
    expect(signup.line("scan.pdf")).to_contain_text("Stored", timeout=PATIENCE)
    assert parts.offsets == [0, 8_000_000, 8_000_000]
    assert re.search(r"\bstored\b", signup.line("scan.pdf").get_attribute("class") or "")


def test_the_signup_is_not_sent_while_a_file_in_it_is_cut_off(
    page: Page, signup: FormClient, address: str
) -> None:
    answers = {"full_name": "Ann", "email": "ann@example.org", "agree": True}
    signup.http.patch(signup.path, json=answers).raise_for_status()
    signup.stored("licence", pdf(), filename="licence.pdf")
    length = {"Tus-Resumable": "1.0.0", "Upload-Length": "9000"}
    name = {"Upload-Metadata": "filename " + b64encode(b"cv.pdf").decode()}
    begun = signup.http.post(f"{signup.path}/fields/resume/tus", headers={**length, **name})
    assert begun.status_code == 201
    page.context.add_cookies([{"name": "longshore_form", "value": signup.token, "url": address}])
    at = SignupPage(page).open()
    at.go_to("Check and send")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("cv.pdf is not all here yet")
    at.go_to("Documents")
    page.get_by_role("button", name="Remove cv.pdf").click()
    at.go_to("Check and send")
    page.get_by_role("button", name="Send", exact=True).click()
    at.is_sent()
