"""The demo form and the API docs, in a real browser."""

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.support.files import jpeg, pdf, photo

PATIENCE = 30_000


def test_a_person_signs_up_while_their_photo_is_processed(page: Page, tmp_path: Path) -> None:
    picture, licence = tmp_path / "me.jpg", tmp_path / "licence.pdf"
    picture.write_bytes(photo())
    licence.write_bytes(pdf())
    page.goto("/")
    page.get_by_label("Photo of you").set_input_files(picture)
    page.get_by_label("Full name").fill("Ann Example")
    page.get_by_label("Email address").fill("nobody")
    page.get_by_label("Phone number").fill("555 0100")
    page.get_by_label("Copy of your licence").set_input_files(licence)
    page.get_by_label("What I have given is true").check()
    expect(page.get_by_text("me.jpg: stored")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("must be an email address")).to_be_visible()
    page.get_by_label("Email address").fill("ann@example.org")
    page.get_by_label("Email address").blur()
    expect(page.get_by_text("must be an email address")).to_be_hidden()
    expect(page.get_by_text("licence.pdf: stored")).to_be_visible(timeout=PATIENCE)
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_text("Everything has arrived")).to_be_visible(timeout=PATIENCE)


def test_a_rejected_file_is_explained_and_can_be_removed(page: Page, tmp_path: Path) -> None:
    small = tmp_path / "tiny.jpg"
    small.write_bytes(jpeg())
    page.goto("/")
    page.get_by_label("Photo of you").set_input_files(small)
    said = page.get_by_text("tiny.jpg: The selected image must be at least 400 × 400 pixels")
    expect(said).to_be_visible(timeout=PATIENCE)
    page.get_by_role("button", name="Remove tiny.jpg").click()
    expect(said).to_be_hidden()
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_text("Full name is required")).to_be_visible()


def test_the_page_itself_creates_nothing_and_sets_no_cookie(page: Page) -> None:
    requests: list[str] = []
    page.on("request", lambda request: requests.append(f"{request.method} {request.url}"))
    page.goto("/")
    expect(page.get_by_label("Photo of you")).to_be_visible()
    assert not [each for each in requests if not each.startswith("GET")]
    assert page.context.cookies() == []


def test_the_api_docs_are_served_without_a_cdn(page: Page) -> None:
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
    page.goto("/docs")
    expect(page.get_by_text("/v1/forms/{form_id}/submit")).to_be_visible(timeout=PATIENCE)
    assert hosts == {page.url.split("/")[2]}
