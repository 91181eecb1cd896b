"""The documents' pictures, taken of what runs. Only when LONGSHORE_SCREENSHOTS=1 asks for them, so
that a normal run changes no file."""

import io
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, expect

from tests.support.files import jpeg, pdf
from tests.support.signup_page import PATIENCE, SignupPage
from tests.support.stack import CHECKOUT, Stack

IMAGES = CHECKOUT / "docs/images"
MAX_BYTES = 120_000
COLOURS = 96
"""Of a picture: a page has few, and small pictures are kept with the code."""
SIZES = {"phone": (360, 740), "desktop": (1000, 700)}

pytestmark = [
    pytest.mark.skipif(
        os.environ.get("LONGSHORE_SCREENSHOTS") != "1",
        reason="pictures for the documents: LONGSHORE_SCREENSHOTS=1",
    ),
    pytest.mark.parametrize("stack", ["sqlite"], indirect=True, scope="session"),
    pytest.mark.parametrize(
        "signup", [(s, c) for s in SIZES for c in ("light", "dark")], indirect=True, ids="-".join
    ),
]


class Camera(SignupPage):
    """A page whose pictures are named after its size and colours."""

    view = ""

    def take(self, name: str) -> None:
        IMAGES.mkdir(exist_ok=True)
        target = IMAGES / f"signup-{self.view}{'-' if name else ''}{name}.png"
        self.page.mouse.move(0, 0)
        self.page.evaluate(
            "Promise.all([...document.images].map((each) => each.decode().catch(() => null)))"
        )
        taken = Image.open(io.BytesIO(self.page.screenshot(full_page=True)))
        taken.convert("RGB").quantize(COLOURS).save(target, optimize=True)
        assert target.stat().st_size < MAX_BYTES, target.name

    def limit_sending(self, bytes_per_second: int) -> None:
        """-1 for no limit."""
        line = {"offline": False, "latency": 0, "downloadThroughput": -1}
        self.page.context.new_cdp_session(self.page).send(
            "Network.emulateNetworkConditions", {**line, "uploadThroughput": bytes_per_second}
        )


@pytest.fixture
def signup(request: pytest.FixtureRequest, browser: Browser, stack: Stack) -> Iterator[Camera]:
    size, colours = request.param
    width, height = SIZES[size]
    context = browser.new_context(
        base_url=stack.url,
        has_touch=size == "phone",
        is_mobile=size == "phone",
        viewport={"width": width, "height": height},
        color_scheme=colours,
        reduced_motion="reduce",
    )
    camera = Camera(context.new_page())
    camera.view = f"{size}-{colours}"
    camera.open()
    yield camera
    context.close()


def portrait(wall: str = "#9db8b1", side: int = 900) -> bytes:
    """Somebody before a wall, as far as a small picture shows."""
    image = Image.new("RGB", (900, 900), wall)
    draw = ImageDraw.Draw(image)
    draw.ellipse((140, 560, 760, 1300), fill="#2f5d62")
    draw.ellipse((290, 150, 610, 520), fill="#d9a27e")
    draw.chord((280, 110, 620, 470), 170, 370, fill="#3b2a20")
    buffer = io.BytesIO()
    image.resize((side, side)).save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def test_every_section_and_state_has_its_picture(signup: Camera, tmp_path: Path) -> None:
    page = signup.page

    def file(name: str, content: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    page.get_by_role("button", name="Save and continue").click()
    expect(page.get_by_role("alert")).to_be_visible()
    signup.take("mistakes")
    signup.fill(full_name="Ada Diaz", email="ada@example.org", phone="555 0100")
    signup.choose("headshot", file("portrait.jpg", portrait()))
    expect(signup.line("portrait.jpg")).to_contain_text("Stored", timeout=PATIENCE)
    signup.go_on()
    signup.is_at("Your licence")
    signup.fill(licence_number="LMFT 128834", licence_expires="2030-03-31")
    page.get_by_label("State that issued it").select_option("CA")
    signup.choose("licence", file("licence.pdf", pdf()))
    expect(signup.line("licence.pdf")).to_contain_text("Stored", timeout=PATIENCE)
    signup.limit_sending(40_000)
    signup.choose("certificates", file("emdr-training.jpg", portrait("#b7c4d6", 4000)))
    expect(signup.line("emdr-training.jpg")).to_contain_text(re.compile("Uploading [3-9]. %"))
    page.get_by_role("heading", level=1).focus()
    signup.take("")
    signup.go_to("Check and send")
    signup.take("needed")
    signup.go_to("Your licence")
    signup.limit_sending(-1)
    page.get_by_role("button", name=re.compile("(Cancel|Remove) emdr-training.jpg")).click()
    signup.go_to("Documents")
    signup.choose("resume", file("résumé.jpg", jpeg()))
    expect(signup.line("résumé.jpg")).to_contain_text("must be")
    page.get_by_label("What I have given is true").check()
    signup.take("refused")
    signup.choose("resume", file("résumé.pdf", pdf(password="sesame")))
    expect(signup.line("résumé.pdf")).to_contain_text("password protected", timeout=PATIENCE)
    signup.go_to("Your practice")
    expect(page.get_by_text("1 problem in Documents")).to_be_visible()
    page.context.set_offline(True)
    expect(page.get_by_text("You are offline")).to_be_visible()
    page.get_by_role("heading", level=1).focus()
    signup.take("offline")
    page.context.set_offline(False)
    signup.go_to("Check and send")
    expect(page.get_by_text("You can send without it.")).to_be_visible()
    signup.take("check")
    page.get_by_role("button", name="Send", exact=True).click()
    signup.is_sent()
    signup.take("end")
