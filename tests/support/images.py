"""Make the files that people, cameras and attackers send. Pillow and pikepdf only, no fixtures."""

import io
import struct
import zlib
from typing import Any

import pikepdf
from PIL import Image, ImageCms

GPS_MARKER = b"LONGSHORE-GPS-MARK"
"""Written into EXIF's GPS block, its description and its thumbnail, to be searched for later."""

RED, GREEN, BLUE, WHITE = (200, 30, 30), (30, 180, 30), (30, 30, 200), (255, 255, 255)


def picture(size: tuple[int, int] = (120, 80), mode: str = "RGB") -> Image.Image:
    """Red, green, blue and white quarters, clockwise from the top left."""
    middle = (size[0] // 2, size[1] // 2)
    image = Image.new("RGB", size, RED)
    image.paste(GREEN, (middle[0], 0, size[0], middle[1]))
    image.paste(BLUE, (*middle, *size))
    image.paste(WHITE, (0, middle[1], middle[0], size[1]))
    if mode == "P":
        return image.quantize(16)
    return image.convert(mode)


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def jpeg(size: tuple[int, int] = (120, 80), mode: str = "RGB", **options: Any) -> bytes:
    return encode(picture(size, mode), "JPEG", **{"quality": 95, "subsampling": 0, **options})


def png(size: tuple[int, int] = (120, 80), mode: str = "RGB", **options: Any) -> bytes:
    return encode(picture(size, mode), "PNG", **options)


def webp(size: tuple[int, int] = (120, 80), **options: Any) -> bytes:
    return encode(picture(size), "WEBP", **{"quality": 95, **options})


def animated_webp(frames: int = 5) -> bytes:
    images = [picture(), *(Image.new("RGB", (120, 80), (0, 0, n * 40)) for n in range(1, frames))]
    return encode(images[0], "WEBP", save_all=True, append_images=images[1:], lossless=True)


def camera_jpeg(orientation: int) -> bytes:
    """Upright it shows `picture()`, stored as a camera held that way would; with a location."""
    undo: dict[int, list[Image.Transpose]] = {
        1: [],
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_90],
        7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }
    image = picture()
    for turn in undo[orientation]:
        image = image.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = GPS_MARKER.decode()  # the description
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2] = "N", (52.0, 31.0, 12.0)
    gps[3], gps[4] = "E", (13.0, 24.0, 18.0)
    gps[27] = GPS_MARKER  # the method: free bytes
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">' + GPS_MARKER + b"</x:xmpmeta>"
    return encode(
        image,
        "JPEG",
        quality=95,
        subsampling=0,
        exif=exif.tobytes(),
        xmp=xmp,
        comment=GPS_MARKER,
        icc_profile=srgb_profile(),
    )


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def deep_png() -> bytes:
    """Sixteen bits a channel, which Pillow can't write in colour."""
    row = b"\x00" + struct.pack(">3H", 0x8080, 0x1234, 0xFFFF) * 4
    return png_of(width=4, height=3, depth=16, colour=2, pixels=row * 3)


def header_bomb(width: int = 60_000, height: int = 60_000) -> bytes:
    """Claims more pixels than it could ever hold."""
    return png_of(width=width, height=height, depth=8, colour=2, pixels=bytes(1000))


def text_bomb(megabytes: int = 300) -> bytes:
    """A good picture with a comment that inflates to so much."""
    packer = zlib.compressobj(9, wbits=-15)
    million_zeros = packer.compress(bytes(1_000_000)) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = 1
    for _ in range(megabytes):
        checksum = zlib.adler32(bytes(1_000_000), checksum)
    end = b"\x03\x00" + struct.pack(">I", checksum)
    comment = b"\x78\xda" + million_zeros * megabytes + end
    good, after_header = png(), 33
    return good[:after_header] + _chunk(b"iTXt", b"x\0\1\0\0\0" + comment) + good[after_header:]


def png_of(*, width: int, height: int, depth: int, colour: int, pixels: bytes) -> bytes:
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
        + _chunk(b"IDAT", zlib.compress(pixels))
        + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def jpeg_with_segment(marker: bytes, data: bytes) -> bytes:
    good = jpeg()
    return good[:2] + marker + struct.pack(">H", 2 + len(data)) + data + good[2:]


def pdf(pages: int = 2, **options: Any) -> bytes:
    document = pikepdf.new()
    for _ in range(pages):
        document.add_blank_page()
        document.pages[-1].Contents = document.make_stream(b"BT ET " * 100)
    out = io.BytesIO()
    document.save(out, **options)
    return out.getvalue()


def encrypted_pdf(*, to_open: str = "", to_edit: str = "secret") -> bytes:
    return pdf(encryption=pikepdf.Encryption(user=to_open, owner=to_edit))
