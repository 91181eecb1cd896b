"""A JPEG whose pixels need nothing is stored as it was encoded, and as nothing but a JPEG."""

import io
import mmap
import random
import struct
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import pyvips
from PIL import Image

from tests.formats.pictures import Result, difference, run
from tests.measure.fuzz import mutated
from tests.support import images
from tests.support import odd_images as odd
from tests.support.images import GPS_MARKER, encode
from tests.support.odd_images import photo
from worker.formats.image import jpeg

PAYLOAD = b"<script>alert(1)</script>"
SHRUNK_BY_8: dict[str, Any] = {"derivatives": {}}
WHOLE: dict[str, Any] = {"derivatives": {}, "keep_metadata": True}
"""What a field asks for, so that a JPEG is decoded and written anew."""


def noise(size: tuple[int, int] = (203, 151), mode: str = "RGB") -> Image.Image:
    """Detail in every block, in colours that aren't random."""
    return Image.blend(photo(size), Image.effect_noise(size, 50).convert("RGB"), 0.4).convert(mode)


def segments(content: bytes) -> list[tuple[int, bytes]]:
    """Marker and data of each up to the first scan, and the rest behind the last marker."""
    at, found = 2, []
    while True:
        marker, length = content[at + 1], struct.unpack_from(">H", content, at + 2)[0]
        found.append((marker, content[at + 4 : at + 2 + length]))
        at += 2 + length
        if marker == 0xDA:
            return [*found, (0, content[at:])]


def joined(parts: list[tuple[int, bytes]]) -> bytes:
    *named, (_, rest) = parts
    packed = (struct.pack(">BBH", 0xFF, marker, 2 + len(data)) + data for marker, data in named)
    return b"\xff\xd8" + b"".join(packed) + rest


def with_segments(*added: tuple[int, bytes], before: int = 0xDA) -> bytes:
    """A JPEG with more segments before the first one of a kind."""
    parts = segments(images.jpeg())
    at = [marker for marker, _ in parts].index(before)
    return joined([*parts[:at], *added, *parts[at:]])


def camera_jpeg(**options: Any) -> bytes:
    """Held upright, with all that cameras and editors add, in sRGB and saying so."""
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">' + GPS_MARKER + b"</x:xmpmeta>"
    exif = odd.exif(1, Make=GPS_MARKER.decode())
    profile = images.srgb_profile()
    return encode(
        noise(), "JPEG", exif=exif, xmp=xmp, comment=GPS_MARKER, icc_profile=profile, **options
    )


def renamed(names: bytes) -> bytes:
    """With other names of its three components."""
    parts = []
    for marker, data in segments(encode(noise(), "JPEG")):
        changed = bytearray(data)
        if marker == 0xC0:
            changed[6::3] = names
        elif marker == 0xDA:
            changed[1:7:2] = names
        parts.append((marker, bytes(changed) if marker in {0xC0, 0xDA} else data))
    return joined([part for part in parts if part[0] != 0xE0])


def vips_jpeg(**options: Any) -> bytes:
    return bytes(odd.vips(noise()).jpegsave_buffer(**options))


def tables() -> bytes:
    """One of those that codes are told by."""
    return next(data for marker, data in segments(images.jpeg()) if marker == 0xC4)


def adobe(transform: int) -> tuple[int, bytes]:
    return 0xEE, b"Adobe" + struct.pack(">HHHB", 100, 0, 0, transform)


def planes(*names: int) -> bytes:
    """A scan for each of the three components, and for one that is named again."""
    head = segments(encode(noise(mode="L"), "JPEG"))[:-2]
    frame = b"\1\x11\0\2\x11\0\3\x11\0"
    parts = [(m, data[:5] + b"\3" + frame if m == 0xC0 else data) for m, data in head]
    scans = b""
    for number, name in enumerate(names):
        scan = segments(encode(noise((203, 151), "L").rotate(180 * number), "JPEG"))[-1][1]
        scans += b"\xff\xda\0\x08\1" + bytes([name]) + b"\0\0\x3f\0" + scan[:-2]
    return joined([*parts, (0, scans + b"\xff\xd9")])


def restarts_behind_a_scan() -> bytes:
    """In a progressive file, of which decoders skip them between scans."""
    content = encode(noise(), "JPEG", progressive=True, restart_marker_rows=1)
    end = content.index(b"\xff\xc4", content.index(b"\xff\xda"))
    return content[:end] + b"\xff\xd0\xff\xd1" * 9 + content[end:]


AS_THEY_CAME: dict[str, Callable[[], bytes]] = {
    **{f"4:{each}": partial(encode, noise(), "JPEG", subsampling=f"4:{each}", quality=84) for each in ("4:4", "2:2", "2:0")},
    "odd sides": lambda: encode(noise((91, 61)), "JPEG"),
    "a pixel": lambda: encode(noise((1, 1)), "JPEG"),
    "grey": lambda: encode(noise(mode="L"), "JPEG"),
    "progressive": lambda: encode(noise(), "JPEG", progressive=True),
    "progressive grey": lambda: encode(noise(mode="L"), "JPEG", progressive=True),
    "progressive with restarts": lambda: encode(noise(), "JPEG", progressive=True, restart_marker_rows=1),
    "restarts of blocks": lambda: encode(noise(), "JPEG", restart_marker_blocks=3),
    "restarts of rows": lambda: encode(noise(), "JPEG", restart_marker_rows=1),
    "optimised": lambda: encode(noise(), "JPEG", optimize=True),
    "trellis": lambda: vips_jpeg(trellis_quant=True, optimize_scans=True, interlace=True, Q=60),
    "lowest quality": lambda: encode(noise(), "JPEG", quality=1),
    "best quality": lambda: encode(noise(), "JPEG", quality=100),
    "of a camera": camera_jpeg,
    "of a camera, progressive": lambda: camera_jpeg(progressive=True),
    "two pictures": odd.multi_picture,
    "a film behind": odd.motion_photo,
    "a scan for each component": lambda: planes(1, 2, 3),
    "names from 0": lambda: renamed(b"\0\1\2"),
    "Adobe's mark": lambda: with_segments(adobe(1), before=0xDB),
    "a comment late": lambda: with_segments((0xFE, PAYLOAD)),
    "nothing said of it": lambda: joined(segments(encode(noise(), "JPEG"))[1:]),
}  # fmt: skip

ANEW: dict[str, Callable[[], bytes]] = {
    **{f"orientation {each}": partial(odd.oriented, "JPEG", each, quality=84) for each in range(2, 9)},
    "CMYK": lambda: encode(noise(mode="CMYK"), "JPEG", quality=84),
    "RGB": lambda: encode(noise(), "JPEG", keep_rgb=True, quality=84),
    "RGB by name": lambda: renamed(b"RGB"),
    "other names": lambda: renamed(b"\7\5\6"),
    "Adobe's mark of RGB": lambda: with_segments(adobe(0), before=0xDB),
    "a wide gamut": lambda: encode(noise(), "JPEG", icc_profile=odd.builtin_profile("p3"), quality=84),
    "grey with a profile": lambda: encode(noise(mode="L"), "JPEG", icc_profile=odd.grey_profile(1.0), quality=84),
    "a profile that is none": lambda: encode(noise(), "JPEG", icc_profile=b"none" * 99, quality=84),
    "no end": lambda: images.jpeg()[:-2],
    "junk before its end": lambda: images.jpeg()[:-2] + PAYLOAD + b"\xff\xd9",
    "junk between segments": lambda: images.jpeg()[:20] + PAYLOAD + images.jpeg()[20:],
    "more tables than there are": lambda: with_segments((0xC4, tables() * 9)),
    "a height behind the scan": lambda: images.jpeg()[:-2] + b"\xff\xdc\0\4\0\x50\xff\xd9",
    "fill bytes": lambda: images.jpeg()[:-2] + b"\xff" * 9 + b"\xff\xd9",
    "a component that is written over": lambda: planes(1, 1, 2, 3),
    "a component that is written over last": lambda: planes(1, 2, 3, 1),
    "restarts of nothing": restarts_behind_a_scan,
    "restarts that nobody announced": lambda: images.jpeg()[:-2] + b"\xff\xd0\xff\xd9",
}  # fmt: skip


def stored(result: Result) -> bytes:
    return Path(result.image().filename).read_bytes()  # type: ignore[attr-defined] # of a file


def by_pillow(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def by_vips(content: bytes) -> bytes:
    return bytes(pyvips.Image.new_from_buffer(content, "").write_to_memory())


def is_as_it_came(result: Result, received: bytes) -> bool:
    tables: list[Any] = [by_pillow(each).quantization for each in (stored(result), received)]  # type: ignore[attr-defined] # of a JPEG
    return bool(tables[0] == tables[1])


@pytest.mark.parametrize("build", AS_THEY_CAME.values(), ids=AS_THEY_CAME)
def test_the_pixels_are_those_that_came_to_the_last_bit(
    tmp_path: Path, build: Callable[[], bytes]
) -> None:
    received = build()
    result = run(tmp_path, received, derivatives={"small": {"size": 40}})
    content = stored(result)
    assert by_pillow(content).tobytes() == by_pillow(received).tobytes()
    assert by_vips(content) == by_vips(received)
    assert len(content) <= len(received)
    assert result.made
    assert result.made.object["sha256"] == sha256(content).hexdigest()
    assert result.made.object["size"] == len(content)
    assert result.stored == ("image/jpeg", *by_pillow(received).size)


@pytest.mark.parametrize("build", AS_THEY_CAME.values(), ids=AS_THEY_CAME)
def test_nothing_else_of_the_file_is_stored(tmp_path: Path, build: Callable[[], bytes]) -> None:
    content = stored(run(tmp_path, build()))
    *named, (_, pixels) = segments(content)
    kinds = {marker for marker, _ in named}
    assert kinds <= {0xE0, 0xDB, 0xC0, 0xC2, 0xC4, 0xDD, 0xDA}
    assert all(len(data) == 14 for marker, data in named if marker == 0xE0)
    assert pixels.endswith(b"\xff\xd9")
    for trace in (GPS_MARKER, PAYLOAD, b"Exif", b"adobe", b"ICC_PROFILE", b"ftyp", b"MPF\0"):
        assert trace not in content
    assert not by_pillow(content).info.keys() & {"exif", "xmp", "icc_profile", "comment", "mp"}


@pytest.mark.parametrize("build", ANEW.values(), ids=ANEW)
def test_what_is_unusual_or_has_to_change_is_encoded_anew(
    tmp_path: Path, build: Callable[[], bytes]
) -> None:
    received = build()
    result = run(tmp_path, received)
    assert not is_as_it_came(result, received)
    assert PAYLOAD not in stored(result)


@pytest.mark.parametrize("rules", [{"keep_metadata": True}, {"convert": {"image/jpeg": "image/webp"}}])  # fmt: skip
def test_a_field_that_keeps_or_changes_more_than_pixels_has_them_encoded_anew(
    tmp_path: Path, rules: dict[str, Any]
) -> None:
    received = camera_jpeg(quality=84)
    shown = by_pillow(stored(run(tmp_path, received, **rules))).convert("RGB")
    assert shown.tobytes() != by_pillow(received).tobytes()
    assert difference(shown, by_pillow(received)) < 4


def test_tables_that_no_scan_uses_are_left_out(tmp_path: Path) -> None:
    unused = PAYLOAD.ljust(64, b"x")
    received = with_segments(
        (0xDB, b"\3" + unused), (0xC4, b"\x13" + bytes(15) + b"\x19" + PAYLOAD)
    )
    result = run(tmp_path, received)
    assert by_vips(stored(result)) == by_vips(received)
    assert PAYLOAD not in stored(result)


def test_a_table_that_is_defined_twice_is_stored_as_it_was_used(tmp_path: Path) -> None:
    received = with_segments((0xDB, b"\0" + PAYLOAD.ljust(64, b"x")), before=0xDB)
    result = run(tmp_path, received)
    assert by_vips(stored(result)) == by_vips(received)
    assert PAYLOAD not in stored(result)


def test_arithmetic_coding_has_no_copy() -> None:
    """Nobody but decoders of it can tell where its data end."""
    content = odd.frame_header(images.jpeg(), lambda _, data: (0xC9, data))
    with mmap.mmap(-1, len(content)) as held:
        held.write(content)
        assert jpeg.read(held).copied is None


@pytest.mark.parametrize("rules", [SHRUNK_BY_8, WHOLE], ids=["copied", "anew"])
@pytest.mark.parametrize("mode", ["4:4:4", "4:2:2", "4:2:0", "L"])
@pytest.mark.parametrize("height", [400, 407])
def test_a_jpeg_whose_last_row_of_blocks_is_cut_short_is_corrupt(
    tmp_path: Path, mode: str, height: int, rules: dict[str, Any]
) -> None:
    """libvips asks for warnings before each strip of rows, and so not behind the last."""
    options = {"mode": "L"} if mode == "L" else {}
    sampling = {} if mode == "L" else {"subsampling": mode}
    whole = encode(noise((203, height), **options), "JPEG", **sampling)
    result = run(tmp_path, whole[:-22] + whole[-2:], **rules)
    assert result.rejected
    assert result.rejected.code == "file-corrupt"


@pytest.mark.parametrize("seed", range(12))
def test_a_damaged_jpeg_is_judged_as_if_it_were_decoded_whole(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - so that a failure can be had again
    whole = list(AS_THEY_CAME.values())[seed]()
    verdicts = set()
    for _ in range(25):
        damaged = _damaged(whole, chance)
        copied, anew = (run(tmp_path, damaged, **rules) for rules in (SHRUNK_BY_8, WHOLE))
        verdicts.add(anew.rejected and anew.rejected.code)
        assert (copied.rejected and copied.rejected.code) == (
            anew.rejected and anew.rejected.code
        ), damaged.hex()
        if anew.made:
            assert copied.notices - {"metadata-removed"} == anew.notices
    assert verdicts >= {None, "file-corrupt"}


def _damaged(content: bytes, chance: random.Random) -> bytes:
    """In its pixels, or anywhere; still with the beginning that tells its type."""
    changed = bytearray(content)
    first = content.index(b"\xff\xda")
    if chance.random() < 0.7:
        for _ in range(chance.choice((1, 1, 3))):
            changed[chance.randrange(first, len(changed))] ^= 1 << chance.randrange(8)
        return bytes(changed)
    return content[:3] + mutated(content[3:], content, chance)


@pytest.mark.parametrize(
    ("size", "fit", "expected"),
    [
        (1000, "inside", (1000, 753)),
        (300, "inside", (300, 226)),
        (62, "inside", (62, 47)),
        (90, "cover", (90, 90)),
        (760, "cover", (753, 753)),
    ],
)
def test_what_is_made_of_a_smaller_decode_looks_as_if_made_of_the_whole(
    tmp_path: Path, size: int, fit: str, expected: tuple[int, int]
) -> None:
    received = encode(photo((1000, 753)), "JPEG", quality=92)
    wanted = {"one": {"size": size, "fit": fit, "format": "png"}}
    made = {}
    for way in ("copied", "anew"):
        (folder := tmp_path / way).mkdir()
        result = run(folder, received, derivatives=wanted, keep_metadata=way == "anew")
        assert result.image("one").size == expected
        made[way] = result.image("one")
    assert difference(made["copied"], made["anew"]) < 1


def test_a_smaller_decode_is_large_enough_for_every_derivative(tmp_path: Path) -> None:
    """The square needs more of this strip than what its larger neighbour does."""
    received = encode(noise((1600, 200)), "JPEG")
    wanted = {"wide": {"size": 200}, "square": {"size": 190, "fit": "cover"}}
    copied, anew = (
        run(tmp_path, received, derivatives=wanted, keep_metadata=keep).image("square").tobytes()
        for keep in (False, True)
    )
    assert copied == anew
