"""The README's pictures, taken of what runs. Only when LONGSHORE_SCREENSHOTS=1 asks for them, so
that a normal run changes no file."""

import io
import os
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.support.files import jpeg, photo
from tests.support.stack import CHECKOUT

IMAGES = CHECKOUT / "docs/images"
MAX_BYTES = 150_000

pytestmark = pytest.mark.skipif(
    os.environ.get("LONGSHORE_SCREENSHOTS") != "1",
    reason="pictures for the README: LONGSHORE_SCREENSHOTS=1",
)


@pytest.fixture
def signup(page: Page) -> Page:
    page.set_viewport_size({"width": 640, "height": 800})
    page.goto("/")
    page.get_by_label("Full name").fill("Ada Diaz")
    page.get_by_label("Email address").fill("ada@example.org")
    return page


def scan() -> bytes:
    """A page as a scanner makes it."""
    buffer = io.BytesIO()
    Image.effect_noise((1240, 1754), 40).convert("RGB").save(buffer, "PDF")
    return buffer.getvalue()


def send(page: Page, field: str, path: Path, content: bytes) -> None:
    path.write_bytes(content)
    page.get_by_label(field).set_input_files(path)


def go_on(page: Page) -> None:
    page.get_by_role("button", name="Save and continue").click()


def take(page: Page, name: str) -> None:
    target = IMAGES / name
    target.parent.mkdir(exist_ok=True)
    page.screenshot(path=target, full_page=True)
    assert target.stat().st_size < MAX_BYTES


def see(page: Page, text: str, times: int = 1) -> None:
    wanted = page.get_by_text(text, exact=True)
    for _ in range(100):
        if wanted.count() == times:
            break
        page.wait_for_timeout(200)
        page.reload()
    expect(wanted).to_have_count(times)


def test_a_section_with_stored_files(signup: Page, tmp_path: Path) -> None:
    page = signup
    send(page, "Photo of you", tmp_path / "portrait.jpg", photo())
    go_on(page)
    page.get_by_label("Licence number").fill("LMFT 128834")
    page.get_by_label("State that issued it").select_option("CA")
    page.get_by_label("Date it expires").fill("2030-03-31")
    send(page, "Copy of your licence", tmp_path / "licence.pdf", scan())
    send(page, "Certificates", tmp_path / "emdr-training.pdf", scan())
    go_on(page)
    page.get_by_role("link", name="Your licence").click()
    see(page, "Stored", times=2)
    take(page, "section-with-stored-files.png")


def test_a_rejected_file_explained(signup: Page, tmp_path: Path) -> None:
    page = signup
    send(page, "Photo of you", tmp_path / "thumbnail.jpg", jpeg())
    go_on(page)
    page.get_by_role("link", name="About you").click()
    see(page, "Not accepted")
    take(page, "rejected-file-explained.png")
