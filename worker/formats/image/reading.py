"""One image file, read by the decoder of its format: whole, or mended, or by another reader."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import pyvips

from shared.formats import AVIF, GIF, HEIC, JPEG, PNG, TIFF, WEBP
from worker.formats.blame import is_ours
from worker.formats.image import gif, heif, jpeg, png, webp
from worker.formats.image.colour import to_srgb
from worker.formats.image.held import heard, hold, noted
from worker.formats.image.limits import check_size
from worker.formats.image.seen import Seen
from worker.formats.job import Job
from worker.formats.verdicts import corrupt

_PIXELS_LOST = ("premature end", "bad huffman code", "instead of rst", "arithmetic code")
"""libjpeg's warnings after which it makes pixels up. Its other ones are about odd, whole files."""
_NOT_READ = (
    "security limit", "samples out of range", "unsupported", "not supported", "bad labq format",
    "not configured", "not a whole number of bytes", "required field 262", "strip byte count 0",
)  # fmt: skip # a list of words
"""What it says of kinds of a format that it can't decode: nothing is damaged then."""
_TWICE_READ = (TIFF, AVIF)
"""Of these another library reads more kinds."""
_NO_STILL = "no 'pitm' box"
"""What libheif says of an AVIF that is a film alone, of which browsers show the first frame."""
_OPAQUE = 255
_WARNED = {"", "tiffload: load error"}
"""Lines of what it says when something was odd, and nothing an error."""
_OF_A_DIRECTORY = (
    "tags are not sorted", "unknown field with tag", "custom tag", '"stripbytecounts" field',
    "incorrect count for field", "incorrect value for field", "ascii value for",
)  # fmt: skip # a list of words
"""In libtiff's warnings of what stands beside the pixels, or of where they are, not of them."""


def is_unread(said: str) -> bool:
    """Whether a library's words are about a kind of file that it doesn't read."""
    return any(sign in said.lower() for sign in _NOT_READ)


class Reading:
    """From a mended copy, where it needs one."""

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
        if self._load or not self._is_for_pillow(error.detail):
            raise error
        from worker.formats.image import pillow  # noqa: PLC0415 - other images don't wait for it

        seen, limits = self._seen, self._job.policy.image
        if seen.pixels > limits.max_pixels:
            check_size(seen.width, seen.height, self._job.target, limits)
        read = partial(pillow.decode, self._path, self._format, limits.max_pixels)
        self._load = lru_cache(maxsize=1)(read)
        seen.ycbcr = False  # it gives colours
        return self._open(page=seen.pages[0])

    def _is_for_pillow(self, said: str) -> bool:
        film = self._format is AVIF and self._seen.moving and _NO_STILL in said.lower()
        return self._format in _TWICE_READ and (film or is_unread(said))

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
        if self._format is GIF:
            return self._clear_around(image, **options)
        if self._unsure:
            webp.mend(self._job.staged, self._copy, filler=b"\xff")
            other = self._show(fail_on="warning", **options)
            if float((image - other).abs().max()) > 0:  # type: ignore[arg-type] # no tuple
                raise corrupt()
        return image

    def _clear_around(self, image: pyvips.Image, **options: Any) -> pyvips.Image:
        """The same, clear where no frame of the GIF covers it. Raises `FileRejected`
        (`file-corrupt`) where the first frame ends before its last pixel."""
        source, self._path = self._path, self._job.scratch / "alone"
        left, top, width, height = gif.first_alone(source, self._path)
        alone = self._open(fail_on="warning")
        opaque = width * height and alone.crop(left, top, width, height)[-1].min()
        if float(opaque) < _OPAQUE:  # type: ignore[arg-type] # no tuple
            raise corrupt()
        if image.hasalpha() or (width, height) == (alone.width, alone.height):
            return image
        if "n" not in options:
            return self._show()
        gif.with_clear(source, self._path)
        return self._show(**{**options, "n": self._seen.images})

    def _decode_odd(self, error: pyvips.Error, **options: Any) -> pyvips.Image:
        if self._is_for_pillow(error.detail):
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
        if image.bands > (colours := self._seen.opaque.get(page, image.bands)):
            image = image.extract_band(0, n=colours)
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
