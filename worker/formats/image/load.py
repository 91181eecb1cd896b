"""Whether an image is whole and within its field's limits, and its pixels as viewers show them."""

import mmap
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyvips

from shared.formats import AVIF, GIF, HEIC, JPEG, PNG, TIFF, WEBP, Format
from worker.errors import FileRejected
from worker.formats.blame import is_ours, says_too_large
from worker.formats.image import gif, heif, jpeg, png, shrunk, tiff, webp
from worker.formats.image.limits import check_size, dropped, keeps_all, resolution
from worker.formats.image.reading import Reading, is_unread
from worker.formats.image.seen import MAX_DECODED, Seen
from worker.formats.job import Facts, Job, Notice, notice
from worker.formats.refusals import Refusals
from worker.formats.verdicts import corrupt, within

READERS: dict[str, Callable[[mmap.mmap], Seen]] = {
    JPEG.media_type: jpeg.read,
    PNG.media_type: png.read,
    WEBP.media_type: webp.read,
    GIF.media_type: gif.read,
    TIFF.media_type: tiff.read,
    HEIC.media_type: heif.read,
    AVIF.media_type: heif.read,
}
_TURNED = range(5, 9)
"""EXIF orientations that swap width and height."""
MAX_WEBP_PIXELS = 100_000_000
"""Its decoder and its encoder hold all of them, several times: 100 megapixels take
0.8 GB, which is what a child gets."""
_PERSONAL = {
    "exif-ifd0-Make", "exif-ifd0-Model", "exif-ifd0-Artist", "exif-ifd0-Copyright",
    "exif-ifd0-ImageDescription", "exif-ifd0-DateTime", "exif-ifd0-Software",
    "exif-ifd0-HostComputer", "exif-ifd2-CameraOwnerName", "exif-ifd2-BodySerialNumber",
    "exif-ifd2-LensModel", "exif-ifd2-LensSerialNumber",
    "exif-ifd2-DateTimeOriginal", "exif-ifd2-MakerNote", "exif-ifd2-UserComment",
    "xmp-data", "iptc-data",
}  # fmt: skip
_PERSONAL_GROUPS = ("exif-ifd3-", "png-comment-", "gif-comment", "jpeg-comment")
"""The place where a picture was taken, and what somebody wrote of it."""


@dataclass(frozen=True)
class Opened:
    """A decoded image: upright, in sRGB, eight bits a channel, held where it can be read often."""

    image: pyvips.Image
    """All frames or pages, one below the other, where all are kept."""
    size: tuple[int, int]
    """Width and height of one of them."""
    halved: bool = False
    """Whether no more of its colours is known than a JPEG of half the width and height holds."""
    stored: Facts | None = None
    """Of the object, where the pixels stay as they came and it is written already. `image` is only
    as large then as the derivatives need it."""
    notices: list[Notice] = field(default_factory=list)

    @property
    def first(self) -> pyvips.Image:
        if self.stored:
            return self.image
        return self.image.crop(0, 0, *self.size)


def open_image(job: Job) -> Opened:
    """Raises `FileRejected`: `image-too-small`, `image-too-large`, `file-too-complex`,
    `image-animated` or `file-too-many-pages` before decoding; `file-corrupt` if pixels are missing.

    What is short on this machine comes out as the library's own error: nothing is wrong with the
    file then.
    """
    pyvips.cache_set_max(0)
    pyvips.block_untrusted_set(True)  # noqa: FBT003 - the binding's own signature
    try:
        return _open(job)
    except (pyvips.Error, UnicodeDecodeError) as error:
        said = _said(error)
        if is_ours(said):
            raise
        too_much = is_unread(said) or says_too_large(said)
        raise FileRejected("file-too-complex" if too_much else "file-corrupt") from error


def _said(error: pyvips.Error | UnicodeDecodeError) -> str:
    """The library's words; where they quote the file, the binding can't read them."""
    if isinstance(error, UnicodeDecodeError):
        return error.object.decode(errors="replace")
    return str(error.detail)


def _open(job: Job) -> Opened:
    limits, target = job.policy.image, job.target
    seen = _look(job.staged, job.format)
    reading = Reading(job, seen)
    if job.format is HEIC:  # its decoder has no header that could be read first
        check_size(seen.width, seen.height, target, limits)
    if job.format is WEBP and seen.pixels > MAX_WEBP_PIXELS:
        size = {"width": seen.width, "height": seen.height}
        raise FileRejected("image-too-large", {**size, "max_pixels": MAX_WEBP_PIXELS})
    try:
        header = reading.header()
    except pyvips.Error:
        if seen.pixels:
            check_size(seen.width, seen.height, target, limits)
        raise
    refusals = Refusals(job.policy.flag)
    all_of_them = False
    with refusals.held():
        all_of_them = keeps_all(job, seen)
    with refusals.held():
        check_size(*_upright_size(header, seen, all_of_them=all_of_them), target, limits)
    refusals.settle()
    if job.format is TIFF:
        within("bytes", header.width * header.height * _pixel_bytes(header), MAX_DECODED)
    opened = _copied(job, seen, header) or _decoded(reading, seen, all_of_them=all_of_them)
    notices = opened.notices
    if not all_of_them and seen.images > 1:
        notices.append(dropped(seen))
    if seen.damaged:
        notices.append(notice("repaired"))
    if not job.policy.keep_metadata and (seen.personal or _is_personal(header)):
        notices.append(notice("metadata-removed"))
    notices += resolution(*opened.size, limits)
    return opened


def _pixel_bytes(image: pyvips.Image) -> int:
    """Of a pixel as the decoder gives it."""
    return len(pyvips.Image.black(1, 1, bands=image.bands).cast(image.format).write_to_memory())


def _copied(job: Job, seen: Seen, header: pyvips.Image) -> Opened | None:
    """One whose pixels are stored as they came; None of what has to be decoded and written anew."""
    if not seen.copied or not shrunk.stays(job, header):
        return None
    stored = shrunk.store(seen.copied, job, header)
    if not stored:
        return None
    image, facts = stored
    return Opened(image, (header.width, header.height), stored=facts)


def _decoded(reading: Reading, seen: Seen, *, all_of_them: bool) -> Opened:
    image, page_height = reading.pages() if all_of_them else reading.first()
    if page_height == image.height:
        image = image.autorot()
        page_height = image.height
    return Opened(image, (image.width, page_height), seen.halved)


def _look(path: Path, detected: Format) -> Seen:
    with path.open("rb") as file:
        try:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            return READERS[detected.media_type](content)
        except (
            ValueError,
            IndexError,
            OverflowError,
            struct.error,
        ) as error:  # an empty file, or one that ends in a header
            raise corrupt() from error


def _upright_size(header: pyvips.Image, seen: Seen, *, all_of_them: bool) -> tuple[int, int]:
    """What the decoder will make, or a sheet for all pages where they are kept and larger."""
    width, height = header.width, header.height
    if all_of_them and not seen.moving:
        width, height = max(width, seen.width), max(height, seen.height)
    if header.get_typeof("orientation") and header.get("orientation") in _TURNED:
        return height, width
    return width, height


def _is_personal(header: pyvips.Image) -> bool:
    try:
        names = header.get_fields()
    except UnicodeDecodeError:  # of a keyword in a PNG, which is Latin-1: somebody's own words
        return True
    return any(name in _PERSONAL or name.startswith(_PERSONAL_GROUPS) for name in names)
