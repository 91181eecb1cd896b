"""A page of an application with `<longshore-file>` in it, under a strict content security policy."""

from collections.abc import Callable
from typing import Any

from playwright.sync_api import FilePayload, Locator, Page, Route, expect

from tests.support.client import FormClient

ADDRESS = "/an-application"
POLICY = {"Content-Security-Policy": "default-src 'self'; img-src 'self' blob:"}
PATIENCE = 120_000
expect.set_options(timeout=PATIENCE)  # of a machine with much else to do

_SCRIPT = """
import * as longshore from '%(module)s';
longshore.configure({headers: {Authorization: 'Bearer %(token)s'}});
Object.assign(window, {longshore, heard: []});
for (const kind of ['select', 'progress', 'status', 'stored', 'reject', 'error']) {
  document.addEventListener(`longshore-${kind}`, ({detail}) => heard.push({kind, ...detail, upload: undefined, waitUntil: undefined}));
}
"""


def field(form: FormClient, name: str, attributes: str = "", within: str = "") -> str:
    """One field around a real label and input, as a page has it that works without scripts."""
    many = "multiple" if name == "certificates" else ""
    return f"""
      <longshore-file form-url="{form.path}" name="{name}" {attributes}>
        <label for="{name}">File for {name}</label> {within}
        <input type="file" id="{name}" name="{name}" {many}>
      </longshore-file>"""


def show(
    page: Page,
    form: FormClient,
    body: str,
    *,
    script: str = "",
    policy: dict[str, str] = POLICY,
    module: str = "/static/longshore.js",
) -> None:
    """Lead the page to an application that has `body`, its scripts in a file of their own."""
    document = (
        '<!doctype html><html lang="en"><title>An application</title>'
        f'<script type="module" src="{ADDRESS}.js"></script>'
        f'<form id="application">{body}</form>'
    )
    source = _SCRIPT % {"module": module, "token": form.token} + script
    page.route(
        f"**{ADDRESS}",
        lambda route: route.fulfill(body=document, content_type="text/html", headers=policy),
    )
    page.route(
        f"**{ADDRESS}.js", lambda route: route.fulfill(body=source, content_type="text/javascript")
    )
    page.goto(ADDRESS)
    page.locator("longshore-file button.choose").first.wait_for()


def choose(page: Page, name: str, *files: tuple[str, bytes], kind: str = "") -> None:
    """Choose files in the field, as the person does in the browser's own window."""
    page.locator(f"longshore-file[name={name}] input").set_input_files(
        [payload(*each, kind=kind) for each in files]
    )


def payload(filename: str, content: bytes, kind: str = "") -> FilePayload:
    """A file as Playwright wants it."""
    return {"name": filename, "mimeType": kind, "buffer": content}


def line(page: Page, filename: str, status: str = "") -> Locator:
    """What is shown of an upload, if it has this status."""
    stands = f'[data-status="{status}"]' if status else ""
    return page.locator(f"longshore-file li{stands}").filter(has_text=filename)


def wait_for(page: Page, filename: str, status: str) -> None:
    line(page, filename, status).wait_for(timeout=PATIENCE)


def heard(page: Page, kind: str) -> list[dict[str, Any]]:
    """The details of the element's events of a kind, in order."""
    told: list[dict[str, Any]] = page.evaluate("heard")
    return [each for each in told if each["kind"] == kind]


def on_sending(page: Page, handler: Callable[[Route], None]) -> None:
    """Have a say in each request that sends a file."""
    page.route(
        "**/fields/*/uploads",
        lambda route: handler(route) if route.request.method == "POST" else route.fallback(),
    )


def uploads(form: FormClient, name: str) -> list[dict[str, Any]]:
    """The field's uploads at the service."""
    return list(form.read()["uploads"][name])
