"""Hostile images are rejected once, with a reason, before they cost anything."""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pyvips
from PIL import Image

from shared.policy import FilePolicy
from tests.formats.measured import measure
from tests.formats.pictures import IMAGES, run
from tests.support import images
from tests.support import odd_images as odd
from tests.support.images import encode, picture
from tests.support.odd_images import photo
from tests.support.shortages import OF_DISK, OF_MEMORY
from worker.errors import FileRejected
from worker.formats.image import load
from worker.sandbox import Decoder, Processed

LITTLE_MIB = 200
"""What Python, the libraries and the tests' own ones take, and not much more."""
LITTLE_SECONDS = 3.0
"""Of CPU time, with the start of the libraries: on a busy machine too."""


@dataclass(frozen=True)
class Row:
    """One file: how it is made, and what it is rejected for. `code` None: it is harmless."""

    name: str
    build: Callable[[], bytes]
    code: str | None
    params: dict[str, Any] = field(default_factory=dict)


def complex_(**params: int) -> tuple[str, dict[str, Any]]:
    return "file-too-complex", params


def too_large(width: int, height: int) -> tuple[str, dict[str, Any]]:
    return "image-too-large", {"width": width, "height": height, "max_pixels": 100_000_000}


def raw(detected_type: str) -> tuple[str, dict[str, Any]]:
    return "file-invalid-type", {"detected_type": detected_type}


def compressed_comments(count: int, megabytes: int) -> bytes:
    packed = b"a\0\0" + zlib.compress(bytes(megabytes << 20), 9)
    return odd.png_with(picture(), *[(b"zTXt", packed)] * count)


def gif_header(width: int, height: int) -> bytes:
    return odd.gif_of_frames(1, (width, height)).replace(
        b",\0\0\0\0\x01\0\x01\0", b",\0\0\0\0" + struct.pack("<HH", width, height)
    )


def heic_of(width: int, height: int) -> bytes:
    """Says that it is so large."""
    size = b"ispe\0\0\0\0" + struct.pack(">II", 120, 80)
    content = odd.heic()
    assert size in content
    return content.replace(size, size[:8] + struct.pack(">II", width, height))


def heic_with(boxes: bytes) -> bytes:
    """With these in the box that describes its images, which comes before what they are."""
    content = odd.heic()
    at = content.index(b"meta")
    (length,) = struct.unpack_from(">I", content, at - 4)
    meta = struct.pack(">I", length + len(boxes)) + content[at : at + 8] + boxes
    return content[: at - 4] + meta + content[at + 8 :]


def webp_of(width: int, height: int) -> bytes:
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"VP8X" + struct.pack("<I", 10) + bytes(4) + sides + encode(picture(), "WEBP")[12:]
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def animated_webp_of(frames: int) -> bytes:
    content = odd.animated("WEBP", 2)
    at = content.index(b"ANMF")
    (length,) = struct.unpack_from("<I", content, at + 4)
    body = content[8:at] + content[at : at + 8 + length + length % 2] * frames
    return b"RIFF" + struct.pack("<I", len(body)) + body


def cut_before_last_scan(jpeg: bytes) -> bytes:
    return jpeg[: jpeg.rindex(b"\xff\xda")]


ROWS = [
    Row("png of 3.6 gigapixels", images.header_bomb, *too_large(60_000, 60_000)),
    Row("gif of 4 gigapixels", lambda: gif_header(65_000, 65_000), *too_large(65_000, 65_000)),
    Row("tiff of 3.6 gigapixels", lambda: odd.tiff_of(side=60_000), *too_large(60_000, 60_000)),
    Row("webp of 256 megapixels", lambda: webp_of(16_000, 16_000), *too_large(16_000, 16_000)),
    Row("heic of 900 megapixels", lambda: heic_of(30_000, 30_000), *too_large(30_000, 30_000)),
    Row("gif of 100,000 frames", lambda: odd.gif_of_frames(100_000), *complex_(frames=10_001, max_frames=10_000)),
    Row("webp of 20,000 frames", lambda: animated_webp_of(20_000), *complex_(frames=20_000, max_frames=10_000)),
    Row("png that says a million frames", lambda: odd.png_with(picture(), (b"acTL", struct.pack(">II", 10**6, 0))), *complex_(frames=10**6, max_frames=10_000)),
    Row("png of 300,000 chunks", lambda: odd.png_with(picture(), *[(b"tEXt", b"")] * 300_000), *complex_(chunks=200_001, max_chunks=200_000)),
    Row("png with comments of 3 gigabytes", lambda: compressed_comments(60, 50), None),
    Row("png with a profile of 5 megabytes", lambda: odd.png_with(picture(), (b"iCCP", bytes(5 << 20))), *complex_(bytes=5 << 20, max_bytes=4 << 20)),
    Row("png with a profile that inflates", lambda: odd.png_with(picture(), odd.iccp(bytes(300 << 20))), None),
    Row("jpeg of 883 scans", lambda: odd.many_scans(883), *complex_(scans=101, max_scans=100)),
    Row("jpeg of 50 scans over 81 megapixels", lambda: odd.many_scans(50, (9000, 9000)), *complex_(scans=50, max_scans=24)),
    Row("jpeg of 300,000 segments", lambda: b"\xff\xd8" + b"\xff\xe5\0\x02" * 300_000 + images.jpeg()[2:], *complex_(segments=200_001, max_segments=200_000)),
    Row("jpeg of fill bytes that nothing follows", lambda: b"\xff\xd8" + b"\xff" * 60_000 + b"\0" + images.jpeg()[2:], None),
    Row("jpeg of 12 bits", lambda: odd.frame_header(images.jpeg(), lambda marker, c: (marker, b"\x0c" + c[1:])), *complex_(bits=12, max_bits=8)),
    Row("jpeg without loss", lambda: odd.frame_header(images.jpeg(), lambda _, c: (0xC3, c)), *complex_(process=3)),
    Row("tiff of 2,500 pages", lambda: odd.tiff_pages(2_500, sizes=((1, 1),)), *complex_(directories=2_001, max_directories=2_000)),
    Row("tiff of a tile of 81 megapixels", lambda: odd.tiff_by_hand((8, 8), [bytes(64)], {258: [8] * 3, 259: [6], 262: [6], 277: [3]}, tile=9_000), *complex_(pixels=9_000**2, max_pixels=64 << 20)),
    Row("tiff of planes in tiles, cut short", lambda: odd.planes_in_tiles(photo((96, 64)))[:-60], "file-corrupt"),
    Row("tiff with old JPEG, cut short", lambda: odd.jpeg_in_old_tiff(images.jpeg(), (120, 80))[:-60], "file-corrupt"),
    Row("tiff of eight-bit Lab, cut short", lambda: odd.tiff_by_hand((90, 60), [odd.lab(photo()).tobytes()], {258: [8] * 3, 262: [8], 277: [3]})[:-60], "file-corrupt"),
    Row("tiff of 12 bits, cut short", lambda: odd.packed_tiff(photo(), 12, {262: [2]}, rows=7)[:-60], "file-corrupt"),
    Row("tiff of 12 bits, of 162 gigabytes", lambda: odd.tiff_by_hand((3_000, 3_000), [bytes(99)], {258: [12], 262: [2], 277: [9_000]}), *complex_(bytes=162 * 10**9, max_bytes=10**9)),
    Row("tiff of 12 bits, of 40,000 samples a pixel", lambda: odd.tiff_by_hand((90, 6), [bytes(32_400_000)], {258: [12], 262: [1], 277: [40_000]}), *complex_(samples=40_000, max_samples=8)),
    Row("tiff of 12 bits, in 900 planes", lambda: odd.tiff_by_hand((90, 60), [bytes(8_100)] * 900, {258: [12], 262: [1], 277: [900], 284: [2]}), None),
    Row("tiff of 12 bits, compressed oddly", lambda: odd.packed_tiff(photo(), 12, {262: [2], 317: [2]}), "file-too-complex"),
    Row("tiff of a million strips", lambda: odd.tiff_of(strips=10**6), *complex_(strips=10**6, max_strips=200_000)),
    Row("tiff of 3,000 tags", lambda: odd.tiff_of(tags=3_000), *complex_(tags=3_008, max_tags=1_000)),
    Row("tiff fax, tags out of order and cut short", lambda: odd.tiff_of_strips(odd.tiff_out_of_order(encode(photo(mode="1"), "TIFF", compression="group4")), 300), "file-corrupt"),
    Row("tiff of 200 channels", lambda: odd.tiff_by_hand((3_000, 3_000), [zlib.compress(bytes(10**6))], {258: [8] * 200, 259: [8], 262: [2], 277: [200]}), *complex_(bytes=3_000**2 * 200, max_bytes=10**9)),
    Row("tiff of samples nobody reads", lambda: odd.vips_tiff(odd.vips(photo()).cast("double")), "file-too-complex"),
    Row("negative of Adobe's kind", lambda: odd.tiff_by_hand((8, 8), [bytes(64)], {50_706: [1]}), *raw("image/x-adobe-dng")),
    Row("negative of Canon's kind", lambda: odd.canon_raw((8, 8)), *raw("image/x-canon-cr2")),
    Row("negative with a thumbnail for its page", lambda: odd.tiff_by_hand((8, 8), [bytes(64)], {254: [1], 262: [1], 330: [8]}), *raw("image/x-dcraw")),
    Row("heic of a codec nobody knows", lambda: odd.with_brands(odd.heic(), b"mif1", b"mif1").replace(b"hvc1", b"vvc1"), "file-invalid-type", {"detected_type": "image/heif"}),
    Row("heic whose part leads out of it", lambda: odd.cropped_heic(photo((512, 256)), (120, 80), (400, 0)), "file-corrupt"),
    Row("heic film without a still", odd.heic_film, "file-too-complex"),
    Row("heic of 30,000 boxes", lambda: heic_with(b"\0\0\0\x08free" * 30_000), *complex_(max_boxes=20_000)),
    Row("heic cut short", lambda: odd.heic()[:-60], "file-corrupt"),
    Row("avif of tiles, cut short", lambda: odd.grid_heic(photo((256, 128)), av1=True)[:-600], "file-corrupt"),
    Row("avif of tiles in pieces, cut short", lambda: odd.grid_heic(photo((256, 128)), av1=True, pieces=True)[:-600], "file-corrupt"),
    Row("avif film, cut short", lambda: odd.avif_film()[:-60], "file-corrupt"),
    Row("avif cut short", lambda: encode(photo(), "AVIF")[:-60], "file-corrupt"),
    Row("gif whose pixels end early", lambda: odd.gif_of_too_few_pixels(photo(mode="P")), "file-corrupt"),
    Row("gif cut in its only frame", lambda: encode(photo(mode="P"), "GIF")[:-60], "file-corrupt"),
    Row("webp four kilobytes short", lambda: encode(Image.effect_noise((300, 200), 60), "WEBP")[:-4000], "file-corrupt"),
    Row("png whose rows end early", lambda: odd.png_with_stream(photo(), lambda s: s[:-30]), "file-corrupt"),
    Row("png of wrong checksums only", lambda: odd.png_with_stream(photo(), lambda s: s[:-4] + b"abcd", wrong=(b"IDAT",)), "file-corrupt"),
    Row("png with a wrong palette", partial(odd.png_of_chunks, odd.chunks(encode(photo(mode="P"), "PNG")), wrong=(b"PLTE",)), "file-corrupt"),
    Row("progressive jpeg without its last scan", partial(cut_before_last_scan, images.jpeg(progressive=True)), "file-corrupt"),
    Row("jpeg 2000", lambda: b"\x00\x00\x00\x0cjP  \r\n\x87\n" + bytes(99), "file-invalid-type", {"detected_type": "image/jp2"}),
]  # fmt: skip


def test_each_format_of_images_has_rows() -> None:
    begun = {f"image/{row.name.split()[0]}" for row in ROWS}
    assert set(IMAGES) - begun == set(), "what a row's name begins with"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_hostile_image_has_one_outcome_and_takes_little(tmp_path: Path, row: Row) -> None:
    seen = measure(tmp_path, row.build())
    assert (seen.code, seen.params) == (row.code, row.params)
    assert seen.peak_mib < LITTLE_MIB
    assert seen.cpu_seconds < LITTLE_SECONDS


async def processed(staged: Path, scratch: Path, policy: FilePolicy) -> Processed:
    async with Decoder() as decoder:
        return await decoder.process(
            staged, scratch, policy=policy, field="photo", deadline_seconds=60
        )


async def test_the_sandbox_rejects_a_bomb_as_the_room_does(tmp_path: Path) -> None:
    """What the child says of it is no death that would be tried again."""
    (tmp_path / "sent").write_bytes(odd.many_scans(883))
    (scratch := tmp_path / "scratch").mkdir()
    policy = FilePolicy(accept=("image/jpeg",), max_bytes=10**8)
    with pytest.raises(FileRejected) as verdict:
        await processed(tmp_path / "sent", scratch, policy)
    assert (verdict.value.code, verdict.value.detected_type) == ("file-too-complex", "image/jpeg")


@pytest.mark.parametrize("build", [odd.heic, lambda: encode(photo(), "AVIF"), odd.multi_picture])
async def test_the_sandbox_has_all_that_a_format_needs(
    tmp_path: Path, build: Callable[[], bytes]
) -> None:
    (tmp_path / "sent").write_bytes(build())
    (scratch := tmp_path / "scratch").mkdir()
    convert = dict.fromkeys(("image/heic", "image/avif"), "image/jpeg")
    policy = FilePolicy(accept=tuple(IMAGES), max_bytes=10**8, convert=convert)
    made = await processed(tmp_path / "sent", scratch, policy)
    assert made.object.content_type == "image/jpeg"


@pytest.mark.parametrize(("rules", "mib"), [({}, 200), ({"keep_metadata": True}, 350)])
def test_a_large_photo_with_three_derivatives_stays_within_its_memory(
    tmp_path: Path, rules: dict[str, Any], mib: int
) -> None:
    """48 megapixels: as they are encoded, and encoded anew."""
    sky = pyvips.Image.xyz(8000, 6000) % 256
    content = sky.bandjoin(sky[0]).cast("uchar").copy(interpretation="srgb").jpegsave_buffer()
    derivatives = {name: {"size": size} for name, size in {"a": 1600, "b": 800, "c": 300}.items()}
    seen = measure(tmp_path, content, derivatives=derivatives, **rules)
    assert seen.code is None
    assert seen.peak_mib < mib


@pytest.mark.parametrize(
    "said",
    [*OF_MEMORY, *OF_DISK],
)
def test_what_is_short_here_is_never_the_files_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    def fails(_job: object) -> None:
        raise pyvips.Error("unable to call jpegload", said)

    monkeypatch.setattr(load, "_open", fails)
    with pytest.raises(pyvips.Error):
        run(tmp_path, images.jpeg())
