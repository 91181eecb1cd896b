"""Run the image room on one file, and compare what it stores with what Pillow shows."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops, ImageCms, ImageOps, ImageStat

from shared.formats import FORMATS
from shared.policy import FilePolicy
from tests.support.images import srgb_profile
from worker.errors import FileRejected
from worker.formats.detect import detect
from worker.formats.families import check_accepted, process
from worker.formats.job import Job, Made, output_name

IMAGES = [each.media_type for each in FORMATS.values() if each.kind == "image"]
CONVERT = {"image/heic": "image/jpeg", "image/avif": "image/webp"}
EVERY_PIXEL = {"copy": {"size": 10_000, "format": "png"}}
"""A derivative that is never smaller: all pixels, and nothing lost."""


@dataclass(frozen=True)
class Result:
    """Of one file: what was made, or why it was rejected."""

    folder: Path
    made: Made | None = None
    rejected: FileRejected | None = None

    @property
    def stored(self) -> tuple[str, int | None, int | None]:
        assert self.made, self.rejected
        facts = self.made.object
        return facts["content_type"], facts["width"], facts["height"]

    @property
    def notices(self) -> set[str]:
        assert self.made, self.rejected
        return {each["code"] for each in self.made.notices}

    def image(self, derivative: str | None = None) -> Image.Image:
        assert self.made, self.rejected
        facts = self.made.derivatives[derivative] if derivative else self.made.object
        name = output_name("photo", facts["content_type"], derivative)
        return Image.open(self.folder / name)


def run(folder: Path, content: bytes, **rules: Any) -> Result:
    """In process; the file has no name that would tell anything."""
    received = folder / "received"
    received.write_bytes(content)
    known: dict[str, Any] = {"accept": IMAGES, "max_bytes": 10**9, "derivatives": EVERY_PIXEL}
    policy = FilePolicy.model_validate({**known, **rules, "convert": CONVERT | rules.get("convert", {})})  # fmt: skip
    detected = detect(received)
    try:
        check_accepted(detected, policy.accepted_types)
        assert detected
        job = Job(received, folder, "photo", policy, FORMATS[detected], begin=lambda _: None)
        return Result(folder, made=process(job))
    except FileRejected as verdict:
        return Result(folder, rejected=verdict)


def as_pillow_shows(content: bytes, *, profile: bool = True) -> Image.Image:
    """Upright, in sRGB, on white."""
    image: Image.Image = Image.open(io.BytesIO(content))
    image = ImageOps.exif_transpose(image)
    embedded = image.info.get("icc_profile")
    alpha = image.convert("RGBA").getchannel("A") if image.has_transparency_data else None
    if profile and embedded:
        if image.mode not in {"L", "CMYK", "RGB"}:
            image = image.convert("L" if image.mode == "LA" else "RGB")
        target = ImageCms.ImageCmsProfile(io.BytesIO(srgb_profile()))
        source = ImageCms.ImageCmsProfile(io.BytesIO(embedded))
        shown = ImageCms.profileToProfile(
            image,
            source,
            target,
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        assert shown
        image = shown
    return on_white(image, alpha)


def on_white(image: Image.Image, alpha: Image.Image | None = None) -> Image.Image:
    if alpha is None and image.has_transparency_data:
        alpha = image.convert("RGBA").getchannel("A")
    flat = image.convert("RGB")
    if alpha is None:
        return flat
    white = Image.new("RGB", image.size, "white")
    white.paste(flat, mask=alpha)
    return white


def difference(one: Image.Image, other: Image.Image) -> float:
    """Of all samples, the mean, in steps of 255."""
    assert one.size == other.size
    levels = ImageStat.Stat(ImageChops.difference(on_white(one), on_white(other))).mean
    return sum(levels) / len(levels)
