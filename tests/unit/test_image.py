"""What becomes of an image: upright, in sRGB, stripped, and never half of one."""

import io
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.JpegImagePlugin import get_sampling

from shared.formats import FORMATS
from shared.policy import FilePolicy
from tests.support import images
from worker.errors import FileRejected
from worker.formats.detect import detect
from worker.formats.image.process import process_image
from worker.formats.job import Job, output_name

JPEG, PNG, WEBP = "image/jpeg", "image/png", "image/webp"


class Made:
    """What was written for one received image."""

    def __init__(self, folder: Path, content: bytes, **rules: Any) -> None:
        policy = policy_of(**rules)
        received = folder / "received"
        received.write_bytes(content)
        detected = detect(received)
        assert detected is not None
        job = Job(
            received, folder, "headshot", policy, FORMATS[detected], begin=lambda _stage: None
        )
        made = process_image(job)
        self.type, self.notices = job.target, made.notices
        self.facts, self.derivatives = made.object, made.derivatives
        self.folder = folder

    @property
    def path(self) -> Path:
        return self.folder / output_name("headshot", self.type)

    @property
    def content(self) -> bytes:
        return self.path.read_bytes()

    def open(self, derivative: str | None = None) -> Image.Image:
        if derivative is None:
            return Image.open(self.path)
        media_type = self.derivatives[derivative]["content_type"]
        return Image.open(self.folder / output_name("headshot", media_type, derivative))


def policy_of(**rules: Any) -> FilePolicy:
    known: dict[str, Any] = {"accept": [JPEG, PNG, WEBP], "max_bytes": 10**8}
    return FilePolicy.model_validate(known | rules)


def looks_like_the_picture(image: Image.Image, by: int = 24) -> bool:
    """Whether the four quarters have their colours, give or take what formats lose."""
    width, height = image.size
    shown = image.convert("RGB")
    expected = {
        (width // 4, height // 4): images.RED,
        (width * 3 // 4, height // 4): images.GREEN,
        (width * 3 // 4, height * 3 // 4): images.BLUE,
        (width // 4, height * 3 // 4): images.WHITE,
    }
    return all(near(shown.getpixel(at), colour, by) for at, colour in expected.items())


def near(seen: Any, expected: tuple[int, ...], by: int = 24) -> bool:
    return all(abs(a - b) <= by for a, b in zip(seen, expected, strict=True))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_whatever_way_the_camera_was_held_the_image_is_upright(
    tmp_path: Path, orientation: int
) -> None:
    made = Made(
        tmp_path,
        images.camera_jpeg(orientation),
        derivatives={"small": {"size": 60}, "square": {"size": 40, "fit": "cover"}},
    )
    for image in (made.open(), made.open("small"), made.open("square")):
        assert looks_like_the_picture(image)
        assert image.getexif().get(0x0112, 1) == 1
    assert (made.facts["width"], made.facts["height"]) == (120, 80) == made.open().size
    assert made.open("small").size == (60, 40)
    assert made.open("square").size == (40, 40)


@pytest.mark.parametrize("target", [JPEG, PNG, WEBP])
def test_nothing_the_camera_added_is_stored(tmp_path: Path, target: str) -> None:
    sent = images.camera_jpeg(6)
    assert sent.count(images.GPS_MARKER) == 4
    made = Made(tmp_path, sent, convert={JPEG: target}, derivatives={"small": {"size": 60}})
    for path in tmp_path.glob("headshot*"):
        stored = path.read_bytes()
        for trace in (images.GPS_MARKER, b"Exif", b"adobe", b"ICC_PROFILE", b"Photoshop", b"XML"):
            assert trace not in stored
    for image in (made.open(), made.open("small")):
        assert not image.getexif()
        assert not image.info.keys() & {"exif", "xmp", "icc_profile", "comment", "photoshop"}


def test_a_field_may_keep_metadata_but_not_in_derivatives(tmp_path: Path) -> None:
    made = Made(
        tmp_path,
        images.camera_jpeg(6),
        keep_metadata=True,
        derivatives={"small": {"size": 60}},
    )
    exif = made.open().getexif()
    assert exif.get_ifd(0x8825)[1] == "N"
    assert exif.get(0x0112, 1) == 1  # upright now, and says so
    assert looks_like_the_picture(made.open())
    assert not made.open("small").getexif()


@pytest.mark.parametrize(("came", "stored"), [("4:2:0", 2), ("4:2:2", 0), ("4:4:4", 0)])
def test_a_jpeg_that_is_written_anew_keeps_the_colours_it_has_and_gets_no_more_than_those(
    tmp_path: Path, came: str, stored: int
) -> None:
    made = Made(tmp_path, images.jpeg(subsampling=came), keep_metadata=True)
    assert get_sampling(made.open()) == stored
    assert looks_like_the_picture(made.open())


def test_what_stands_behind_an_image_is_gone(tmp_path: Path) -> None:
    assert b"<script>" not in Made(tmp_path, images.jpeg() + b"<script>alert(1)</script>").content


@pytest.mark.parametrize(
    "content",
    [
        images.jpeg(mode="CMYK", subsampling=-1),
        images.jpeg(progressive=True),
        images.jpeg(subsampling=2),
        images.png(mode="P"),
        images.png(mode="RGBA"),
        images.webp(),
        images.webp(lossless=True),
        images.animated_webp(),
        images.jpeg(icc_profile=images.srgb_profile()),
        images.png(icc_profile=images.srgb_profile()),
        images.jpeg(icc_profile=b"this is no profile" * 20),
        images.jpeg(mode="CMYK", subsampling=-1, icc_profile=images.srgb_profile()),
        images.jpeg(exif=b"Exif\0\0 this is no EXIF"),
        images.jpeg_with_segment(b"\xff\xe0", b"odd"),
        images.jpeg() + bytes(1000),
    ],
    ids=[
        "cmyk", "progressive", "subsampled", "palette", "alpha", "webp", "lossless webp",
        "animated webp", "jpeg with profile", "png with profile", "broken profile",
        "profile of another kind", "broken exif", "odd segment", "zeros behind",
    ],
)  # fmt: skip
def test_odd_and_valid_images_are_accepted(tmp_path: Path, content: bytes) -> None:
    for target in (JPEG, PNG, WEBP):
        made = Made(
            tmp_path,
            content,
            convert=dict.fromkeys((JPEG, PNG, WEBP), target),
            derivatives={"small": {"size": 60}},
        )
        # a printer's colours have no exact match on a screen; inverted ones are twice as far away
        assert looks_like_the_picture(made.open(), by=90 if b"Adobe" in content else 24)
        assert made.open("small").size == (60, 40)


@pytest.mark.parametrize("mode", ["L", "1", "I;16", "LA"])
def test_grey_images_stay_grey(tmp_path: Path, mode: str) -> None:
    level: dict[str, Any] = {"L": 128, "1": 1, "I;16": 128 * 257, "LA": (128, 255)}
    grey = Image.new(mode, (30, 20), level[mode])
    made = Made(tmp_path, images.encode(grey, "PNG"), convert={PNG: JPEG})
    assert made.open().mode == "L"
    seen: Any = made.open().getpixel((5, 5))
    assert abs(seen - (255 if mode == "1" else 128)) <= 3


def test_sixteen_bits_a_channel_become_eight(tmp_path: Path) -> None:
    made = Made(tmp_path, images.deep_png())
    assert made.open().mode == "RGB"
    assert near(made.open().getpixel((0, 0)), (128, 18, 255), by=2)


def test_a_wide_gamut_is_converted_and_not_relabelled(tmp_path: Path) -> None:
    """The profile here swaps red and blue: who ignores it shows the wrong colour."""
    profile = bytearray(images.srgb_profile())
    red, blue = profile.index(b"rXYZ"), profile.index(b"bXYZ")
    profile[red : red + 4], profile[blue : blue + 4] = b"bXYZ", b"rXYZ"
    made = Made(tmp_path, images.png(icc_profile=bytes(profile)))
    assert near(made.open().getpixel((10, 10)), images.RED[::-1])


def test_alpha_is_laid_on_white_for_jpeg_and_kept_for_png(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (20, 10), (255, 0, 0, 0))
    sent = images.encode(clear, "PNG")
    made = Made(
        tmp_path,
        sent,
        derivatives={"flat": {"size": 10}, "clear": {"size": 10, "format": "png"}},
    )
    seen: Any = made.open().getpixel((0, 0))
    assert seen[3] == 0
    assert near(made.open("flat").getpixel((0, 0)), images.WHITE, by=2)
    assert made.open("clear").mode == "RGBA"


def test_only_the_first_frame_of_an_animation_is_kept_and_that_is_said(tmp_path: Path) -> None:
    made = Made(tmp_path, images.animated_webp())
    assert getattr(made.open(), "n_frames", 1) == 1
    assert [notice["code"] for notice in made.notices] == ["animation-dropped"]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("kind", ["jpeg", "progressive", "png", "webp"])
def test_a_truncated_image_is_corrupt(tmp_path: Path, kind: str, share: float) -> None:
    noise = Image.effect_noise((300, 200), 60).convert("RGB")
    whole = {
        "jpeg": images.encode(noise, "JPEG"),
        "progressive": images.encode(noise, "JPEG", progressive=True),
        "png": images.encode(noise, "PNG"),
        "webp": images.encode(noise, "WEBP"),
    }[kind]
    with pytest.raises(FileRejected) as verdict:
        Made(tmp_path, whole[: int(len(whole) * share)])
    assert verdict.value.code == "file-corrupt"


@pytest.mark.parametrize("filler", [b"\xff\xd9", b"\0" * 9000 + b"\xff\xd9"])
def test_a_jpeg_whose_second_half_is_missing_inside_is_corrupt(
    tmp_path: Path, filler: bytes
) -> None:
    whole = images.encode(Image.effect_noise((300, 200), 60).convert("RGB"), "JPEG")
    with pytest.raises(FileRejected) as verdict:
        Made(tmp_path, whole[: len(whole) // 2] + filler)
    assert verdict.value.code == "file-corrupt"


def test_a_png_with_a_flipped_byte_is_corrupt(tmp_path: Path) -> None:
    whole = bytearray(images.encode(Image.effect_noise((300, 200), 60).convert("RGB"), "PNG"))
    whole[len(whole) // 2] ^= 1
    with pytest.raises(FileRejected) as verdict:
        Made(tmp_path, bytes(whole))
    assert verdict.value.code == "file-corrupt"


@pytest.mark.parametrize("content", [b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_a_mere_beginning_is_corrupt(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(FileRejected) as verdict:
        Made(tmp_path, content)
    assert verdict.value.code == "file-corrupt"


def test_a_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    started = time.process_time()
    with pytest.raises(FileRejected) as verdict:
        Made(tmp_path, images.header_bomb())
    assert verdict.value.code == "image-too-large"
    assert verdict.value.params == {"width": 60_000, "height": 60_000, "max_pixels": 100_000_000}
    assert time.process_time() - started < 1


def test_a_comment_that_inflates_is_never_inflated(tmp_path: Path) -> None:
    sent = images.text_bomb()
    started = time.process_time()
    assert Made(tmp_path, sent).open().size == (120, 80)
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("limits", "code", "params"),
    [
        ({"min_width": 100}, "image-too-small", {"min_width": 100}),
        ({"min_height": 200}, "image-too-small", {"min_height": 200}),
        (
            {"min_width": 10, "min_height": 200},
            "image-too-small",
            {"min_width": 10, "min_height": 200},
        ),
        ({"max_width": 79}, "image-too-large", {"max_width": 79}),
        ({"max_height": 119}, "image-too-large", {"max_height": 119}),
        ({"max_pixels": 9599}, "image-too-large", {"max_pixels": 9599}),
    ],
)
def test_limits_hold_for_the_upright_image(
    tmp_path: Path, limits: dict[str, int], code: str, params: dict[str, int]
) -> None:
    """Sent 120 by 80 and turned: 80 by 120 once upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    with pytest.raises(FileRejected) as verdict:
        Made(tmp_path, images.jpeg(exif=exif.tobytes()), image=limits)
    assert verdict.value.code == code
    assert verdict.value.params == {"width": 80, "height": 120, **params}


def test_an_image_at_its_limits_is_accepted(tmp_path: Path) -> None:
    limits = {"min_width": 120, "max_width": 120, "min_height": 80, "max_height": 80}
    Made(tmp_path, images.jpeg(), image=limits | {"max_pixels": 9600})


def test_an_image_too_long_for_the_stored_type_is_too_large(tmp_path: Path) -> None:
    long = images.png((20_000, 3))
    with pytest.raises(FileRejected) as verdict:
        Made(tmp_path, long, convert={PNG: WEBP})
    assert (verdict.value.code, verdict.value.params["max_width"]) == ("image-too-large", 16_383)
    assert Made(tmp_path, long).open().size == (20_000, 3)


@pytest.mark.parametrize(
    ("sent", "size", "fit", "expected"),
    [
        ((400, 300), 200, "inside", (200, 150)),
        ((300, 400), 200, "inside", (150, 200)),
        ((400, 300), 100, "cover", (100, 100)),
        ((120, 80), 200, "inside", (120, 80)),
        ((120, 80), 100, "cover", (80, 80)),
        ((120, 80), 200, "cover", (80, 80)),
        ((1, 1), 200, "inside", (1, 1)),
        ((1, 1), 200, "cover", (1, 1)),
        ((1, 3000), 200, "inside", (1, 200)),
        ((3000, 1), 200, "inside", (200, 1)),
        ((1, 3000), 200, "cover", (1, 1)),
        ((3000, 2), 200, "cover", (2, 2)),
    ],
)
def test_derivatives_fit_and_never_enlarge(
    tmp_path: Path, sent: tuple[int, int], size: int, fit: str, expected: tuple[int, int]
) -> None:
    made = Made(tmp_path, images.png(sent), derivatives={"one": {"size": size, "fit": fit}})
    facts = made.derivatives["one"]
    assert made.open("one").size == expected == (facts["width"], facts["height"])
    assert made.open("one").format == "JPEG"


def test_a_square_is_cut_from_the_middle(tmp_path: Path) -> None:
    made = Made(tmp_path, images.png((400, 100)), derivatives={"s": {"size": 50, "fit": "cover"}})
    assert looks_like_the_picture(made.open("s"))


def test_a_square_is_not_made_of_a_smaller_derivative(tmp_path: Path) -> None:
    """Inside 400, this strip is 100 high: too little for a square of 300."""
    made = Made(
        tmp_path,
        images.png((1600, 400)),
        derivatives={"wide": {"size": 400}, "square": {"size": 300, "fit": "cover"}},
    )
    assert made.open("wide").size == (400, 100)
    assert made.open("square").size == (300, 300)


def test_each_derivative_has_its_format_and_quality(tmp_path: Path) -> None:
    noise = images.encode(Image.effect_noise((300, 200), 60).convert("RGB"), "PNG")
    made = Made(
        tmp_path,
        noise,
        derivatives={
            "fine": {"size": 200, "quality": 95},
            "coarse": {"size": 200, "quality": 30},
            "webp": {"size": 200, "format": "webp"},
            "png": {"size": 200, "format": "png"},
        },
    )
    assert made.derivatives["fine"]["size"] > 2 * made.derivatives["coarse"]["size"]
    assert (made.open("webp").format, made.open("png").format) == ("WEBP", "PNG")


def test_the_facts_are_those_of_the_file(tmp_path: Path) -> None:
    made = Made(tmp_path, images.png(), convert={PNG: JPEG})
    assert made.facts["content_type"] == JPEG
    assert made.facts["size"] == len(made.content)
    assert Image.open(io.BytesIO(made.content)).format == "JPEG"
