"""The page of the API docs in a real browser, as somebody uses it who tries the API out."""

import json

import pytest
from playwright.sync_api import FilePayload, Locator, Page, Response

from tests.support.files import jpeg

pytestmark = pytest.mark.parametrize("stack", ["sqlite"], indirect=True)

PATIENCE = 120_000
"""Milliseconds: the page is large, and a busy machine takes its time to draw it."""


def test_a_form_is_made_and_a_file_sent_by_try_it_out_with_what_is_filled_in(page: Page) -> None:
    elsewhere: list[str] = []
    page.set_default_timeout(PATIENCE)
    page.on("request", lambda each: elsewhere.append(each.url))
    page.goto("/docs")
    created = execute(page, opened(page, "forms-create_form"))
    assert created.status == 201
    form = json.loads(created.text())

    page.locator("button.authorize").first.click()
    token = page.locator(".auth-container").filter(has_text="form_token")
    token.locator("input").fill(form["token"])
    token.locator("button[type=submit]").click()
    page.locator(".close-modal").click()

    upload = opened(page, "uploads-upload_multipart")
    upload.get_by_placeholder("form_id").fill(form["id"])
    photo = FilePayload(name="photo.jpg", mimeType="image/jpeg", buffer=jpeg(600, 500))
    upload.locator("input[type=file]").set_input_files(photo)
    sent = execute(page, upload)
    assert sent.status == 202
    assert json.loads(sent.text())["field"] == "headshot"
    own = page.url.partition("/docs")[0]
    assert [url for url in elsewhere if not url.startswith((own, "data:", "blob:"))] == []


def opened(page: Page, name: str) -> Locator:
    operation = page.locator(f"#operations-{name}")
    operation.locator("button.opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    return operation


def execute(page: Page, operation: Locator) -> Response:
    with page.expect_response(lambda answer: answer.request.method == "POST") as got:
        operation.get_by_role("button", name="Execute").click()
    return got.value
