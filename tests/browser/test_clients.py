"""The pages of docs/clients, as they stand there: real uploaders from npm, from another origin."""

import hashlib
import json
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import Browser, FilePayload, Locator, Page, Request, Route, expect

from tests.support.client import FormClient
from tests.support.examples import blocks, example
from tests.support.faulty_stack import until
from tests.support.files import pdf
from tests.support.links import Link, links
from tests.support.other_site import OtherSite
from tests.support.packages import bundle, installed, run_tool
from tests.support.proxy import FIRST, Names, Proxy, run_proxy
from tests.support.second import two_replicas_behind_the_proxy
from tests.support.stack import CHECKOUT, Stack

pytestmark = pytest.mark.parametrize("stack", ["sqlite"], indirect=True)

PAGES = CHECKOUT / "docs/clients"
PATIENCE = 60_000
"""Milliseconds until what a worker decides is seen."""
GOOD: FilePayload = {"name": "licence.pdf", "mimeType": "application/pdf", "buffer": pdf()}
LOCKED: FilePayload = GOOD | {"name": "locked.pdf", "buffer": pdf(password="secret")}
EMPTY: FilePayload = GOOD | {"name": "empty.pdf", "buffer": b""}
IS_LOCKED = "The selected file is password protected: save it without a password"
IS_EMPTY = "The selected file is empty"

FILEPOND_ALONE = """
import { create } from "filepond";

const input = document.querySelector("#licence");
const { form, token } = input.dataset;
const server = { url: `${form}/fields/licence/filepond`, headers: { Authorization: `Bearer ${token}` } };
const files = location.hash ? [{ source: location.hash.slice(1), options: { type: "limbo" } }] : [];
create(input, { server, files });
"""
SEVERAL_AT_ONCE = """
import Dropzone from "dropzone";

const { form, token } = document.querySelector("#licence").dataset;
const shared = { uploadMultiple: true, headers: { Authorization: `Bearer ${token}` } };
for (const more of [
  { url: `${form}/fields/certificates/uploads` },
  { url: form, method: "patch", paramName: () => "certificates" },
]) {
  const place = document.body.appendChild(document.createElement("div"));
  new Dropzone(place, { ...shared, ...more });
}
"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Another origin: its address, and the folder that it serves."""
    folder = tmp_path_factory.mktemp("site")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    server.server_close()


@dataclass
class Opened:
    """A page of docs/clients in the browser, and the form that it belongs to."""

    page: Page
    form: FormClient

    def uploads(self) -> list[dict[str, Any]]:
        return list(self.form.read()["uploads"]["licence"])

    def upload(self) -> dict[str, object]:
        """The newest upload of the field."""
        return self.uploads()[-1]

    def expect_in_the_bucket(self, file: FilePayload) -> None:
        """The field's value is this file, byte for byte."""
        stored = self.upload()
        assert (stored["status"], stored["filename"]) == ("stored", file["name"])
        content = self.form.http.get(f"/v1/uploads/{stored['id']}/content", follow_redirects=True)
        sent = hashlib.sha256(file["buffer"]).hexdigest()
        assert stored["sha256"] == hashlib.sha256(content.content).hexdigest() == sent
        assert self.form.read()["data"]["licence"] == stored["public_url"]


Open = Callable[..., Opened]


@pytest.fixture
def open_page(page: Page, stack: Stack, site: tuple[str, Path]) -> Open:
    def opened(
        name: str, script: str = "licence.js", code: str | None = None, service: str | None = None
    ) -> Opened:
        stack.wait_for_the_api()  # a test before may have killed it
        form = FormClient(service or stack.url)
        url, root = site
        folder, md = root / form.id, PAGES / f"{name}.md"
        build(folder, md, script, code or example(md, script), form)
        page.set_default_timeout(PATIENCE)
        page.goto(f"{url}/{form.id}/")
        return Opened(page, form)

    return opened


def build(folder: Path, page: Path, script: str, code: str, form: FormClient) -> None:
    """What a site would make of the page: its HTML with this form, and its scripts in one."""
    folder.mkdir(exist_ok=True)
    (folder / "upload.js").write_text(example(PAGES / "fetch.md", "upload.js"))
    (folder / script).write_text(code)
    bundle(folder, script)
    html = "".join(blocks(page, "html"))
    html = re.sub('data-form="[^"]*"', f'data-form="{form.http.base_url}{form.path}"', html)
    html = re.sub('data-token="[^"]*"', f'data-token="{form.token}"', html)
    (folder / "bundle.css").touch()
    (folder / "index.html").write_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{page.stem}</title>'
        f'<link rel="stylesheet" href="bundle.css">{html}'
        '<script type="module" src="bundle.js"></script>'
    )


def see(place: Locator) -> None:
    expect(place.first).to_be_visible(timeout=PATIENCE)


def test_a_file_input_and_two_functions(open_page: Open) -> None:
    opened = open_page("fetch")
    choose, status = (
        opened.page.get_by_label("Copy of your licence"),
        opened.page.get_by_role("status"),
    )
    for file, said in ((EMPTY, IS_EMPTY), (LOCKED, IS_LOCKED)):
        choose.set_input_files(file)
        expect(status).to_have_text(f"{file['name']}: {said}", timeout=PATIENCE)
    opened.page.route("**/v1/uploads/*", lambda route: route.abort(), times=1)
    choose.set_input_files(GOOD)
    expect(status).to_have_text("licence.pdf is stored", timeout=PATIENCE)
    opened.expect_in_the_bucket(GOOD)


def test_react_dropzone(open_page: Open) -> None:
    opened = open_page("react-dropzone", "licence.jsx")
    choose, status = (
        opened.page.get_by_label("Copy of your licence"),
        opened.page.get_by_role("status"),
    )
    for file, said in ((EMPTY, IS_EMPTY), (LOCKED, IS_LOCKED), (GOOD, "stored")):
        choose.set_input_files(file)
        line = status.get_by_role("listitem").filter(has_text=file["name"])
        expect(line).to_have_text(f"{file['name']}: {said}", timeout=PATIENCE)
    opened.expect_in_the_bucket(GOOD)


def test_uppy(open_page: Open) -> None:
    opened = open_page("uppy")
    page, choose = opened.page, opened.page.locator("input.uppy-Dashboard-input").first
    for file, said in ((EMPTY, IS_EMPTY), (LOCKED, IS_LOCKED)):
        choose.set_input_files(file)
        reason = page.locator("#licence-problem")
        expect(reason).to_have_text(f"{file['name']}: {said}", timeout=PATIENCE)
        with page.expect_response(lambda answer: answer.request.method == "POST"):
            page.get_by_role("button", name="Retry").first.click()
        expect(reason).to_have_text(f"{file['name']}: {said}", timeout=PATIENCE)
        expect(page.get_by_text("Upload failed")).to_be_visible()
        page.get_by_role("button", name="Remove file").click()
        expect(reason).to_be_empty()
    sent: list[Request] = []
    page.on("request", lambda request: sent.append(request) if request.method == "POST" else None)
    page.route("**/fields/licence/uploads", lambda route: route.abort(), times=1)
    choose.set_input_files(GOOD)
    expect(page.get_by_text("Complete", exact=True)).to_be_visible(timeout=PATIENCE)
    opened.expect_in_the_bucket(GOOD)
    first, again = [request.headers["idempotency-key"] for request in sent]
    assert first == again
    with page.expect_response(lambda answer: answer.request.method == "DELETE"):
        page.get_by_role("button", name="Remove file").click()
    assert opened.form.read()["data"].get("licence") is None


def slow(page: Page, bytes_per_second: int) -> None:
    """Let it send no faster than that; -1 is as fast as it can."""
    page.context.new_cdp_session(page).send(
        "Network.emulateNetworkConditions",
        {
            "offline": False,
            "latency": 0,
            "downloadThroughput": -1,
            "uploadThroughput": bytes_per_second,
        },
    )


@pytest.fixture
def large(tmp_path: Path) -> FilePayload:
    """A file on the disk, which is the same one when it is chosen again."""
    content = pdf(ballast=3_000_000)
    (tmp_path / "large.pdf").write_bytes(content)
    return {"name": "large.pdf", "mimeType": "application/pdf", "buffer": content}


def test_tus(open_page: Open, stack: Stack, large: FilePayload, tmp_path: Path) -> None:
    def ask_once_it_is_there(route: Route) -> None:
        if route.request.method == "HEAD":  # with which each new try begins
            stack.wait_for_the_api()
        route.continue_()

    opened = open_page("tus")
    page, status = opened.page, opened.page.get_by_role("status")
    choose, pause = page.get_by_label("Copy of your licence"), page.locator("#pause")
    for file, said in ((EMPTY, IS_EMPTY), (LOCKED, IS_LOCKED)):
        choose.set_input_files(file)
        expect(status).to_have_text(f"{file['name']}: {said}", timeout=PATIENCE)
    sent: list[Request] = []
    page.on("request", lambda request: sent.append(request) if request.method != "GET" else None)
    slow(page, 1_000_000)
    choose.set_input_files(tmp_path / "large.pdf")
    expect(status).to_have_text(re.compile(r"Uploading: [2-9]\d %"), timeout=PATIENCE)
    pause.click()
    expect(pause).to_have_text("Resume")
    assert opened.upload()["status"] == "receiving"
    pause.click()
    expect(status).to_have_text(re.compile(r"Uploading: [4-9]\d %"), timeout=PATIENCE)
    page.route("**/v1/uploads/*", ask_once_it_is_there)
    stack.kill("api")
    expect(status).to_have_text(re.compile(r"Uploading: [6-9]\d %"), timeout=PATIENCE)
    page.unroute("**/v1/uploads/*")
    page.reload()
    slow(page, -1)
    choose.set_input_files(tmp_path / "large.pdf")
    expect(status).to_have_text("large.pdf is stored", timeout=PATIENCE)
    opened.expect_in_the_bucket(large)
    sent = [each for each in sent if each.method != "OPTIONS"]
    assert [each.method for each in sent if each.method == "POST"] == ["POST"]
    offsets = [int(each.headers["upload-offset"]) for each in sent if each.method == "PATCH"]
    assert offsets == sorted(offsets), "nothing that was acknowledged is sent again"
    assert 0 == offsets[0] < offsets[1] < offsets[-1]


@dataclass
class BrokenLine:
    """What leads from the browser to two replicas behind the proxy."""

    link: Link
    proxy: Proxy

    @property
    def service(self) -> str:
        return f"http://{FIRST}:{self.link.port}"

    @contextmanager
    def breaking(self) -> Iterator[None]:
        """Each connection breaks after as many bytes as a hundred packets have."""
        with self.link(cut_after=150_000):
            yield
            assert self.link.hits > 3, "connections that broke"
        served = {str(each["api"]) for each in self.proxy.logged()}
        assert len(served) > 1, served


@pytest.fixture
def broken_line(stack: Stack, tmp_path: Path) -> Iterator[BrokenLine]:
    stack.wait_for_the_api()  # a test before may have killed it
    with (
        two_replicas_behind_the_proxy(stack, tmp_path) as proxy,
        links(line=proxy.port) as opened,
    ):
        yield BrokenLine(opened["line"], proxy)


@pytest.mark.slow
def test_tus_over_a_line_that_breaks_and_breaks(
    open_page: Open, broken_line: BrokenLine, large: FilePayload, tmp_path: Path
) -> None:
    opened = open_page("tus", service=broken_line.service)
    with broken_line.breaking():
        opened.page.get_by_label("Copy").set_input_files(tmp_path / "large.pdf")
        status = opened.page.get_by_role("status")
        expect(status).to_have_text("large.pdf is stored", timeout=PATIENCE)
    opened.expect_in_the_bucket(large)


@pytest.mark.slow
def test_uppy_with_tus_over_a_line_that_breaks_and_breaks(
    open_page: Open, broken_line: BrokenLine, large: FilePayload, tmp_path: Path
) -> None:
    opened = open_page("uppy", script="resumable.js", service=broken_line.service)
    with broken_line.breaking():
        choose = opened.page.locator("input.uppy-Dashboard-input").first
        choose.set_input_files(tmp_path / "large.pdf")
        done = opened.page.get_by_text("Complete", exact=True)
        expect(done).to_be_visible(timeout=PATIENCE)
    opened.expect_in_the_bucket(large)


@pytest.mark.slow
def test_filepond_in_chunks_over_a_line_that_breaks_and_breaks(
    open_page: Open, broken_line: BrokenLine
) -> None:
    code = in_chunks("filepond", BELOW_A_BREAK)
    opened = open_page("filepond", "chunks.js", code, service=broken_line.service)
    with broken_line.breaking():
        opened.page.locator("input.filepond--browser").set_input_files(LARGE)
        status = opened.page.get_by_role("status")
        expect(status).to_have_text("scan.pdf is stored", timeout=PATIENCE)
    opened.expect_in_the_bucket(LARGE)


@pytest.mark.slow
def test_dropzone_in_chunks_over_a_line_that_breaks_and_breaks(
    open_page: Open, broken_line: BrokenLine
) -> None:
    code = in_chunks("dropzone", BELOW_A_BREAK)
    opened = open_page("dropzone", "chunks.js", code, service=broken_line.service)
    with broken_line.breaking():
        opened.page.locator("input.dz-hidden-input").set_input_files(LARGE)
        expect(opened.page.locator(".dz-success")).to_be_visible(timeout=PATIENCE)
    opened.expect_in_the_bucket(LARGE)


@contextmanager
def offline_amid(opened: Opened, line: Link, choose: Callable[[], None]) -> Iterator[None]:
    """The browser's network goes away while the file is being sent, and returns at the end."""
    with line(delay=1):
        choose()
        while not any(each["progress"]["received"] for each in opened.uploads()):
            opened.page.wait_for_timeout(50)
        opened.page.context.set_offline(True)
        line.cut()
        yield
    opened.page.route("**/v1/uploads/*", by_no_api, times=1)
    with opened.page.expect_response(lambda answer: answer.status == 502):
        opened.page.context.set_offline(False)


def by_no_api(route: Route) -> None:
    """Answered in the service's place, by a proxy that can't reach it."""
    assert route.request.method == "HEAD"
    route.fulfill(status=502, headers={"Access-Control-Allow-Origin": "*"}, body="Bad gateway")


def methods_sent(page: Page) -> list[str]:
    """Of the requests from now on; a list that grows."""
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    return sent


def test_tus_goes_on_when_the_network_is_back(
    open_page: Open, stack: Stack, large: FilePayload, tmp_path: Path
) -> None:
    with links(line=stack.port) as opened_links:
        line = opened_links["line"]
        opened = open_page("tus", service=f"http://{FIRST}:{line.port}")
        choose, status = opened.page.get_by_label("Copy"), opened.page.get_by_role("status")
        sent = methods_sent(opened.page)
        with offline_amid(opened, line, lambda: choose.set_input_files(tmp_path / "large.pdf")):
            expect(status).to_have_text("large.pdf: the connection is lost", timeout=PATIENCE)
            opened.page.get_by_role("button", name="Resume").click()  # in vain, and known at once
            expect(status).to_have_text("large.pdf: the connection is lost")
        expect(status).to_have_text("large.pdf is stored", timeout=PATIENCE)
        opened.expect_in_the_bucket(large)
        assert sent.count("POST") == 1


RESUMED = """
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
const { Upload } = createRequire(process.env.PACKAGES)("tus-js-client");

const { ENDPOINT: endpoint, UPLOAD: uploadUrl, TOKEN } = process.env;
const upload = new Upload(readFileSync("large.pdf"), {
  endpoint,
  uploadUrl,
  headers: { Authorization: `Bearer ${TOKEN}` },
  retryDelays: Array(100).fill(100),
  onError: (error) => { throw error; },
  onSuccess: () => console.log(upload.url),
});
upload.start();
"""


def test_tus_js_client_goes_on_with_what_it_began_although_no_api_was_there(
    stack: Stack, large: FilePayload, tmp_path: Path
) -> None:
    """Where it reads the proxy's own answer: in Node, or on a page of the same origin."""
    form = FormClient(stack.url)
    tus = {"Tus-Resumable": "1.0.0", "Upload-Length": str(len(large["buffer"]))}
    begun = form.http.post(f"{form.path}/fields/licence/tus", headers=tus)
    names = Names()
    (tmp_path / "run.mjs").write_text(RESUMED)
    with run_proxy(tmp_path, names, stack.port) as proxy:
        env = os.environ | {
            "PACKAGES": f"{installed()}/",
            "ENDPOINT": f"{proxy.url}{form.path}/fields/licence/tus",
            "UPLOAD": f"{proxy.url}{begun.headers['location']}",
            "TOKEN": form.token,
            "NO_PROXY": "*",
        }
        words = ["node", "run.mjs"]
        with subprocess.Popen(words, cwd=tmp_path, env=env, stdout=subprocess.PIPE) as client:
            until(lambda: "HEAD" in proxy.log.read_text(), "it doesn't ask")
            names.addresses = (FIRST,)
            said, _ = client.communicate(timeout=PATIENCE / 1000)
        assert said.decode().strip() == env["UPLOAD"]
        assert "POST" not in {line["method"] for line in proxy.logged()}
    names.close()


def test_uppy_with_tus(open_page: Open, large: FilePayload, tmp_path: Path) -> None:
    opened = open_page("uppy", script="resumable.js")
    page, choose = opened.page, opened.page.locator("input.uppy-Dashboard-input").first
    for file, said in ((EMPTY, IS_EMPTY), (LOCKED, IS_LOCKED)):
        choose.set_input_files(file)
        reason = page.locator("#licence-problem")
        expect(reason).to_have_text(f"{file['name']}: {said}", timeout=PATIENCE)
        page.get_by_role("button", name="Remove file").click()
        expect(reason).to_be_empty()
    slow(page, 1_000_000)
    choose.set_input_files(tmp_path / "large.pdf")
    expect(page.get_by_text(re.compile(r"Uploading: [2-9]\d%"))).to_be_visible(timeout=PATIENCE)
    page.get_by_role("button", name="Pause").first.click()
    assert opened.upload()["status"] == "receiving"
    slow(page, -1)
    page.get_by_role("button", name="Resume").first.click()
    expect(page.get_by_text("Complete", exact=True)).to_be_visible(timeout=PATIENCE)
    opened.expect_in_the_bucket(large)
    with page.expect_response(lambda answer: answer.request.method == "DELETE"):
        page.get_by_role("button", name="Remove file").click()
    assert opened.form.read()["data"].get("licence") is None


def test_uppy_with_tus_goes_on_when_the_network_is_back(
    open_page: Open, stack: Stack, large: FilePayload, tmp_path: Path
) -> None:
    with links(line=stack.port) as opened_links:
        line = opened_links["line"]
        opened = open_page("uppy", script="resumable.js", service=f"http://{FIRST}:{line.port}")
        choose = opened.page.locator("input.uppy-Dashboard-input").first
        sent = methods_sent(opened.page)
        with offline_amid(opened, line, lambda: choose.set_input_files(tmp_path / "large.pdf")):
            pass
        done = opened.page.get_by_text("Complete", exact=True)
        expect(done).to_be_visible(timeout=PATIENCE)
        opened.expect_in_the_bucket(large)
        assert sent.count("POST") == 1


def test_dropzone(open_page: Open) -> None:
    opened = open_page("dropzone")
    page, choose = opened.page, opened.page.locator("input.dz-hidden-input")
    for file, said in ((EMPTY, IS_EMPTY), (LOCKED, IS_LOCKED)):
        choose.set_input_files(file)
        shown = page.locator(".dz-error-message").get_by_text(said)
        see(shown)
        expect(page.locator(".dz-error-message")).to_have_css("opacity", "1")
        expect(page.locator(".dz-success")).to_have_count(0)
        page.get_by_text("Remove file").click()
    choose.set_input_files(GOOD)
    expect(page.locator(".dz-success")).to_be_visible(timeout=PATIENCE)
    opened.expect_in_the_bucket(GOOD)
    with page.expect_response(lambda answer: answer.request.method == "DELETE"):
        page.get_by_text("Remove file").click()
    assert opened.form.read()["data"].get("licence") is None


def test_dropzone_with_several_files_in_one_request(open_page: Open) -> None:
    opened = open_page("dropzone", code=SEVERAL_AT_ONCE)
    page, files = opened.page, [GOOD, GOOD | {"name": "second.pdf"}]
    choose = page.locator("input.dz-hidden-input").first  # which moves to the end when it is used
    choose.set_input_files(files)
    expect(page.get_by_text("Send one file a request")).to_have_count(2)
    with page.expect_response(lambda answer: answer.request.method == "PATCH") as saved:
        choose.set_input_files(files)
    assert saved.value.status == 202
    expect(page.locator(".dz-success")).to_have_count(2)
    names = [each["filename"] for each in opened.form.read()["uploads"]["certificates"]]
    assert names == [file["name"] for file in files]


def test_filepond(open_page: Open) -> None:
    opened = open_page("filepond")
    page, choose = opened.page, opened.page.locator("input.filepond--browser")
    for file, said in ((EMPTY, IS_EMPTY), (LOCKED, IS_LOCKED)):
        choose.set_input_files(file)
        see(page.locator(".filepond--file-status-main").get_by_text(said))
        page.get_by_role("button", name="Remove").click()
    choose.set_input_files(GOOD)
    see(page.get_by_text("Upload complete"))
    opened.expect_in_the_bucket(GOOD)
    page.reload()
    see(page.locator(".filepond--file-info-main").get_by_text("licence.pdf"))
    with page.expect_response(lambda answer: answer.request.method == "DELETE"):
        page.get_by_role("button", name="Remove").click()
    assert opened.form.read()["data"].get("licence") is None


def test_filepond_speaks_its_own_protocol_without_a_line_for_it(open_page: Open) -> None:
    opened = open_page("filepond", code=FILEPOND_ALONE)
    page = opened.page
    page.locator("input.filepond--browser").set_input_files(GOOD)
    see(page.get_by_text("Upload complete"))
    upload_id = page.locator("input[type=hidden][name=filepond]").input_value()
    assert opened.form.final({"id": upload_id})["status"] == "stored"
    opened.expect_in_the_bucket(GOOD)
    page.evaluate("id => { location.hash = id; location.reload(); }", upload_id)
    see(page.locator(".filepond--file-info-main").get_by_text("licence.pdf"))
    expect(page.locator("input[type=hidden][name=filepond]")).to_have_value(upload_id)
    with page.expect_response(lambda answer: answer.request.method == "DELETE"):
        page.get_by_role("button", name="Remove").click()
    assert opened.form.read()["data"].get("licence") is None


LARGE: FilePayload = GOOD | {"name": "scan.pdf", "buffer": pdf(ballast=1_000_000)}
LOCKED_LARGE: FilePayload = LOCKED | {"buffer": pdf(password="secret", ballast=1_000_000)}


BELOW_A_BREAK = 100_000
"""Bytes of a chunk that comes whole over a connection of its own, and not as the second of one."""


def in_chunks(name: str, size: int = 300_000) -> str:
    """A page's script for chunks, with such as a test has patience for."""
    code = example(PAGES / f"{name}.md", "chunks.js")
    assert "chunkSize: 5_000_000" in code
    return code.replace("chunkSize: 5_000_000", f"chunkSize: {size}")


class Troubled:
    """Between a page and where it sends chunks to: what happens to some of them, the first being 0.
    All others go on."""

    def __init__(
        self,
        page: Page,
        where: str,
        method: str,
        what: Mapping[int, Callable[[Route], None]],
        go_on: Callable[[Route], None] = lambda route: route.continue_(),
    ) -> None:
        self.sent = 0
        self._go_on = go_on
        self._what = what
        self._method = method
        page.route(where, self._handle)

    def _handle(self, route: Route) -> None:
        if route.request.method != self._method:
            route.continue_()
            return
        number, self.sent = self.sent, self.sent + 1
        self._what.get(number, self._go_on)(route)


def break_off(route: Route) -> None:
    route.abort()


def hang(_: Route) -> None:
    pass


def test_filepond_in_chunks(open_page: Open, stack: Stack) -> None:
    def kill_the_api(route: Route) -> None:
        stack.kill("api")
        route.continue_()

    def go_on(route: Route) -> None:
        stack.wait_for_the_api()  # the library tries a few times, and a busy machine takes longer
        route.continue_()

    code = in_chunks("filepond").replace("[1000, 3000, 5000,", f"[{'700, ' * 15}")
    opened = open_page("filepond", "chunks.js", code)
    page, choose = opened.page, opened.page.locator("input.filepond--browser")
    status = page.get_by_role("status")
    choose.set_input_files(EMPTY)
    see(page.locator(".filepond--file-status-main").get_by_text(IS_EMPTY))
    page.get_by_role("button", name="Remove").click()
    choose.set_input_files(LOCKED_LARGE)
    expect(status).to_have_text(f"locked.pdf: {IS_LOCKED}", timeout=PATIENCE)
    expect(page.locator(".filepond--item")).to_have_count(0)
    trouble = {1: break_off, 3: kill_the_api}
    troubled = Troubled(page, "**/fields/licence/filepond?patch=*", "PATCH", trouble, go_on)
    choose.set_input_files(LARGE)
    expect(status).to_have_text("scan.pdf is stored", timeout=PATIENCE)
    assert troubled.sent >= 6, "four, and two again"
    opened.expect_in_the_bucket(LARGE)
    with page.expect_response(lambda answer: answer.request.method == "DELETE"):
        page.get_by_role("button", name="Remove").click()
    assert opened.form.read()["data"].get("licence") is None


def test_filepond_goes_on_where_it_was_when_a_person_tries_again(open_page: Open) -> None:
    size, rest = divmod(len(LARGE["buffer"]), 2)
    assert not rest, "so that FilePond sends a last chunk without bytes"
    code = re.sub("chunkRetryDelays: .*", "chunkRetryDelays: [],", in_chunks("filepond", size))
    opened = open_page("filepond", "chunks.js", code)
    page = opened.page
    troubled = Troubled(page, "**/fields/licence/filepond?patch=*", "PATCH", {1: break_off})
    page.locator("input.filepond--browser").set_input_files(LARGE)
    see(page.locator(".filepond--file-status-main").get_by_text("The connection broke"))
    with page.expect_response(lambda answer: answer.request.method == "HEAD") as asked:
        page.get_by_role("button", name="Retry").click()
    assert asked.value.headers["upload-offset"] == str(size)
    expect(page.get_by_role("status")).to_have_text("scan.pdf is stored", timeout=PATIENCE)
    assert troubled.sent <= 4, "the first one once"
    opened.expect_in_the_bucket(LARGE)


def test_dropzone_in_chunks(open_page: Open, stack: Stack) -> None:
    def kill_the_api(route: Route) -> None:
        stack.kill("api")
        route.continue_()

    def go_on(route: Route) -> None:
        stack.wait_for_the_api()  # the library tries a few times, and a busy machine takes longer
        route.continue_()

    opened = open_page("dropzone", "chunks.js", in_chunks("dropzone"))
    page, choose = opened.page, opened.page.locator("input.dz-hidden-input")
    for file, said in ((EMPTY, IS_EMPTY), (LOCKED_LARGE, IS_LOCKED)):
        choose.set_input_files(file)
        see(page.locator(".dz-error-message").get_by_text(said))
        expect(page.locator(".dz-success")).to_have_count(0)
        page.get_by_text("Remove file").click()
    trouble = {1: break_off, 3: kill_the_api}
    troubled = Troubled(page, "**/fields/licence/uploads", "POST", trouble, go_on)
    choose.set_input_files(LARGE)
    expect(page.locator(".dz-success")).to_be_visible(timeout=PATIENCE)
    assert troubled.sent >= 6, "four, and two again"
    opened.expect_in_the_bucket(LARGE)
    with page.expect_response(lambda answer: answer.request.method == "DELETE"):
        page.get_by_text("Remove file").click()
    assert opened.form.read()["data"].get("licence") is None


def test_what_dropzone_has_begun_is_taken_away_with_its_file(open_page: Open) -> None:
    opened = open_page("dropzone", "chunks.js", in_chunks("dropzone"))
    page = opened.page
    Troubled(page, "**/fields/licence/uploads", "POST", {2: hang})
    page.on("dialog", lambda dialog: dialog.accept())
    page.locator("input.dz-hidden-input").set_input_files(LARGE)
    page.wait_for_function(
        "document.querySelector('#licence').dropzone.files[0].upload.chunks.some((it) => it.response)"
    )
    with page.expect_response(lambda answer: answer.request.method == "DELETE"):
        page.get_by_text("Cancel upload").click()
    assert opened.form.read()["uploads"]["licence"] == []


def test_a_form_without_a_script(
    browser: Browser, stack: Stack, other_site: OtherSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    md = PAGES / "plain-html.md"
    monkeypatch.setenv("SITE", other_site.origin)
    monkeypatch.setenv("LONGSHORE_URL", stack.url)
    monkeypatch.setenv("LONGSHORE_SERVICE_KEY", stack.info["service_key"])
    back_end: dict[str, Any] = {}
    exec(example(md, "signup.py"), back_end)  # noqa: S102 - to run the page's code is the point
    form = back_end["begin"]()
    (html,) = blocks(md, "html")
    html = re.sub('action="[^"]*"', f'action="{stack.url}/v1/forms/{form["id"]}"', html)
    html = html.replace('value="lst_…"', f'value="{form["token"]}"')

    def with_reasons() -> str:
        reasons = back_end["reasons"](form["id"])
        return html.replace("<strong></strong>", f"<strong>{reasons.get('licence', '')}</strong>")

    page = browser.new_page(java_script_enabled=False)
    for file, ends_at in ((LOCKED, "/signup?code=form-incomplete&field=licence"), (GOOD, "/done")):
        other_site.pages["/signup"] = with_reasons()
        page.goto(f"{other_site.origin}/signup")
        expect(page.get_by_text(IS_LOCKED)).to_have_count(1 if file is GOOD else 0)
        page.get_by_label("Full name").fill("Ada Diaz")
        page.get_by_label("Email address").fill("ada@example.org")
        page.get_by_label("Copy of your licence").set_input_files(file)
        page.get_by_label("What I have given is true and complete").check()
        page.get_by_role("button", name="Send").click()
        expect(page).to_have_url(f"{other_site.origin}{ends_at}", timeout=PATIENCE)
    page.close()
    read = back_end["longshore"].get(f"/v1/forms/{form['id']}").json()
    assert (read["status"], read["complete"]) == ("submitted", True)


def test_curl(stack: Stack, tmp_path: Path) -> None:
    for name in ("licence.pdf", "insurance.pdf"):
        (tmp_path / name).write_bytes(pdf())
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", example(PAGES / "curl.md", "upload.sh")],
        cwd=tmp_path,
        env={**os.environ, "api": stack.url, "NO_PROXY": "*"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"{name}: stored, error: None" for name in ("licence.pdf", "insurance.pdf", "licence.pdf")
    ]


RUN_SIGNUP = """
import { File } from "node:buffer";
import { readFileSync } from "node:fs";
import { sendLicence } from "./signup.js";

const file = new File([readFileSync("licence.pdf")], "licence.pdf", { type: "application/pdf" });
console.log(JSON.stringify(await sendLicence(process.env.API, file)));
"""
STRICTER = ["--skipLibCheck", "--noUncheckedIndexedAccess", "--exactOptionalPropertyTypes"]


def test_a_typed_client_is_generated_and_compiled_and_sends_a_file(
    stack: Stack, tmp_path: Path
) -> None:
    page = PAGES / "typescript.md"
    (generate,) = re.findall(
        r"^npx (openapi-typescript .+)$", page.read_text("utf-8"), re.MULTILINE
    )
    run_tool(*shlex.split(generate.replace("$api", stack.url)), cwd=tmp_path)
    (tmp_path / "signup.ts").write_text(example(page, "signup.ts"))
    (options,) = re.findall(r"^`(--strict .+)`:$", page.read_text("utf-8"), re.MULTILINE)
    run_tool("tsc", "signup.ts", *shlex.split(options), *STRICTER, cwd=tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "run.js").write_text(RUN_SIGNUP)
    (tmp_path / "licence.pdf").write_bytes(pdf())
    env = {**os.environ, "API": stack.url, "NO_PROXY": "*"}
    done = subprocess.run(
        ["node", "run.js"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "stored"
