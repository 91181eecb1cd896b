"""Images look as a browser shows them, whatever they say of their colours."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page

from tests.formats.pictures import difference, run
from tests.support import odd_images as odd
from tests.support.chromium import chromium
from tests.support.images import encode, srgb_profile
from tests.support.odd_images import photo

_DRAW = """async (address) => {
  const image = new Image();
  image.src = address;
  await image.decode();
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  const context = canvas.getContext('2d', {colorSpace: 'srgb'});
  context.fillStyle = 'white';
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0);
  return canvas.toDataURL('image/png');
}"""


@pytest.fixture(scope="module")
def empty_page() -> Iterator[Page]:
    with chromium() as browser:
        yield browser.new_page()


def as_browsers_show(page: Page, content: bytes, media_type: str) -> Image.Image:
    """On white, in sRGB."""
    address = f"data:{media_type};base64,{base64.b64encode(content).decode()}"
    drawn = page.evaluate(_DRAW, address)
    return Image.open(io.BytesIO(base64.b64decode(drawn.partition(",")[2])))


@pytest.mark.parametrize(
    "content",
    [
        odd.png_with(photo(), odd.cicp(12, 13)),
        odd.png_with(photo(), odd.cicp(9, 1)),
        odd.png_with(photo(), odd.cicp(9, 14)),
        odd.png_with(photo(), odd.cicp(1, 8)),
        odd.png_with(photo(), odd.cicp(1, 13), odd.iccp(odd.swapped_profile())),
        odd.png_with(photo(), odd.cicp(12, 13), odd.iccp(srgb_profile()), odd.gama(1.0)),
        odd.png_with(photo(), odd.iccp(odd.swapped_profile()), odd.gama(1.0)),
        odd.png_with(photo(), (b"sRGB", b"\0"), odd.gama(1.0)),
        odd.png_with(photo(), odd.gama(1.0)),
        odd.png_with(photo(), odd.gama(0.45455)),
        odd.png_with(photo(), odd.gama(0.55)),
        odd.png_with(photo(), odd.gama(0.45455), odd.chrm(*odd.DISPLAY_P3)),
        odd.png_with(photo(mode="L"), odd.gama(1.0)),
        odd.png_with(photo(mode="RGBA"), odd.cicp(12, 13)),
        odd.deep_png(6),
    ],
    ids=[
        "cICP: P3", "cICP: BT.2020", "cICP: BT.2020 of ten bits", "cICP: linear",
        "cICP before iCCP", "cICP before all", "iCCP before gAMA", "sRGB before gAMA",
        "gAMA of 1", "gAMA of sRGB", "gAMA of 0.55", "gAMA and cHRM", "grey with gAMA",
        "P3 with alpha", "16 bits with alpha",
    ],
)  # fmt: skip
def test_a_png_is_stored_in_the_colours_that_a_browser_shows(
    tmp_path: Path, empty_page: Page, content: bytes
) -> None:
    shown = as_browsers_show(empty_page, content, "image/png")
    assert difference(run(tmp_path, content).image("copy"), shown) <= 2


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF", "GIF"])
@pytest.mark.parametrize("profile", [None, "p3"])
def test_other_formats_are_too(
    tmp_path: Path, empty_page: Page, kind: str, profile: str | None
) -> None:
    options = {"icc_profile": odd.builtin_profile(profile)} if profile else {}
    content = encode(photo(), kind, **options)
    shown = as_browsers_show(empty_page, content, f"image/{kind.lower()}")
    assert difference(run(tmp_path, content).image("copy"), shown) <= 2


@pytest.mark.parametrize("transfer", [16, 18], ids=["PQ", "HLG"])
def test_brighter_than_white_is_pressed_together_as_browsers_do(
    tmp_path: Path, empty_page: Page, transfer: int
) -> None:
    """Of greys: what becomes of colours beyond the screen's is each browser's own."""
    content = odd.png_with(photo(mode="L").convert("RGB"), odd.cicp(9, transfer))
    shown = as_browsers_show(empty_page, content, "image/png")
    assert difference(run(tmp_path, content).image("copy"), shown) <= 4
