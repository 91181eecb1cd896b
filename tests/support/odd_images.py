"""Builders of images as devices and programs really write them, and as they get damaged.

Made with Pillow, pillow-heif and libvips; what none of them writes is put together by hand.
"""

import io
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pillow_heif
import pyvips
from PIL import Image, ImageCms, ImageFilter

from tests.support.images import encode, picture, srgb_profile
from worker.formats import isobmff

pillow_heif.register_heif_opener()

Chunk = tuple[bytes, bytes]


def photo(size: tuple[int, int] = (90, 60), mode: str = "RGB") -> Image.Image:
    """Soft shapes in many colours, the same each time."""
    across = Image.linear_gradient("L").resize(size)
    down = Image.linear_gradient("L").rotate(90).resize(size)
    round_ = Image.radial_gradient("L").resize(size)
    image = Image.merge("RGB", (across, down, round_)).filter(ImageFilter.GaussianBlur(1))
    if mode == "P":
        return image.quantize(64)
    if mode in {"RGBA", "LA"}:
        image.putalpha(round_.point(lambda level: 255 - level))
        return image.convert(mode)
    return image.convert(mode)


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """Stored so that a viewer that heeds `orientation` shows `image`."""
    undo = {
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_90],
        7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }
    for turn in undo.get(orientation, []):
        image = image.transpose(turn)
    return image


def exif(orientation: int | None = None, **named: str) -> bytes:
    block = Image.Exif()
    if orientation is not None:
        block[0x0112] = orientation
    for tag, value in {"Make": 0x010F, "Model": 0x0110, "Software": 0x0131}.items():
        if tag in named:
            block[value] = named[tag]
    return block.tobytes()


def oriented(kind: str, orientation: int, **options: Any) -> bytes:
    stored = turned(picture(), orientation)
    return encode(stored, kind, exif=exif(orientation), **options)


# --- profiles


def swapped_profile() -> bytes:
    """Red and blue change places: who ignores it shows the wrong colours."""
    profile = bytearray(srgb_profile())
    red, blue = profile.index(b"rXYZ"), profile.index(b"bXYZ")
    profile[red : red + 4], profile[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(profile)


def builtin_profile(name: str) -> bytes:
    """One of libvips' own: `p3`, `cmyk`, `srgb`."""
    black = pyvips.Image.black(1, 1, bands=4 if name == "cmyk" else 3)
    tagged = black.copy(interpretation="cmyk" if name == "cmyk" else "srgb")
    saved = tagged.tiffsave_buffer(profile=name)
    profile: Any = pyvips.Image.new_from_buffer(saved, "").get("icc-profile-data")
    return bytes(profile)


def grey_profile(gamma: float) -> bytes:
    curve = b"curv" + struct.pack(">IIH", 0, 1, round(gamma * 256)) + bytes(2)
    white = b"XYZ " + struct.pack(">I3i", 0, 63190, 65536, 54061)
    table = struct.pack(">I", 2)
    table += struct.pack(">4sII", b"wtpt", 156, 20) + struct.pack(">4sII", b"kTRC", 176, 16)
    head = struct.pack(">I4sI4s4s4s", 192, b"", 0x02400000, b"mntr", b"GRAY", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + table + white + curve


# --- PNG, chunk by chunk


def chunks(png: bytes) -> Iterator[Chunk]:
    at = 8
    while at < len(png):
        length, kind = struct.unpack_from(">I4s", png, at)
        yield kind, png[at + 8 : at + 8 + length]
        at += 12 + length


def png_of_chunks(parts: Iterable[Chunk], *, wrong: tuple[bytes, ...] = ()) -> bytes:
    """The checksums of the kinds in `wrong` are wrong."""
    written = bytearray(b"\x89PNG\r\n\x1a\n")
    for kind, data in parts:
        checksum = zlib.crc32(kind + data) ^ (kind in wrong)
        written += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)
    return bytes(written)


def png_with(image: Image.Image, *added: Chunk, wrong: tuple[bytes, ...] = ()) -> bytes:
    """With these chunks behind the header."""
    head, *rest = chunks(encode(image, "PNG"))
    return png_of_chunks([head, *added, *rest], wrong=wrong)


def png_with_stream(image: Image.Image, change: Any, *, wrong: tuple[bytes, ...] = ()) -> bytes:
    """Its compressed pixels replaced by what `change` makes of them."""
    parts = list(chunks(encode(image, "PNG")))
    stream = b"".join(data for kind, data in parts if kind == b"IDAT")
    body = [part for part in parts[1:-1] if part[0] != b"IDAT"]
    return png_of_chunks([parts[0], *body, (b"IDAT", change(stream)), parts[-1]], wrong=wrong)


def deep_png(colour: int, *, alpha: int = 65535) -> bytes:
    """Sixteen bits a channel of PNG's colour type 0, 2, 4 or 6, all pixels alike."""
    samples = {0: (40_000,), 2: (50_000, 20_000, 10_000)}[colour & 2]
    row = b"\0" + struct.pack(f">{len(samples)}H", *samples) * 8
    if colour & 4:
        row = b"\0" + struct.pack(f">{len(samples) + 1}H", *samples, alpha) * 8
    header = struct.pack(">IIBBBBB", 8, 6, 16, colour, 0, 0, 0)
    return png_of_chunks([(b"IHDR", header), (b"IDAT", zlib.compress(row * 6)), (b"IEND", b"")])


def low_depth_png(depth: int) -> bytes:
    """Grey with 1, 2 or 4 bits: black and white columns in turns."""
    row = b"\0" + bytes([{1: 0x55, 2: 0x33, 4: 0x0F}[depth]]) * depth
    header = struct.pack(">IIBBBBB", 8, 6, depth, 0, 0, 0, 0)
    return png_of_chunks([(b"IHDR", header), (b"IDAT", zlib.compress(row * 6)), (b"IEND", b"")])


def gama(value: float) -> Chunk:
    return b"gAMA", struct.pack(">I", round(value * 100_000))


def chrm(*points: float) -> Chunk:
    return b"cHRM", struct.pack(">8I", *(round(each * 100_000) for each in points))


def cicp(primaries: int, transfer: int) -> Chunk:
    return b"cICP", bytes([primaries, transfer, 0, 1])


def iccp(profile: bytes) -> Chunk:
    return b"iCCP", b"p\0\0" + zlib.compress(profile)


DISPLAY_P3 = (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
"""White, red, green and blue, in cHRM's order."""


def animated_png(frames: int = 3) -> bytes:
    images = [Image.new("RGB", (50, 40), (n * 60, 0, 0)) for n in range(frames)]
    return encode(images[0], "PNG", save_all=True, append_images=images[1:], duration=100)


# --- JPEG


def vips_jpeg(image: Image.Image, **options: Any) -> bytes:
    return bytes(vips(image).jpegsave_buffer(**{"Q": 95, **options}))


def vips(image: Image.Image) -> pyvips.Image:
    return pyvips.Image.new_from_buffer(encode(image, "PNG"), "")


def multi_picture() -> bytes:
    """Two JPEGs in one file, as cameras that see in depth write them."""
    images = [picture(), picture((60, 40))]
    return encode(images[0], "MPO", save_all=True, append_images=images[1:], quality=95)


def motion_photo() -> bytes:
    """A film behind the picture, as phones append it."""
    film = (
        b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00isommp42" + b"\x00\x00\x10\x00mdat" + bytes(4088)
    )
    return encode(picture(), "JPEG", quality=95, subsampling=0) + film


def frame_header(jpeg: bytes, change: Any) -> bytes:
    """With what `change` makes of the marker and content of its start of frame."""
    at = next(i for i in range(2, len(jpeg)) if jpeg[i] == 0xFF and jpeg[i + 1] in {0xC0, 0xC2})
    (length,) = struct.unpack_from(">H", jpeg, at + 2)
    marker, content = change(jpeg[at + 1], jpeg[at + 4 : at + 2 + length])
    size, rest = jpeg[at + 2 : at + 4], jpeg[at + 2 + length :]
    return bytes(jpeg[:at] + bytes([0xFF, marker]) + size + content + rest)


def many_scans(scans: int, size: tuple[int, int] = (4000, 4000)) -> bytes:
    """A legal progressive JPEG that goes over its pixels again and again."""
    head = encode(Image.new("L", (16, 16)), "JPEG", progressive=True)
    head = frame_header(
        head, lambda marker, c: (marker, c[:1] + struct.pack(">HH", size[1], size[0]) + c[5:])
    )
    first = head.index(b"\xff\xda")
    again = b"\xff\xda\x00\x08\x01\x01\x00\x01\x3f\x01" + bytes(20)
    return head[:first] + again * scans + b"\xff\xd9"


# --- GIF, TIFF, WebP, HEIF


def frames(count: int, size: tuple[int, int] = (50, 40)) -> list[Image.Image]:
    return [Image.new("RGB", size, (n * 200 // count, 90, 0)) for n in range(count)]


def animated(kind: str, count: int = 4) -> bytes:
    images = frames(count)
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    return encode(
        images[0], kind, save_all=True, append_images=images[1:], duration=70, loop=0, **options
    )


def gif_of_frames(count: int, canvas: tuple[int, int] = (1, 1)) -> bytes:
    """Each of a single pixel."""
    one = encode(Image.new("P", (1, 1)), "GIF")
    start = one.rindex(b",", 0, len(one) - 1)
    head = bytearray(one[:start])
    struct.pack_into("<HH", head, 6, *canvas)
    return bytes(head) + one[start:-1] * count + b";"


def gif_placed(image: Image.Image, canvas: tuple[int, int], at: tuple[int, int]) -> bytes:
    """Its only frame lies somewhere in it, and nothing is clear."""
    content = bytearray(encode(image, "GIF"))
    struct.pack_into("<HH", content, 6, *canvas)
    struct.pack_into("<HH", content, _first_frame(content) + 1, *at)
    return bytes(content)


def gif_film_placed(image: Image.Image, canvas: tuple[int, int], at: tuple[int, int]) -> bytes:
    """The same frame twice."""
    content = gif_placed(image, canvas, at)
    return content[:-1] + content[_first_frame(content) :]


def gif_of_too_few_pixels(image: Image.Image) -> bytes:
    """Its frame is twice as high as it has pixels for."""
    content = bytearray(encode(image, "GIF"))
    for place in (8, _first_frame(content) + 7):
        struct.pack_into("<H", content, place, 2 * image.height)
    return bytes(content)


def _first_frame(gif: bytes | bytearray) -> int:
    """Of one that has a table, and nothing before its frame."""
    at = 13 + 3 * (2 << (gif[10] & 7))
    assert gif[at] == ord(",")
    return at


def tiff_pages(count: int, *, sizes: tuple[tuple[int, int], ...] = ((50, 40),)) -> bytes:
    images = [Image.new("RGB", sizes[n % len(sizes)], (n * 40 % 256, 90, 0)) for n in range(count)]
    return encode(images[0], "TIFF", save_all=True, append_images=images[1:])


def vips_tiff(image: pyvips.Image, **options: Any) -> bytes:
    return bytes(image.tiffsave_buffer(**options))


def tiff_in_circles() -> bytes:
    """Its only page names itself as the next one."""
    content = bytearray(encode(picture(), "TIFF"))
    (at,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, at)
    struct.pack_into("<I", content, at + 2 + 12 * count, at)
    return bytes(content)


def tiff_out_of_order(tiff: bytes) -> bytes:
    """With its first two tags in each other's place."""
    content = bytearray(tiff)
    at = struct.unpack_from("<I", content, 4)[0] + 2
    content[at : at + 24] = content[at + 12 : at + 24] + content[at : at + 12]
    return bytes(content)


def tiff_of_strips(tiff: bytes, length: int) -> bytes:
    """One strip, which is said to be so long."""
    content = bytearray(tiff)
    at = content.index(struct.pack("<HHI", 279, 4, 1))
    struct.pack_into("<I", content, at + 8, length)
    return bytes(content)


def tiff_of(*, tags: int = 0, strips: int = 1, side: int = 8) -> bytes:
    """A header with so many more tags, strips and pixels, and nothing behind it."""
    known = [(256, 4, 1, side), (257, 4, 1, side), (258, 3, 1, 8), (259, 3, 1, 1)]
    known += [(262, 3, 1, 1), (273, 4, strips, 8), (278, 4, 1, 1), (279, 4, strips, 8)]
    entries = known + [(60_000 + each % 5000, 4, 1, 0) for each in range(tags)]
    table = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + table + bytes(4)


_FIRST_PIECE = -1
"""Among the values of a tag: where the pixels begin."""


def tiff_by_hand(
    size: tuple[int, int],
    pieces: Sequence[bytes],
    tags: Mapping[int, Sequence[int]],
    *,
    tile: int | None = None,
) -> bytes:
    """One page of these strips, or of square tiles, which are the end of the file."""
    places, lengths = (324, 325) if tile else (273, 279)
    known: dict[int, Sequence[int]] = {256: [size[0]], 257: [size[1]], 259: [1]}
    known |= {322: [tile], 323: [tile]} if tile else {278: [size[1]]}
    known |= {places: [0] * len(pieces), lengths: [*map(len, pieces)], **tags}
    lists_at = 8 + 2 + 12 * len(known) + 4
    first = lists_at + sum(4 * len(values) for values in known.values() if len(values) > 1)
    known[places] = [first + sum(map(len, pieces[:each])) for each in range(len(pieces))]
    entries, lists = b"", b""
    for tag, values in sorted(known.items()):
        found = [first if each == _FIRST_PIECE else each for each in values]
        packed = struct.pack(f"<{len(found)}I", *found)
        inline = len(packed) == 4
        where = packed if inline else struct.pack("<I", lists_at + len(lists))
        lists += b"" if inline else packed
        entries += struct.pack("<HHI", tag, 4, len(found)) + where
    directory = struct.pack("<H", len(known)) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", 8) + directory + lists + b"".join(pieces)


def lab(image: Image.Image) -> Image.Image:
    transformed = ImageCms.profileToProfile(
        image, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert transformed
    return transformed


def planes_in_tiles(image: Image.Image, side: int = 16) -> bytes:
    """Red, green and blue apart, each in tiles; the size is a multiple of a tile's."""
    tiles = [
        plane.crop((left, top, left + side, top + side)).tobytes()
        for plane in image.split()
        for top in range(0, image.height, side)
        for left in range(0, image.width, side)
    ]
    tags = {258: [8] * 3, 262: [2], 277: [3], 284: [2]}
    return tiff_by_hand(image.size, tiles, tags, tile=side)


def canon_raw(size: tuple[int, int]) -> bytes:
    """A page as of any TIFF, which is the preview, and behind the header what tells it from one."""
    page = vips_tiff(pyvips.Image.black(*size))  # whose pixels come before the directory
    return page[:8] + b"CR\2\0" + page[12:]


def jpeg_in_old_tiff(jpeg: bytes, size: tuple[int, int]) -> bytes:
    """As scanners wrote it before TIFF said how."""
    tags = {258: [8] * 3, 259: [6], 262: [6], 277: [3], 513: [_FIRST_PIECE], 514: [len(jpeg)]}
    return tiff_by_hand(size, [jpeg], tags)


def packed_tiff(
    image: Image.Image, bits: int, tags: Mapping[int, Sequence[int]], *, rows: int = 10_000
) -> bytes:
    """Each sample in so many bits, one behind the other, in strips of so many rows."""
    channels, white = len(image.getbands()), (1 << bits) - 1
    levels = [level * white // 255 for level in image.tobytes()]
    packed = b""
    for start in range(0, len(levels), image.width * channels):
        digits = "".join(
            f"{each:0{bits}b}" for each in levels[start : start + image.width * channels]
        )
        digits += "0" * (-len(digits) % 8)
        packed += int(digits, 2).to_bytes(len(digits) // 8)
    strip = len(packed) // image.height * rows
    strips = [packed[at : at + strip] for at in range(0, len(packed), strip)]
    known = {258: [bits] * channels, 277: [channels], 278: [min(rows, image.height)]}
    return tiff_by_hand(image.size, strips, {**known, **tags})


def packed_planes(image: Image.Image, bits: int) -> bytes:
    """Red, green and blue apart."""
    planes = [packed_tiff(each, bits, {}) for each in image.split()]
    size = image.height * -(-image.width * bits // 8)
    tags = {258: [bits] * 3, 262: [2], 277: [3], 284: [2]}
    return tiff_by_hand(image.size, [each[-size:] for each in planes], tags)


def with_selection(image: Image.Image) -> bytes:
    """As Photoshop saves a selection: a channel more, which is no transparency."""
    image = image.copy()
    image.putalpha(Image.new("L", image.size))
    return tiff_by_hand(image.size, [image.tobytes()], {258: [8] * 4, 262: [2], 277: [4], 338: [0]})


def riff(webp: bytes, change: int) -> bytes:
    """With a size in its header that is wrong by so much."""
    size = struct.unpack_from("<I", webp, 4)[0] + change
    return webp[:4] + struct.pack("<I", size) + webp[8:]


def heic(image: Image.Image | None = None, **options: Any) -> bytes:
    return encode(image or picture(), "HEIF", **{"quality": 90, "chroma": 444, **options})


def deep_grey_heic() -> bytes:
    """From black on the left to white on the right, in more than eight bits."""
    row = b"".join((shade * 257).to_bytes(2, "little") for shade in range(0, 256, 4))
    out = io.BytesIO()
    pillow_heif.from_bytes("I;16", (64, 64), row * 64).save(out, quality=100)
    return out.getvalue()


def several_heic(primary: int) -> bytes:
    """Three pictures, of which a viewer shows `primary`."""
    images = [Image.new("RGB", (64, 64), (0, 0, 90)) for _ in range(3)]
    images[primary] = picture()
    opened = pillow_heif.from_pillow(images[0])
    for each in images[1:]:
        opened.add_from_pillow(each)
    out = io.BytesIO()
    opened.save(out, quality=90, primary_index=primary, chroma=444)
    return out.getvalue()


def thumbnail_first_heic(image: Image.Image) -> bytes:
    """With a thumbnail that the file calls its primary image."""
    out = io.BytesIO()
    pillow_heif.from_pillow(image).save(out, quality=90, chroma=444, thumbnails=[32])
    content = out.getvalue()
    described = isobmff.describe(content)
    ((thumbnail, _),) = described.references[b"thmb"]
    primary = b"pitm" + struct.pack(">IH", 0, described.primary)
    assert content.count(primary) == 1
    return content.replace(primary, b"pitm" + struct.pack(">IH", 0, thumbnail))


def heic_film() -> bytes:
    """A sequence of frames, and no still image."""
    return _box(b"ftyp", b"msf1" + bytes(4) + b"msf1hevc") + _box(
        b"moov", _box(b"mvhd", bytes(100))
    )


def cropped_heic(
    image: Image.Image,
    part: tuple[int, int],
    off: tuple[int, int] = (0, 0),
    *,
    turns: int = 0,
    drawn_twice: bool = False,
) -> bytes:
    """With a clean aperture of the size of `part` that is so far off the middle. `turns`: as below.
    `drawn_twice`: in another image, which isn't the one that is shown."""
    whole = heic(image)
    codec = dict(isobmff.describe(whole).properties)[b"hvcC"]
    coded = whole[whole.index(b"mdat") + 4 :]
    aperture = struct.pack(">4I", part[0], 1, part[1], 1) + struct.pack(
        ">iIiI", off[0], 1, off[1], 1
    )
    properties = _box(b"hvcC", codec) + _full_box(b"ispe", struct.pack(">II", *image.size))
    properties += _box(b"clap", aperture) + _box(b"irot", bytes([turns]))
    beside = _full_box(b"iref", _box(b"dimg", struct.pack(">HHHH", 2, 2, 1, 1)))
    owner = struct.pack(">IH", 1, 1) + bytes([4, 0x81, 2, 0x83, 0x84])

    def meta(start: int) -> bytes:
        place = struct.pack(">HHHHII", 1, 0, 0, 1, start, len(coded))
        return _full_box(
            b"meta",
            _full_box(b"hdlr", bytes(4) + b"pict" + bytes(13))
            + _full_box(b"pitm", struct.pack(">H", 1))
            + _full_box(b"iloc", b"\x44\0" + struct.pack(">H", 1) + place, 1)
            + _full_box(b"iinf", struct.pack(">H", 1) + _full_box(b"infe", struct.pack(">HH4sx", 1, 0, b"hvc1"), 2))
            + (beside if drawn_twice else b"")
            + _box(b"iprp", _box(b"ipco", properties) + _full_box(b"ipma", owner)),
        )  # fmt: skip

    kind = _box(b"ftyp", b"heic" + bytes(4) + b"mif1heic")
    start = len(kind) + len(meta(0)) + 8
    return kind + meta(start) + _box(b"mdat", coded)


def pieced_heic(image: Image.Image, *, group: bytes = b"") -> bytes:
    """Its picture lies in two pieces, with something else between them. With a `group`, a second
    one of the same pixels is in that with it."""
    whole = heic(image)
    codec = dict(isobmff.describe(whole).properties)[b"hvcC"]
    coded = whole[whole.index(b"mdat") + 4 :]
    half, between = len(coded) // 2, b"something else"
    items = (1, 2) if group else (1,)
    properties = _box(b"hvcC", codec) + _full_box(b"ispe", struct.pack(">II", *image.size))
    owners = b"".join(struct.pack(">H", item) + bytes([2, 0x81, 2]) for item in items)
    infos = b"".join(_full_box(b"infe", struct.pack(">HH4sx", n, 0, b"hvc1"), 2) for n in items)
    pair = _full_box(group, struct.pack(">4I", 9, 2, *items)) if group else b""

    def meta(start: int) -> bytes:
        second = start + half + len(between)
        pieces = struct.pack(">HIIII", 2, start, half, second, len(coded) - half)
        located = b"".join(struct.pack(">HHH", item, 0, 0) + pieces for item in items)
        return _full_box(
            b"meta",
            _full_box(b"hdlr", bytes(4) + b"pict" + bytes(13))
            + _full_box(b"pitm", struct.pack(">H", 1))
            + _full_box(b"iloc", b"\x44\0" + struct.pack(">H", len(items)) + located, 1)
            + _full_box(b"iinf", struct.pack(">H", len(items)) + infos)
            + _box(b"iprp", _box(b"ipco", properties) + _full_box(b"ipma", struct.pack(">I", len(items)) + owners))
            + (_box(b"grpl", pair) if pair else b""),
        )  # fmt: skip

    kind = _box(b"ftyp", b"heic" + bytes(4) + b"mif1heic")
    start = len(kind) + len(meta(0)) + 8
    return kind + meta(start) + _box(b"mdat", coded[:half] + between + coded[half:])


def avif_film() -> bytes:
    """An animated one that names no still image."""
    return animated("AVIF").replace(b"pitm", b"free")


def grid_heic(
    image: Image.Image, *, turns: int = 0, av1: bool = False, pieces: bool = False
) -> bytes:
    """As phones write it: of two tiles side by side, hidden, with EXIF that says to turn as the
    boxes do. `turns`: a quarter each, against the clock. `av1`: it is an AVIF.
    `pieces`: each tile is in two.
    """
    configured, coding, brand = (b"av1C", b"av01", b"avif") if av1 else (b"hvcC", b"hvc1", b"heic")
    half, high = image.width // 2, image.height
    halves = [image.crop((at, 0, at + half, high)) for at in (0, half)]
    tiles = [encode(each, "AVIF", quality=95) if av1 else heic(each) for each in halves]
    codec = dict(isobmff.describe(tiles[0]).properties)[configured]
    coded = [each[each.index(b"mdat") + 4 :] for each in tiles]
    block = b"\0\0\0\6Exif\0\0" + exif(6).removeprefix(b"Exif\0\0")
    hidden = [_full_box(b"infe", struct.pack(">HH4sx", n, 0, coding), 2, 1) for n in (1, 2)]
    shown = [_full_box(b"infe", struct.pack(">HH4sx", 3, 0, b"grid"), 2)]
    shown += [_full_box(b"infe", struct.pack(">HH4sx", 4, 0, b"Exif"), 2)]
    properties = _box(configured, codec)
    properties += _full_box(b"ispe", struct.pack(">II", half, high))
    properties += _full_box(b"ispe", struct.pack(">II", *image.size))
    properties += _box(b"irot", bytes([turns]))
    tile, whole = bytes([2, 0x81, 2]), bytes([2, 3, 0x84])
    owners = b"".join(
        struct.pack(">H", number) + own for number, own in ((1, tile), (2, tile), (3, whole))
    )
    beside = _box(b"dimg", struct.pack(">HHHH", 3, 2, 1, 2))
    beside += _box(b"cdsc", struct.pack(">HHH", 4, 1, 3))
    grid = struct.pack(">BBBBHH", 0, 0, 0, 1, *image.size)

    def meta(start: int) -> bytes:
        first = start + len(block)
        places = [(1, 0, first, len(coded[0])), (2, 0, first + len(coded[0]), len(coded[1]))]
        places += [(3, 1, 0, len(grid)), (4, 0, start, len(block))]
        located = b"".join(
            _located(*place, halved=pieces and place[0] in (1, 2)) for place in places
        )
        return _full_box(
            b"meta",
            _full_box(b"hdlr", bytes(4) + b"pict" + bytes(13))
            + _full_box(b"pitm", struct.pack(">H", 3))
            + _full_box(b"iloc", b"\x44\0" + struct.pack(">H", 4) + located, 1)
            + _full_box(b"iinf", struct.pack(">H", 4) + b"".join(hidden + shown))
            + _full_box(b"iref", beside)
            + _box(b"iprp", _box(b"ipco", properties) + _full_box(b"ipma", struct.pack(">I", 3) + owners))
            + _box(b"idat", grid),
        )  # fmt: skip

    kind = _box(b"ftyp", brand + bytes(4) + b"mif1" + brand)
    start = len(kind) + len(meta(0)) + 8
    return kind + meta(start) + _box(b"mdat", block + b"".join(coded))


def _located(item: int, way: int, start: int, length: int, *, halved: bool) -> bytes:
    half = length // 2
    pieces = [(start, half), (start + half, length - half)] if halved else [(start, length)]
    packed = b"".join(struct.pack(">II", *piece) for piece in pieces)
    return struct.pack(">HHHH", item, way, 0, len(pieces)) + packed


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


def _full_box(kind: bytes, content: bytes, version: int = 0, flags: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags) + content)


def with_brands(heif: bytes, major: bytes, *compatible: bytes) -> bytes:
    """Another first box of the same length, so that everything behind it stays in its place."""
    (length,) = struct.unpack_from(">I", heif)
    room = (length - 16) // 4
    brands = (*compatible, *[b"    "] * room)[:room]
    return heif[:8] + major + heif[12:16] + b"".join(brands) + heif[length:]


def profiled(name: str) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(io.BytesIO(builtin_profile(name)))
