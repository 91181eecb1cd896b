"""What pages of other origins can do in a real browser, with a token, and can't do with a cookie."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.files import pdf
from tests.support.other_site import OtherSite
from tests.support.stack import Stack

pytestmark = pytest.mark.parametrize(
    "stack", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)], indirect=True
)
FORM = """
<form method=post action="{api}/v1/forms/{form}" enctype=multipart/form-data>
<input type=hidden name=token value="{token}"><input type=hidden name=section value=only>
<label>Note <input name=note></label>
<label>Needed <input type=file name=needed></label>
<label>Tiny <input type=file name=tiny></label>
<button name=submit value=1>Send</button>
</form>
"""
CALLS = """async (api) => {
  const seen = {};
  const ask = async (path, options = {}, token = seen.token) => {
    const headers = {...(token ? {Authorization: `Bearer ${token}`} : {}), traceparent: "00-a-b-01",
                     "X-Request-ID": "asked", ...options.headers};
    const answer = await fetch(api + path, {...options, headers});
    return {status: answer.status, id: answer.headers.get("x-request-id"), etag: answer.headers.get("etag"),
            location: answer.headers.get("location"), retry: answer.headers.get("retry-after"),
            applied: answer.headers.get("preference-applied"),
            body: options.method === "HEAD" || [204, 304].includes(answer.status) ? null : await answer.json()};
  };
  const json = {"Content-Type": "application/json"};
  const made = await ask("/v1/forms", {method: "POST", headers: json, body: '{"type": "acceptance"}'});
  seen.token = made.body.token;
  const form = made.location;
  const file = new File([new Uint8Array(100).fill(37)], "a.pdf", {type: "application/pdf"});
  const body = new FormData();
  body.append("file", file);
  const uploads = `${form}/fields/needed/uploads`;
  const result = {
    made,
    patched: await ask(form, {method: "PATCH", body: '{"note": "typed"}',
                              headers: {"Content-Type": "application/merge-patch+json", "If-Match": made.etag}}),
    stale: await ask(form, {method: "PATCH", body: '{"note": "late"}',
                            headers: {...json, "If-Match": '"1.1"'}}),
    sent: await ask(uploads, {method: "POST", body, headers: {"Idempotency-Key": "a"}}),
    put: await ask(`${uploads}/b`, {method: "PUT", body: file,
                                    headers: {"Content-Disposition": 'attachment; filename="b.pdf"'}}),
    unknown: await ask(form, {}, "lst_nobody"),
    nobody: await ask(form, {}, null),
    tooLarge: await ask(uploads, {method: "POST", headers: json, body: `{"from": "${"x".repeat(400000)}"}`}),
    missing: await ask("/v1/nothing", {method: "POST", headers: json, body: "{}"}),
  };
  result.reused = await ask(`${form}/fields/bulk/uploads`,
                            {method: "POST", headers: json, body: JSON.stringify({from: result.put.body.id})});
  do result.waited = await ask(result.sent.location, {headers: {Prefer: "wait=10"}});
  while (["staged", "processing"].includes(result.waited.body.status));
  result.same = await ask(result.sent.location, {headers: {"If-None-Match": result.waited.etag}});
  result.head = await ask(form, {method: "HEAD"});
  result.removed = await ask(result.put.location, {method: "DELETE"});
  result.purged = await ask(form, {method: "DELETE"});
  return result;
}"""


@pytest.fixture
def elsewhere(browser: Browser, other_site: OtherSite) -> Iterator[Page]:
    """A page of another site, with a script of its own."""
    opened = browser.new_page()
    opened.goto(f"{other_site.origin}/page")
    yield opened
    opened.close()


def test_a_form_of_another_site_is_filled_in_without_a_script_and_leads_back_there(
    browser: Browser, stack: Stack, other_site: OtherSite, tmp_path: Path
) -> None:
    key = {"Authorization": f"Bearer {stack.info['service_key']}"}
    made = httpx.post(
        f"{stack.url}/v1/forms",
        headers=key,
        json={
            "type": "acceptance",
            "success_redirect": f"{other_site.origin}/done",
            "error_redirect": f"{other_site.origin}/again?step=2",
        },
        trust_env=False,
    ).json()
    other_site.pages["/form"] = FORM.format(api=stack.url, form=made["id"], token=made["token"])
    licence, large = tmp_path / "licence.pdf", tmp_path / "large.pdf"
    licence.write_bytes(pdf())
    large.write_bytes(pdf() + b"\n" + b"%" * 3_000)
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{other_site.origin}/form")
    page.get_by_label("Note").fill("too long for this field")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#came")).to_have_text(
        "/again?step=2&code=form-incomplete&field=note&errors=2"
    )
    page.goto(f"{other_site.origin}/form")
    page.get_by_label("Note").fill("short")
    page.get_by_label("Needed").set_input_files(licence)
    page.get_by_label("Tiny").set_input_files(large)
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#came")).to_have_text("/done", timeout=20_000)
    assert context.cookies() == []
    context.close()
    read = httpx.get(f"{stack.url}/v1/forms/{made['id']}", headers=key, trust_env=False).json()
    assert (read["status"], read["data"]["note"]) == ("submitted", "short")
    assert [each["status"] for each in read["uploads"]["needed"]] == ["stored"]
    assert [each["error"]["code"] for each in read["uploads"]["tiny"]] == ["file-too-large"]


def test_a_script_of_another_origin_calls_everything_with_its_token_and_reads_every_answer(
    elsewhere: Page, stack: Stack
) -> None:
    asked: list[str] = []
    session = elsewhere.context.new_cdp_session(elsewhere)
    session.send("Network.enable")

    def see(event: dict[str, Any]) -> None:
        if event["initiator"]["type"] == "preflight":
            asked.append(event["request"]["url"])

    session.on("Network.requestWillBeSent", see)
    found = elsewhere.evaluate(CALLS, stack.url)
    # which it is, is a race with the worker, who finds the file damaged: either can be read
    assert found["reused"]["status"] in {202, 409}
    assert {name: each["status"] for name, each in found.items() if name != "reused"} == {
        "made": 201,
        "patched": 200,
        "stale": 412,
        "sent": 202,
        "put": 202,
        "unknown": 401,
        "nobody": 401,
        "tooLarge": 413,
        "missing": 404,
        "waited": 200,
        "same": 304,
        "head": 200,
        "removed": 204,
        "purged": 204,
    }
    assert all(each["id"] == "asked" for each in found.values())
    codes = {name: each["body"]["code"] for name, each in found.items() if each["status"] > 400}
    assert codes.pop("reused", None) in {None, "upload-not-reusable"}
    assert codes == {
        "stale": "precondition-failed",
        "unknown": "unauthorized",
        "nobody": "unauthorized",
        "tooLarge": "request-too-large",
        "missing": "not-found",
    }
    assert found["sent"]["retry"] == "1"
    assert found["waited"]["applied"] == "wait=10"
    assert found["made"]["etag"] == '"1.1"'
    twice = f"{found['made']['location']}/fields/needed/uploads"
    assert asked.count(stack.url + twice) == 1, "what it may do there it remembers"


@pytest.mark.parametrize("same_site", [False, True], ids=["another site", "another port"])
def test_a_cookie_is_of_no_use_to_a_page_of_another_origin(
    browser: Browser, stack: Stack, other_site: OtherSite, *, same_site: bool
) -> None:
    """A port is another origin, and the same site: there the browser does send the cookie."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(stack.url)
    page.get_by_label("Full name").fill("Ada Diaz")
    page.get_by_label("Email address").fill("ada@example.org")
    begun = context.request.post(
        stack.url,
        form={"section": "about", "full_name": "Ada Diaz", "email": "ada@example.org"},
        headers={"Origin": stack.url, "Accept": "application/json"},
    )
    form = begun.json()["id"]
    origin = other_site.same_site if same_site else other_site.origin
    page.goto(f"{origin}/page")
    calls = f"""async () => {{
      const form = "{stack.url}/v1/forms/{form}";
      const with_cookie = {{credentials: "include"}};
      const read = await fetch(form, with_cookie).then(() => "read", () => "blocked");
      const events = await fetch(`${{form}}/events`, with_cookie).then(() => "read", () => "blocked");
      const body = new URLSearchParams({{section: "about", full_name: "Mallory"}});
      const write = {{...with_cookie, method: "POST", mode: "no-cors"}};
      await fetch(form, {{...write, body}});
      await fetch("{stack.url}/", {{...write, body}});
      await fetch("{stack.url}/signup/start-over", write);
      await fetch(`${{form}}/submit`, write);
      const file = new FormData();
      file.append("file", new File(["%PDF-"], "a.pdf"));
      await fetch(`${{form}}/fields/licence/uploads`, {{...write, body: file}});
      return [read, events];
    }}"""
    assert page.evaluate(calls) == ["blocked", "blocked"]
    other_site.pages["/attack"] = (
        f'<form method=post action="{stack.url}/signup/start-over"><button>Win</button></form>'
    )
    page.goto(f"{origin}/attack")
    page.get_by_role("button").click()
    expect(page.locator("body")).to_contain_text("foreign-origin")
    asked = {"Origin": stack.url, "Accept": "application/json"}
    still = context.request.post(f"{stack.url}/", form={"section": "about"}, headers=asked).json()
    assert still["id"] == form, "it is not purged, and not replaced by another"
    assert still["status"] == "draft"
    assert still["data"]["full_name"] == "Ada Diaz"
    assert still["uploads"]["licence"] == []
    context.close()
