"""Whether an image is whole and within its field's limits, and its pixels as viewers show them."""

import mmap
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import pyvips

from shared.formats import AVIF, GIF, HEIC, JPEG, PNG, TIFF, WEBP, Format
from worker.errors import FileRejected
from worker.formats.blame import is_ours, says_too_large
from worker.formats.image import gif, heif, jpeg, png, shrunk, tiff, webp
from worker.formats.image.colour import to_srgb
from worker.formats.image.held import heard, hold, noted
from worker.formats.image.limits import check_size, dropped, keeps_all, resolution
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
_PIXELS_LOST = ("premature end", "bad huffman code", "instead of rst", "arithmetic code")
"""libjpeg's warnings after which it makes pixels up. Its other ones are about odd, whole files."""
_NOT_READ = (
    "security limit", "samples out of range", "unsupported", "not supported", "bad labq format",
    "not configured", "not a whole number of bytes", "required field 262", "strip byte count 0",
)  # fmt: skip # a list of words
"""What it says of kinds of a format that it can't decode: nothing is damaged then."""
_TWICE_READ = (TIFF, AVIF)
"""Of these another library reads more kinds."""
_WARNED = {"", "tiffload: load error"}
"""Lines of what it says when something was odd, and nothing an error."""
_OF_A_DIRECTORY = (
    "tags are not sorted", "unknown field with tag", "custom tag", '"stripbytecounts" field',
    "incorrect count for field", "incorrect value for field", "ascii value for",
)  # fmt: skip # a list of words
"""In libtiff's warnings of what stands beside the pixels, or of where they are, not of them."""
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


def is_unread(said: str) -> bool:
    """Whether a library's words are about a kind of file that it doesn't read."""
    return any(sign in said.lower() for sign in _NOT_READ)


def _said(error: pyvips.Error | UnicodeDecodeError) -> str:
    """The library's words; where they quote the file, the binding can't read them."""
    if isinstance(error, UnicodeDecodeError):
        return error.object.decode(errors="replace")
    return str(error.detail)


def _open(job: Job) -> Opened:
    limits, target = job.policy.image, job.target
    seen = _look(job.staged, job.format)
    reading = _Reading(job, seen)
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


def _decoded(reading: "_Reading", seen: Seen, *, all_of_them: bool) -> Opened:
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


class _Reading:
    """One file, read by the decoder of its format: from a mended copy where it needs one."""

    def __init__(self, job: Job, seen: Seen) -> None:
        self._job = job
        self._seen = seen
        self._format = job.format
        self._path = job.staged
        self._copy = job.scratch / "mended"
        self._load: Callable[[int], pyvips.Image] | None = None
        """What decodes a page of it where libvips doesn't."""
        self._unsure = False
        """Whether bytes were filled in of which nobody knows if they matter."""
        if seen.damaged or seen.rewrite:
            self._mend()

    def header(self) -> pyvips.Image:
        """The image with nothing decoded yet; of a HEIC, decoded."""
        if self._format is HEIC:
            image = heif.decode(self._path, self._job.policy.image.max_pixels)
            self._load = lambda _: image
            return image
        try:
            return self._open(page=self._seen.pages[0])
        except pyvips.Error as error:
            return self._ask_pillow(error)

    def _ask_pillow(self, error: pyvips.Error) -> pyvips.Image:
        """The first page, by the other reader from now on; or `error`, where that isn't asked."""
        if self._load or self._format not in _TWICE_READ or not is_unread(error.detail):
            raise error
        from worker.formats.image import pillow  # noqa: PLC0415 - other images don't wait for it

        seen, limits = self._seen, self._job.policy.image
        if seen.pixels > limits.max_pixels:
            check_size(seen.width, seen.height, self._job.target, limits)
        self._load = lru_cache(maxsize=1)(partial(pillow.decode, self._path, self._format))
        seen.ycbcr = False  # it gives colours
        return self._open(page=seen.pages[0])

    def first(self) -> tuple[pyvips.Image, int]:
        """The first frame or page, and its height."""
        image = self._decode(page=self._seen.pages[0])
        return image, image.height

    def pages(self) -> tuple[pyvips.Image, int]:
        """All of them, one below the other, and the height of each."""
        if self._seen.moving:
            image = self._decode(n=-1)
            return image, int(image.get("page-height"))  # type: ignore[arg-type] # a number
        sheets = [self._decode(page=page).autorot() for page in self._seen.pages]
        width, height = (
            max(getattr(each, side) for each in sheets) for side in ("width", "height")
        )
        if any(each.bands != sheets[0].bands for each in sheets):
            sheets = [each.colourspace("srgb") for each in sheets]
            deepest = max(each.bands for each in sheets)
            sheets = [each if each.bands == deepest else each.bandjoin(255) for each in sheets]
        white = [255.0] * sheets[0].bands
        placed = [
            each
            if (each.width, each.height) == (width, height)
            else each.embed(0, 0, width, height, extend="background", background=white)
            for each in sheets
        ]
        return hold(pyvips.Image.arrayjoin(placed, across=1)), height

    def _decode(self, **options: Any) -> pyvips.Image:
        """In sRGB, and held. A file in which only marks are wrong is mended and read again."""
        try:
            image = self._show_whole(**options)
        except pyvips.Error as error:
            if is_ours(error.detail):
                raise
            return self._decode_odd(error, **options)
        if self._unsure:
            webp.mend(self._job.staged, self._copy, filler=b"\xff")
            other = self._show(fail_on="warning", **options)
            if float((image - other).abs().max()) > 0:  # type: ignore[arg-type] # no tuple
                raise corrupt()
        return image

    def _decode_odd(self, error: pyvips.Error, **options: Any) -> pyvips.Image:
        if self._format in _TWICE_READ and is_unread(error.detail):
            self._ask_pillow(error)
            return self._show(**options)
        if self._format is JPEG and not any(s in error.detail.lower() for s in _PIXELS_LOST):
            image = self._show(fail_on="truncated", **options)
        elif self._format is PNG:
            png.mend_stream(self._job.staged, self._copy)
            self._path = self._copy
            image = self._show(fail_on="warning", **options)
        elif self._seen.exact and _WARNED.issuperset(error.detail.splitlines()):
            image = self._show(fail_on="error", **options)
        elif self._format is TIFF and _WARNED.issuperset(error.detail.splitlines()):
            image = self._show_if_only_its_directory_is_odd(error, **options)
        else:
            raise error
        self._seen.damaged = True
        return image

    def _show_if_only_its_directory_is_odd(
        self, error: pyvips.Error, **options: Any
    ) -> pyvips.Image:
        """Raises `error` for a fax or a JPEG in a TIFF, of whose pixels a warning may be."""
        with heard() as said:
            image = self._show(fail_on="error", **options)
        if not said or not all(any(s in each.lower() for s in _OF_A_DIRECTORY) for each in said):
            raise error
        return image

    def _show_whole(self, **options: Any) -> pyvips.Image:
        """Raises `pyvips.Error` where the decoder has anything to say of it."""
        noted()
        image = self._show(fail_on="warning", **options)
        if self._format is JPEG and (said := noted()):
            raise pyvips.Error("warned", said)
        return image

    def _show(self, **options: Any) -> pyvips.Image:
        return hold(to_srgb(self._open(**options), self._seen))

    def _open(self, *, page: int = 0, **options: Any) -> pyvips.Image:
        if self._load:
            return self._load(page)
        if page and self._format is TIFF:
            options["page"] = page
        image: pyvips.Image = pyvips.Operation.call(
            str(self._format.loader),
            str(self._path),
            # measurements are gone over twice: for their bounds, and to be shown
            access="random" if self._format is TIFF else "sequential",
            **options,
        )
        if self._seen.premultiplied:  # libheif says so, and libvips doesn't ask it
            image = image.unpremultiply().cast(image.format)
        return image

    def _mend(self) -> None:
        source, copy = self._job.staged, self._copy
        if self._format is JPEG:
            jpeg.mend(source, copy)
        elif self._format is PNG:
            png.rewrite(source, copy)
        elif self._format is GIF:
            gif.mend(source, copy)
        elif self._format is WEBP:
            self._unsure = webp.mend(source, copy)
        self._path = copy
