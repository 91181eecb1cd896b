"""Files to send: real ones, made here."""

import io
import random
from functools import cache

import pikepdf
from PIL import Image


@cache
def png(width: int = 40, height: int = 30, colour: str = "teal") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, "PNG")
    return buffer.getvalue()


@cache
def jpeg(width: int = 200, height: int = 150) -> bytes:
    buffer = io.BytesIO()
    noise = Image.effect_noise((width, height), 60).convert("RGB")
    noise.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


@cache
def photo() -> bytes:
    """12 megapixels as a phone saves them: lying on its side, with the place it was taken at.

    The left half is red, the right half blue; upright, red is on top.
    """
    image = Image.effect_noise((4000, 3000), 40).convert("RGB")
    image.paste(Image.blend(image.crop((0, 0, 2000, 3000)), _plain("red", 2000, 3000), 0.8), (0, 0))
    right = Image.blend(image.crop((2000, 0, 4000, 3000)), _plain("blue", 2000, 3000), 0.8)
    image.paste(right, (2000, 0))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90° to see it upright
    exif[0x010F] = "LongshoreCam"
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2], gps[3], gps[4] = "N", (48.0, 51.0, 29.0), "E", (2.0, 17.0, 40.0)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=88, exif=exif)
    return buffer.getvalue()


def _plain(colour: str, width: int, height: int) -> Image.Image:
    return Image.new("RGB", (width, height), colour)


@cache
def pdf(*, password: str = "", pages: int = 1, ballast: int = 0) -> bytes:
    """`ballast`: so many bytes that nothing shortens."""
    document = pikepdf.new()
    for _ in range(pages):
        document.add_blank_page()
    if ballast:
        noise = random.Random(pages).randbytes(ballast)  # noqa: S311 - no secret
        document.Root["/Ballast"] = document.make_stream(noise)
    buffer = io.BytesIO()
    if password:
        document.save(buffer, encryption=pikepdf.Encryption(owner=password, user=password))
    else:
        document.save(buffer)
    return buffer.getvalue()
