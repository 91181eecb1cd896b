"""Odd but honest images are accepted, and stored as viewers show them."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pyvips
from PIL import Image, ImageOps

from shared.formats import FORMATS
from shared.policy import FilePolicy
from tests.formats.pictures import IMAGES, as_pillow_shows, difference, run
from tests.support import images
from tests.support import odd_images as odd
from tests.support.beginnings import begins_as_told
from tests.support.images import encode, picture
from tests.support.odd_images import photo
from worker.formats.detect import detect
from worker.sandbox import Decoder

GIF, JPEG, PNG, TIFF, WEBP = (f"image/{each}" for each in ("gif", "jpeg", "png", "tiff", "webp"))
CONVERTED, REPAIRED, STRIPPED = {"converted"}, {"repaired"}, {"metadata-removed"}


@dataclass(frozen=True)
class Row:
    """One file: how it is made, and what becomes of it."""

    name: str
    build: Callable[[], bytes]
    stored: str
    size: tuple[int, int] = (120, 80)
    notices: set[str] = field(default_factory=set)
    shows: Callable[[], Image.Image] | None = None
    """What a viewer shows; otherwise Pillow is asked."""
    within: float = 2.0
    """The greatest mean difference from it, in steps of 255."""


def rows_of_jpeg() -> list[Row]:
    def row(name: str, build: Callable[[], bytes], *rest: Any, **named: Any) -> Row:
        return Row(f"jpeg {name}", build, JPEG, *rest, **named)

    def plain() -> bytes:
        return encode(photo(), "JPEG")

    small = (90, 60)
    return [
        row("plain", plain, small),
        row("grey", lambda: encode(photo(mode="L"), "JPEG"), small),
        row("cmyk", lambda: encode(photo(mode="CMYK"), "JPEG"), small, within=30),
        row("cmyk with profile", lambda: encode(photo(mode="CMYK"), "JPEG", quality=95, icc_profile=odd.builtin_profile("cmyk")), small, within=3),
        row("progressive", lambda: encode(photo(), "JPEG", progressive=True), small),
        row("optimised", lambda: encode(photo(), "JPEG", optimize=True), small),
        *[row(f"subsampling {each}", partial(encode, photo((91, 61)), "JPEG", subsampling=each), (91, 61)) for each in (0, 1, 2)],
        row("kept as RGB", lambda: encode(photo(), "JPEG", keep_rgb=True, quality=95), small),
        row("restart intervals", lambda: encode(photo(), "JPEG", restart_marker_blocks=3), small),
        row("lowest quality", lambda: encode(photo(), "JPEG", quality=1), small),
        row("a single pixel", lambda: encode(photo((1, 1)), "JPEG"), (1, 1)),
        row("one wide", lambda: encode(photo((1, 200)), "JPEG"), (1, 200)),
        row("one high", lambda: encode(photo((200, 1)), "JPEG"), (200, 1)),
        row("wide gamut", lambda: encode(photo(), "JPEG", icc_profile=odd.builtin_profile("p3"), quality=95), small),
        row("swapped colours", lambda: encode(photo(), "JPEG", icc_profile=odd.swapped_profile(), quality=95), small),
        row("grey with a profile", lambda: encode(photo(mode="L"), "JPEG", icc_profile=odd.grey_profile(1.0), quality=95), small),
        row("a broken profile", lambda: encode(photo(), "JPEG", icc_profile=b"no profile" * 30), small, shows=lambda: as_pillow_shows(plain())),
        row("a profile of another kind", lambda: encode(photo(), "JPEG", icc_profile=odd.builtin_profile("cmyk")), small, shows=lambda: as_pillow_shows(plain())),
        row("an odd segment", lambda: images.jpeg_with_segment(b"\xff\xe5", b"odd")),
        row("a comment", lambda: images.jpeg(comment=b"hello")),
        row("a camera's EXIF", lambda: images.jpeg(exif=odd.exif(1, Make="Cam")), notices=STRIPPED),
        row("EXIF that is none", lambda: images.jpeg(exif=b"Exif\0\0none")),
        row("an orientation of 9", lambda: images.jpeg(exif=odd.exif(9)), shows=picture),
        row("two pictures", odd.multi_picture),
        row("a film behind", odd.motion_photo),
        row("zeros behind", lambda: images.jpeg() + bytes(999)),
        row("no end", lambda: images.jpeg()[:-2], notices=REPAIRED, shows=picture),
        row("half an end", lambda: images.jpeg()[:-1], notices=REPAIRED, shows=picture),
        row("progressive without an end", lambda: images.jpeg(progressive=True)[:-2], notices=REPAIRED, shows=picture),
        row("junk before its end", lambda: images.jpeg()[:-2] + b"junk" * 9 + b"\xff\xd9", shows=picture),
        *[row(f"orientation {each}", partial(odd.oriented, "JPEG", each, quality=95), shows=picture) for each in range(1, 9)],
    ]  # fmt: skip


def rows_of_png() -> list[Row]:
    def row(name: str, build: Callable[[], bytes], *rest: Any, **named: Any) -> Row:
        return Row(f"png {name}", build, PNG, *rest, **named)

    small, flat = (90, 60), (8, 6)
    colour, grey = Image.new("RGB", flat, (195, 78, 39)), Image.new("L", flat, 156)
    return [
        *[row(mode, partial(encode, photo(mode=mode), "PNG"), small) for mode in ("RGB", "RGBA", "L", "LA", "P", "1")],
        row("palette with a clear colour", lambda: encode(photo(mode="P"), "PNG", transparency=3), small),
        row("grey with a clear level", lambda: encode(Image.new("L", small, 90), "PNG", transparency=90), small),
        row("interlaced", lambda: vips_png(photo(), interlace=True), small),
        row("16 bits", lambda: odd.deep_png(2), flat, shows=lambda: colour),
        row("16 bits, alpha", lambda: odd.deep_png(6), flat, shows=lambda: colour),
        row("16 bits, all clear", lambda: odd.deep_png(6, alpha=0), flat, shows=lambda: Image.new("RGB", flat, "white")),
        row("16 bits, grey", lambda: odd.deep_png(0), flat, shows=lambda: grey),
        row("16 bits, grey, alpha", lambda: odd.deep_png(4), flat, shows=lambda: grey),
        row("16 bits, alpha, profile", lambda: with_chunk(odd.deep_png(6), odd.iccp(images.srgb_profile())), flat, shows=lambda: colour),
        *[row(f"{bits} bits of grey", partial(odd.low_depth_png, bits), flat) for bits in (1, 2, 4)],
        row("wide gamut", lambda: encode(photo(), "PNG", icc_profile=odd.builtin_profile("p3")), small),
        row("grey with a profile", lambda: encode(photo(mode="L"), "PNG", icc_profile=odd.grey_profile(1.0)), small),
        row("grey with a colour profile", lambda: encode(photo(mode="L"), "PNG", icc_profile=images.srgb_profile()), small, shows=lambda: photo(mode="L")),
        row("a broken profile", lambda: odd.png_with(photo(), odd.iccp(b"none" * 50)), small, shows=photo),
        row("sRGB before gamma", lambda: odd.png_with(photo(), (b"sRGB", b"\0"), odd.gama(1.0)), small, shows=photo),
        row("a profile before gamma", lambda: odd.png_with(photo(), odd.iccp(images.srgb_profile()), odd.gama(1.0)), small, shows=photo),
        row("gamma of sRGB", lambda: odd.png_with(photo(), odd.gama(0.45455)), small, shows=photo),
        row("two gammas", lambda: odd.png_with(photo(), odd.gama(0.45455), odd.gama(1.0)), small, shows=photo),
        row("a gamma of nothing", lambda: odd.png_with(photo(), odd.gama(0)), small, shows=photo),
        row("cICP of sRGB before a profile", lambda: odd.png_with(photo(), odd.cicp(1, 13), odd.iccp(odd.swapped_profile())), small, shows=photo),
        row("cICP of P3", lambda: odd.png_with(photo(), odd.cicp(12, 13)), small, shows=lambda: as_pillow_shows(encode(photo(), "PNG", icc_profile=odd.builtin_profile("p3")))),
        row("cICP that nobody knows", lambda: odd.png_with(photo(), odd.cicp(200, 200)), small, shows=photo),
        row("comments", lambda: odd.png_with(photo(), (b"tEXt", b"Comment\0hello")), small, notices=STRIPPED),
        row("compressed comments", lambda: images.text_bomb(1), notices=STRIPPED),
        row("animated", odd.animated_png, (50, 40), notices={"animation-dropped"}),
        row("a single pixel", lambda: encode(photo((1, 1)), "PNG"), (1, 1)),
        row("one high", lambda: encode(photo((3000, 1)), "PNG"), (3000, 1)),
        *[row(f"orientation {each}", partial(odd.oriented, "PNG", each), shows=picture) for each in (3, 6, 8)],
        row("wrong checksum of pixels", lambda: odd.png_with(photo(), wrong=(b"IDAT",)), small, notices=REPAIRED, shows=photo),
        row("wrong checksum of a comment", lambda: odd.png_with(photo(), (b"tEXt", b"a\0b"), wrong=(b"tEXt",)), small, notices=REPAIRED | STRIPPED, shows=photo),
        row("wrong checksum of the end", lambda: odd.png_with(photo(), wrong=(b"IEND",)), small, notices=REPAIRED, shows=photo),
        row("wrong checksum in the stream", lambda: odd.png_with_stream(photo(), lambda s: s[:-4] + b"abcd"), small, notices=REPAIRED, shows=photo),
        row("no checksum in the stream", lambda: odd.png_with_stream(photo(), lambda s: s[:-4]), small, notices=REPAIRED, shows=photo),
        row("repeats farther back than it says", lambda: odd.png_with_stream(photo(), lambda s: b"\x18\x19" + s[2:]), small, notices=REPAIRED, shows=photo),
        row("more in the stream", lambda: odd.png_with_stream(photo(), lambda s: s + b"more"), small, shows=photo),
        row("no end", lambda: encode(photo(), "PNG")[:-12], small, notices=REPAIRED, shows=photo),
        row("a cut end", lambda: encode(photo(), "PNG")[:-3], small, notices=REPAIRED, shows=photo),
        row("junk behind", lambda: encode(photo(), "PNG") + b"junk" * 99, small, shows=photo),
    ]  # fmt: skip


def rows_of_others() -> list[Row]:
    small, still, tiles = (90, 60), (50, 40), (96, 64)

    def webp(**options: Any) -> bytes:
        return encode(photo(), "WEBP", **{"quality": 95, **options})

    def vips_of(mode: str = "RGB") -> pyvips.Image:
        return odd.vips(photo(mode=mode))

    odd_sized = ((50, 40), (80, 20))
    dropped = {"animation-dropped"}
    return [
        Row("webp lossy", webp, WEBP, small),
        Row("webp lossless", lambda: webp(lossless=True), WEBP, small),
        Row("webp alpha", lambda: encode(photo(mode="RGBA"), "WEBP", quality=95), WEBP, small),
        Row("webp wide gamut", lambda: webp(icc_profile=odd.builtin_profile("p3")), WEBP, small),
        Row("webp animated", lambda: odd.animated("WEBP"), WEBP, still, dropped),
        Row("webp orientation 6", lambda: odd.oriented("WEBP", 6, quality=95), WEBP, shows=picture),
        *[Row(f"webp size wrong by {n}", partial(odd.riff, webp(), n), WEBP, small, REPAIRED, webp_shown(webp)) for n in (2, -2)],
        Row("webp a byte short", lambda: webp()[:-1], WEBP, small, REPAIRED, webp_shown(webp)),
        Row("webp cut in its XMP", lambda: webp(xmp=b"<x>" + images.GPS_MARKER * 9)[:-30], WEBP, small, REPAIRED | STRIPPED, webp_shown(webp)),
        Row("webp junk behind", lambda: webp() + b"junk" * 9, WEBP, small),
        Row("gif", lambda: encode(photo(mode="P"), "GIF"), GIF, small),
        Row("gif clear", lambda: encode(photo(mode="P"), "GIF", transparency=0), GIF, small),
        Row("gif interlaced", lambda: encode(photo(mode="P"), "GIF", interlace=1), GIF, small),
        Row("gif in the middle", lambda: odd.gif_placed(photo(mode="P"), (120, 100), (20, 30)), GIF, (120, 100), shows=in_the_middle),
        Row("gif animated in the middle", lambda: odd.gif_film_placed(photo(mode="P"), (120, 100), (20, 30)), GIF, (120, 100), dropped, in_the_middle),
        Row("gif of a colour that it has no table for", lambda: odd.gif_placed(Image.new("P", small, 3), small, (0, 0)).replace(b"GIF87a", b"GIF89a"), GIF, small, shows=lambda: Image.new("RGB", small)),
        Row("gif animated", lambda: odd.animated("GIF"), GIF, still, dropped),
        Row("gif no end", lambda: encode(photo(mode="P"), "GIF")[:-1], GIF, small, REPAIRED),
        Row("gif cut in a later frame", lambda: odd.animated("GIF")[:-20], GIF, still, dropped | REPAIRED),
        *[Row(f"tiff {mode}", partial(encode, photo(mode=mode), "TIFF"), TIFF, small) for mode in ("1", "L", "P", "RGB", "RGBA", "LA")],
        Row("tiff YCbCr", lambda: encode(photo(mode="YCbCr"), "TIFF"), TIFF, small, shows=photo, within=2),
        Row("tiff CMYK", lambda: encode(photo(mode="CMYK"), "TIFF"), TIFF, small, within=30),
        *[Row(f"tiff {c}", partial(encode, photo(), "TIFF", compression=c), TIFF, small) for c in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")],
        Row("tiff fax", lambda: encode(photo(mode="1"), "TIFF", compression="group4"), TIFF, small),
        *[Row(f"tiff {c}, tags out of order", partial(odd_tags, c, mode), TIFF, small, REPAIRED, partial(photo, mode=mode)) for c, mode in (("group3", "1"), ("group4", "1"), ("jpeg", "RGB"))],
        Row("tiff fax that says nothing of its length", lambda: odd.tiff_of_strips(encode(photo(mode="1"), "TIFF", compression="group4"), 0), TIFF, small, REPAIRED, lambda: photo(mode="1")),
        Row("tiff min is white", lambda: odd.vips_tiff(vips_of("L"), miniswhite=True), TIFF, small, shows=lambda: photo(mode="L")),
        Row("tiff tiled", lambda: odd.vips_tiff(vips_of(), tile=True, tile_width=16, tile_height=16), TIFF, small, shows=photo),
        Row("tiff pyramid", lambda: odd.vips_tiff(vips_of(), tile=True, tile_width=16, tile_height=16, pyramid=True), TIFF, small, shows=photo),
        Row("tiff big", lambda: odd.vips_tiff(vips_of(), bigtiff=True), TIFF, small, shows=photo),
        Row("tiff 16 bits", lambda: odd.vips_tiff(vips_of().colourspace("rgb16")), TIFF, small, shows=photo),
        Row("tiff lab", lambda: odd.vips_tiff(vips_of().icc_import(input_profile="srgb")), TIFF, small, shows=photo),
        Row("tiff light in floats", lambda: odd.vips_tiff(vips_of().colourspace("scrgb")), TIFF, small, shows=photo),
        Row("tiff floats in a profile's colours", lambda: odd.vips_tiff((vips_of() / 255).copy(interpretation="scrgb"), profile="srgb"), TIFF, small, shows=photo),
        Row("tiff floats to one", lambda: odd.vips_tiff(vips_of("L") / 255), TIFF, small, shows=lambda: photo(mode="L")),
        Row("tiff wide gamut", lambda: encode(photo(), "TIFF", icc_profile=odd.builtin_profile("p3")), TIFF, small),
        Row("tiff lab of eight bits", lambda: encode(odd.lab(photo()), "TIFF"), TIFF, small, shows=photo),
        Row("tiff planes in tiles", lambda: odd.planes_in_tiles(photo(tiles)), TIFF, tiles, shows=lambda: photo(tiles)),
        Row("tiff old JPEG", lambda: odd.jpeg_in_old_tiff(encode(photo(), "JPEG", quality=95), small), TIFF, small, shows=photo),
        Row("tiff lzma", lambda: encode(photo(), "TIFF", compression="lzma"), TIFF, small, shows=photo),
        *[Row(f"tiff {bits} bits", partial(odd.packed_tiff, photo(), bits, {262: [2]}), TIFF, small, shows=photo, within=256 / 2**bits) for bits in (4, 5, 10, 12, 14)],
        Row("tiff 4 bits, clear in places", lambda: odd.packed_tiff(photo(mode="RGBA"), 4, {262: [2], 338: [2]}), TIFF, small, shows=on_white, within=16),
        Row("tiff 12 bits, grey", lambda: odd.packed_tiff(photo(mode="L"), 12, {262: [1]}, rows=7), TIFF, small, shows=lambda: photo(mode="L")),
        Row("tiff 12 bits, white is nothing", lambda: odd.packed_tiff(ImageOps.invert(photo(mode="L")), 12, {262: [0]}), TIFF, small, shows=lambda: photo(mode="L")),
        Row("tiff 10 bits, turned", lambda: odd.packed_tiff(odd.turned(picture(), 6), 10, {262: [2], 274: [6]}), TIFF, shows=picture),
        Row("tiff 12 bits, planes apart", lambda: odd.packed_planes(photo(), 12), TIFF, small, shows=photo),
        Row("tiff with a selection", lambda: odd.with_selection(photo()), TIFF, small, shows=photo),
        Row("tiff without a colour space", lambda: odd.tiff_by_hand(small, [photo(mode="L").tobytes()], {258: [8]}), TIFF, small, shows=lambda: ImageOps.invert(photo(mode="L"))),
        Row("tiff of an empty plane beside", lambda: odd.tiff_by_hand(small, [zlib.compress(photo(mode="L").tobytes()), b""], {258: [8] * 2, 259: [8], 262: [1], 277: [2], 284: [2], 338: [0]}), TIFF, small, shows=lambda: photo(mode="L")),
        Row("tiff of more depths than channels", lambda: odd.tiff_by_hand(small, [photo().tobytes()], {258: [8, 8, 8, 1], 262: [2], 277: [3]}), TIFF, small, REPAIRED, photo),
        Row("tiff in circles", odd.tiff_in_circles, TIFF, notices=REPAIRED, shows=picture),
        Row("tiff orientation 6", lambda: odd.oriented("TIFF", 6), TIFF, shows=picture),
        Row("tiff pages", lambda: odd.tiff_pages(3), TIFF, still, {"pages-dropped"}),
        Row("tiff pages of other sizes", lambda: odd.tiff_pages(3, sizes=odd_sized), TIFF, still, {"pages-dropped"}),
        Row("heic", odd.heic, JPEG, notices=CONVERTED, shows=picture),
        Row("heic alpha", lambda: odd.heic(picture(mode="RGBA")), JPEG, notices=CONVERTED, shows=picture),
        Row("heic grey", lambda: odd.heic(picture(mode="L")), JPEG, notices=CONVERTED, shows=lambda: picture(mode="L")),
        Row("heic grey of ten bits", odd.deep_grey_heic, JPEG, (64, 64), CONVERTED, lambda: Image.linear_gradient("L").rotate(90).resize((64, 64))),
        Row("png with a keyword in Latin-1", lambda: odd.png_with(picture(), (b"tEXt", "für\0x".encode("latin-1"))), PNG, notices={"metadata-removed"}, shows=picture),
        Row("heic wide gamut", lambda: odd.heic(photo(), icc_profile=odd.builtin_profile("p3")), JPEG, small, CONVERTED),
        Row("heic second is primary", lambda: odd.several_heic(1), JPEG, notices=CONVERTED | {"pages-dropped"}, shows=picture),
        Row("heic whose primary is a thumbnail", lambda: odd.thumbnail_first_heic(picture()), JPEG, notices=CONVERTED, shows=picture),
        *[Row(f"heic of which much is cut off, turned {turns} times", partial(odd.cropped_heic, photo((512, 256)), (120, 80), (30, -20), turns=turns), JPEG, (80, 120) if turns % 2 else (120, 80), CONVERTED, partial(cropped_and_turned, turns)) for turns in (0, 1, 3)],
        Row("heic that is drawn twice in another image", lambda: odd.cropped_heic(picture(), (120, 80), drawn_twice=True), JPEG, notices=CONVERTED, shows=picture),
        Row("heic of tiles", lambda: odd.grid_heic(picture((256, 128))), JPEG, (256, 128), CONVERTED, lambda: picture((256, 128))),
        Row("heic of tiles, turned", lambda: odd.grid_heic(picture((256, 128)), turns=1), JPEG, (128, 256), CONVERTED, lambda: picture((256, 128)).rotate(90, expand=True)),
        Row("heic general brand", lambda: odd.with_brands(odd.heic(), b"mif1", b"mif1", b"heic"), JPEG, notices=CONVERTED, shows=picture),
        *[Row(f"heic orientation {n}", partial(odd.heic, odd.turned(picture(), n), exif=odd.exif(n)), JPEG, notices=CONVERTED, shows=picture) for n in (1, 3, 6, 8)],
        Row("heic in pieces", lambda: odd.pieced_heic(photo(tiles)), JPEG, tiles, CONVERTED, lambda: photo(tiles)),
        *[Row(f"heic grouped as {group!r}", partial(odd.pieced_heic, photo(tiles), group=group), JPEG, tiles, CONVERTED, lambda: photo(tiles)) for group in (b"ster", b"altr")],
        Row("avif", lambda: encode(photo(), "AVIF", quality=95), WEBP, small, CONVERTED),
        Row("avif alpha", lambda: encode(photo(mode="RGBA"), "AVIF", quality=95), WEBP, small, CONVERTED),
        Row("avif alpha in its colours", lambda: encode(photo(mode="RGBA"), "AVIF", quality=95, alpha_premultiplied=True), WEBP, small, CONVERTED, on_white),
        Row("avif film", odd.avif_film, WEBP, still, CONVERTED | dropped, lambda: odd.frames(4)[0]),
        Row("avif sequence", lambda: odd.animated("AVIF"), WEBP, still, CONVERTED | dropped),
        Row("avif orientation 6", lambda: odd.oriented("AVIF", 6, quality=95), WEBP, notices=CONVERTED, shows=picture),
        Row("avif of tiles", lambda: odd.grid_heic(photo((256, 128)), av1=True), WEBP, (256, 128), CONVERTED, lambda: photo((256, 128))),
        Row("avif of tiles in pieces", lambda: odd.grid_heic(photo((256, 128)), av1=True, pieces=True), WEBP, (256, 128), CONVERTED, lambda: photo((256, 128))),
        Row("avif general brand", lambda: odd.with_brands(encode(photo(), "AVIF", quality=95), b"mif1", b"avif"), WEBP, small, CONVERTED, photo),
    ]  # fmt: skip


def odd_tags(compression: str, mode: str) -> bytes:
    return odd.tiff_out_of_order(encode(photo(mode=mode), "TIFF", compression=compression))


def in_the_middle() -> Image.Image:
    white = Image.new("RGB", (120, 100), "white")
    white.paste(photo(mode="P"), (20, 30))
    return white


def on_white() -> Image.Image:
    return as_pillow_shows(encode(photo(mode="RGBA"), "PNG"))


def cropped_and_turned(turns: int) -> Image.Image:
    left, top = (512 - 120) // 2 + 30, (256 - 80) // 2 - 20
    part = photo((512, 256)).crop((left, top, left + 120, top + 80))
    return part.rotate(90 * turns, expand=True)


def webp_shown(build: Callable[[], bytes]) -> Callable[[], Image.Image]:
    return lambda: as_pillow_shows(build())


def vips_png(image: Image.Image, **options: Any) -> bytes:
    return bytes(odd.vips(image).pngsave_buffer(**options))


def with_chunk(png: bytes, added: odd.Chunk) -> bytes:
    head, *rest = odd.chunks(png)
    return odd.png_of_chunks([head, added, *rest])


ROWS = [*rows_of_jpeg(), *rows_of_png(), *rows_of_others()]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_an_odd_but_honest_image_is_stored_as_viewers_show_it(tmp_path: Path, row: Row) -> None:
    content = row.build()
    result = run(tmp_path, content)
    assert begins_as_told(detect(tmp_path / "received"), content)
    assert result.stored == (row.stored, *row.size)
    assert result.notices == row.notices
    shown = row.shows() if row.shows else as_pillow_shows(content)
    assert difference(result.image("copy"), shown) <= row.within


def test_the_table_is_as_long_as_it_should_be() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS) > 100


def test_each_format_of_images_has_rows() -> None:
    begun = {f"image/{row.name.split()[0]}" for row in ROWS}
    assert set(IMAGES) - begun == set(), "what a row's name begins with"


@pytest.mark.parametrize("target", [each for each in FORMATS if FORMATS[each].writer])
@pytest.mark.parametrize("source", ["PNG", "GIF", "TIFF", "WEBP"])
def test_transparency_is_kept_where_the_target_can_and_white_where_not(
    tmp_path: Path, source: str, target: str
) -> None:
    clear = Image.new("RGBA", (20, 10), (200, 0, 0, 0))
    result = run(tmp_path, encode(clear, source), convert={f"image/{source.lower()}": target})
    pixel: Any = result.image().convert("RGBA").getpixel((5, 5))
    assert pixel[3] == 0 if FORMATS[target].alpha else pixel == (255, 255, 255, 255)


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
@pytest.mark.parametrize("target", [GIF, WEBP])
def test_a_field_may_keep_animations(tmp_path: Path, kind: str, target: str) -> None:
    result = run(
        tmp_path,
        odd.animated(kind),
        image={"animation": "keep"},
        convert={f"image/{kind.lower()}": target},
    )
    stored: Any = result.image()
    stored.load()
    assert (stored.n_frames, stored.size, stored.info["duration"]) == (4, (50, 40), 70)
    assert result.stored == (target, 50, 40)
    assert "animation-dropped" not in result.notices
    assert result.image("copy").size == (50, 40)


def test_a_field_may_keep_all_pages_of_a_tiff(tmp_path: Path) -> None:
    """Pages of other sizes lie on white."""
    content = odd.tiff_pages(3, sizes=((50, 40), (80, 20)))
    result = run(tmp_path, content, image={"pages": "all"})
    stored: Any = result.image()
    assert (stored.n_frames, result.stored) == (3, (TIFF, 80, 40))
    stored.seek(1)
    assert [stored.getpixel(at) for at in ((70, 10), (70, 30))] == [(40, 90, 0), (255, 255, 255)]


def test_where_the_target_holds_one_page_the_others_are_dropped(tmp_path: Path) -> None:
    result = run(tmp_path, odd.tiff_pages(3), image={"pages": "all"}, convert={TIFF: JPEG})
    assert result.notices == {"pages-dropped", "converted"}


def test_a_field_that_stores_the_first_page_asks_nothing_of_the_others(tmp_path: Path) -> None:
    small_first = odd.tiff_pages(2, sizes=((50, 40), (800, 800)))
    rejected = run(tmp_path, small_first, image={"min_width": 400}).rejected
    assert rejected
    assert (rejected.code, rejected.params["width"]) == ("image-too-small", 50)
    large_second = odd.tiff_pages(2, sizes=((50, 40), (300, 30)))
    assert run(tmp_path, large_second, image={"max_width": 100}).notices == {"pages-dropped"}


def test_small_numbers_in_a_tiff_of_large_ones_are_shown(tmp_path: Path) -> None:
    """As instruments write them: of 32 bits, twelve are used."""
    measured = Image.linear_gradient("L").point(lambda value: value * 15, "I")
    shown: Any = run(tmp_path, encode(measured, "TIFF")).image().convert("L")
    assert shown.getextrema() == (0, 255)


def test_a_finding_that_the_field_refuses_wins_over_one_that_it_keeps(tmp_path: Path) -> None:
    rules = {"min_width": 400, "animation": "reject"}
    for flag, code in (
        (["image-too-small"], "image-animated"),
        (["image-animated"], "image-too-small"),
        (["image-animated", "image-too-small"], "image-animated"),
    ):
        rejected = run(tmp_path, odd.animated("GIF"), image=rules, flag=flag).rejected
        assert rejected
        assert rejected.code == code


@pytest.mark.slow
@pytest.mark.parametrize("target", ["image/webp", "image/jpeg"])
async def test_a_webp_of_as_many_pixels_as_a_field_takes_fits_into_a_child(
    tmp_path: Path, target: str
) -> None:
    """libwebp holds all of it, several times."""
    sent, scratch = tmp_path / "upl_x", tmp_path / "scratch"
    pyvips.Image.black(16_000, 6_200, bands=3).webpsave(str(sent), effort=0)
    scratch.mkdir()
    convert = {} if target == "image/webp" else {"image/webp": target}
    policy = FilePolicy.model_validate(
        {"accept": ["image/webp"], "max_bytes": 10**8, "convert": convert}
    )
    async with Decoder() as decoder:
        made = await decoder.process(sent, scratch, policy=policy, field="f", deadline_seconds=300)
    assert (made.object.content_type, made.object.width) == (target, 16_000)


def test_a_webp_that_does_not_fit_is_too_large(tmp_path: Path) -> None:
    size = (16_000 - 1) | (6_300 - 1) << 14
    head = b"VP8L" + (10).to_bytes(4, "little") + b"\x2f" + size.to_bytes(4, "little") + bytes(5)
    content = b"RIFF" + (len(head) + 4).to_bytes(4, "little") + b"WEBP" + head
    rejected = run(tmp_path, content, image={"max_pixels": 10**9}).rejected
    assert rejected
    assert rejected.code == "image-too-large"


@pytest.mark.parametrize(
    ("content", "rules", "code", "params"),
    [
        (odd.animated("GIF"), {"animation": "reject"}, "image-animated", {"frames": 4}),
        (odd.animated("GIF"), {"animation": "keep", "max_frames": 3}, "file-too-complex", {"frames": 4, "max_frames": 3}),
        (odd.animated("GIF"), {"animation": "keep", "max_pixels": 7999}, "image-too-large", {"width": 50, "height": 40, "images": 4, "max_pixels": 7999}),
        (odd.animated_png(), {"animation": "reject"}, "image-animated", {"frames": 3}),
        (odd.tiff_pages(3), {"pages": "reject"}, "file-too-many-pages", {"pages": 3, "max_pages": 1}),
        (odd.tiff_pages(3), {"pages": "all", "max_pages": 2}, "file-too-many-pages", {"pages": 3, "max_pages": 2}),
        (images.png(), {"min_pixels": 9601}, "image-too-small", {"width": 120, "height": 80, "min_pixels": 9601}),
    ],
)  # fmt: skip
def test_a_field_may_refuse_what_it_doesnt_want(
    tmp_path: Path, content: bytes, rules: dict[str, Any], code: str, params: dict[str, Any]
) -> None:
    rejected = run(tmp_path, content, image=rules).rejected
    assert rejected
    assert (rejected.code, rejected.params) == (code, params)


def test_an_image_below_the_recommended_size_is_stored_with_a_notice(tmp_path: Path) -> None:
    rules = {"recommended_width": 200, "recommended_height": 10}
    made = run(tmp_path, images.png(), image=rules).made
    assert made
    params = {"width": 120, "height": 80, **rules}
    assert made.notices == [{"code": "low-resolution", "params": params}]


def test_a_conversion_is_said_with_the_names_people_know(tmp_path: Path) -> None:
    made = run(tmp_path, images.png(), convert={PNG: JPEG}).made
    assert made
    params = {"from": PNG, "to": JPEG, "from_name": "PNG", "to_name": "JPG"}
    assert made.notices == [{"code": "converted", "params": params}]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
def test_nothing_about_camera_and_place_is_stored_of_any_format(tmp_path: Path, kind: str) -> None:
    block = Image.Exif()
    block[0x010F] = images.GPS_MARKER.decode()
    block.get_ifd(0x8825)[27] = images.GPS_MARKER
    result = run(tmp_path, encode(picture(), kind, exif=block.tobytes()), keep_original=False)
    assert "metadata-removed" in result.notices
    (tmp_path / "received").unlink()
    for path in tmp_path.iterdir():
        assert images.GPS_MARKER not in path.read_bytes()


@pytest.mark.parametrize("target", [PNG, JPEG])
def test_what_an_editor_wrote_into_a_png_is_kept_where_the_field_wants_it(
    tmp_path: Path, target: str
) -> None:
    written = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>by hand</x:xmpmeta>"
    chunk = (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + written)
    convert = {} if target == PNG else {PNG: target}
    result = run(tmp_path, odd.png_with(picture(), chunk), keep_metadata=True, convert=convert)
    kept = pyvips.Image.new_from_file(str(result.image().filename))  # type: ignore[attr-defined]
    assert b"by hand" in bytes(kept.get("xmp-data"))  # type: ignore[arg-type] # a block
    assert "metadata-removed" not in result.notices


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF"])
def test_kept_metadata_says_that_the_image_is_upright(tmp_path: Path, kind: str) -> None:
    sent = encode(odd.turned(picture(), 6), kind, exif=odd.exif(6, Make="Cam"))
    result = run(tmp_path, sent, keep_metadata=True)
    stored = result.image()
    assert stored.getexif().get(0x0112, 1) == 1
    assert "metadata-removed" not in result.notices
    assert difference(stored, picture()) < 4
    assert pyvips.Image.new_from_file(str(stored.filename)).get_typeof("icc-profile-data")  # type: ignore[attr-defined]
