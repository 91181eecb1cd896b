"""`longshore.js` without its element, and as it is served."""

import httpx
import pytest
from playwright.sync_api import Page

from tests.support.client import FormClient
from tests.support.files import jpeg, pdf
from tests.support.module_page import field, show
from tests.support.stack import CHECKOUT, Stack

pytestmark = pytest.mark.parametrize("stack", ["sqlite"], indirect=True)


def get(stack: Stack, name: str, **headers: str) -> httpx.Response:
    return httpx.get(f"{stack.url}/static/{name}", headers=headers, trust_env=False)


def test_a_script_sends_a_file_and_follows_it_to_its_end(page: Page, signup: FormClient) -> None:
    show(page, signup, field(signup, "resume"))
    ended = page.evaluate(
        """async ([url, bytes]) => {
          const file = new File([new Uint8Array(bytes)], 'licence.pdf');
          const upload = longshore.createUpload(file, {url, field: 'licence'});
          const seen = [upload.status];
          upload.addEventListener('status', () => seen.push(upload.status));
          await upload.finished;
          const known = longshore.uploads.list().map(({name}) => name);
          return {seen, known, field: upload.record.field, stored: upload.record.public_url};
        }""",
        [signup.path, list(pdf())],
    )
    assert ended["stored"] == signup.read()["data"]["licence"]
    assert ended["known"] == ["licence.pdf"]
    assert ended["seen"][-1] == "stored"
    assert {"uploading", "processing"} <= set(ended["seen"])


def test_an_upload_can_be_watched_until_it_is_final(page: Page, signup: FormClient) -> None:
    show(page, signup, field(signup, "resume"))
    upload = signup.upload("headshot", jpeg())
    statuses = page.evaluate(
        """async (url) => {
          const statuses = [];
          for await (const {status} of longshore.watch(url)) statuses.push(status);
          return statuses;
        }""",
        upload["url"],
    )
    assert statuses[-1] == "rejected"


def test_watching_ends_when_it_is_told_to_and_throws_what_is_refused(
    page: Page, signup: FormClient
) -> None:
    show(page, signup, field(signup, "resume"))
    ended = page.evaluate(
        """async (url) => {
          const stop = new AbortController();
          for await (const form of longshore.watch(url, stop)) stop.abort();
          try {
            for await (const form of longshore.watch(url + 'x')) return form;
          } catch ({message, problem}) {
            return [message, problem.code];
          }
        }""",
        signup.path,
    )
    assert ended == ["There is nothing here, or it is not yours.", "not-found"]


def test_a_form_without_an_element_is_known_when_it_is_opened(
    page: Page, signup: FormClient
) -> None:
    signup.stored("licence", pdf(), filename="licence.pdf")
    show(page, signup, "<longshore-file><input type=file name=other></longshore-file>")
    name = page.evaluate(
        """(url) => new Promise((known) => {
          longshore.uploads.addEventListener('change', ({detail}) => known(detail.name));
          longshore.uploads.open(url);
        })""",
        signup.path,
    )
    assert name == "licence.pdf"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *((name, "text/javascript") for name in ("longshore.js", "longshore-tus.js")),
        *[("longshore-contents.js", "text/javascript"), ("longshore.d.ts", "text/plain")],
    ],
)
def test_the_module_is_served_to_pages_of_any_origin(stack: Stack, name: str, kind: str) -> None:
    answer = get(stack, name, Origin="https://application.example")
    assert answer.status_code == 200
    assert answer.content == (CHECKOUT / "browser" / name).read_bytes()
    assert answer.headers["content-type"].startswith(kind)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "public, max-age=300"
    again = get(stack, name, **{"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["cache-control"] == "public, max-age=300"


def test_nothing_else_of_the_package_is_served(stack: Stack) -> None:
    for name in ("package.json", "README.md", "LICENSE"):
        assert get(stack, name).status_code == 404
