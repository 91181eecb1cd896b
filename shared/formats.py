"""The formats of files, one row each: how a format is called, known by its bytes, read and written.

Detection, checks, conversion, diagnosis, the documents and the browser read these rows; a format is
added here, and to the code of its kind in `worker/formats/`.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["image", "pdf", "document"]
"""What a format holds. Each kind has a package in `worker/formats/`."""

Several = Literal["frames", "pages"]
"""What there may be more than one of in an image."""

Signature = tuple[tuple[int, bytes], ...]
"""Pieces at their offsets that are all there at the start of a file."""


@dataclass(frozen=True, slots=True)
class Format:
    """One format of files. `media_type` is the one that we say; `aliases` are said by others."""

    media_type: str
    name: str
    """As people call it: used in messages and in the table of what is acceptable."""
    kind: Kind
    extensions: tuple[str, ...]
    """The first is what we give to objects we store."""
    signatures: tuple[Signature, ...]
    """How files of it most often begin. Several formats may share one: a ZIP archive, a box of
    ISO's. One that begins otherwise may be of it all the same: `worker/formats/detect.py` knows."""
    loader: str | None
    """Of images, libvips' operation that reads it, or `heif`; None for what is named alone."""
    writer: str | None = None
    """Of images, libvips' operation that writes it; without one the definition has to convert."""
    longest_side: int | None = None
    """Pixels that the format can hold in a row, where that is fewer than anybody sends."""
    starts_within: int = 0
    """Bytes that may stand before the signature, as readers of the format allow."""
    alpha: bool = True
    """Whether it can hold transparency."""
    several: Literal["frames", "pages", "images"] | None = None
    """What further images in one file are."""
    keeps: Several | None = None
    """What all of can be stored, in this format, when it was received in it."""
    aliases: tuple[str, ...] = ()

    def may_hold(self, what: Several) -> bool:
        """Whether there may be several of them in one file: those of HEIF may be either."""
        return self.several in {what, "images"}


def _at_start(*beginnings: bytes) -> tuple[Signature, ...]:
    return tuple(((0, beginning),) for beginning in beginnings)


def _brands(*brands: bytes) -> tuple[Signature, ...]:
    """Of ISO/IEC 14496-12: a file's first box names its major brand."""
    return tuple(((4, b"ftyp" + brand),) for brand in brands)


HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")
AVIF_BRANDS = (b"avif", b"avis")
GENERAL_BRANDS = (b"mif1", b"msf1", b"mif2", b"miaf", b"mif3")
"""Of HEIF, whatever codec is inside."""

_COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

JPEG = Format(
    "image/jpeg",
    "JPG",
    "image",
    (".jpg", ".jpeg"),
    _at_start(b"\xff\xd8\xff"),
    loader="jpegload",
    writer="jpegsave",
    longest_side=65_500,
    alpha=False,
    aliases=("image/jpg", "image/pjpeg"),
)
PNG = Format(
    "image/png",
    "PNG",
    "image",
    (".png",),
    _at_start(b"\x89PNG\r\n\x1a\n"),
    loader="pngload",
    writer="pngsave",
    several="frames",
    aliases=("image/apng", "image/x-png"),
)
WEBP = Format(
    "image/webp",
    "WebP",
    "image",
    (".webp",),
    (((0, b"RIFF"), (8, b"WEBP")),),
    loader="webpload",
    writer="webpsave",
    longest_side=16_383,
    several="frames",
    keeps="frames",
)
GIF = Format(
    "image/gif",
    "GIF",
    "image",
    (".gif",),
    _at_start(b"GIF87a", b"GIF89a"),
    loader="gifload",
    writer="gifsave",
    longest_side=65_535,
    several="frames",
    keeps="frames",
)
TIFF = Format(
    "image/tiff",
    "TIFF",
    "image",
    (".tif", ".tiff"),
    _at_start(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    loader="tiffload",
    writer="tiffsave",
    several="pages",
    keeps="pages",
    aliases=("image/tif", "image/x-tiff"),
)
HEIC = Format(
    "image/heic",
    "HEIC",
    "image",
    (".heic", ".heif", ".hif"),
    _brands(*HEIC_BRANDS, *GENERAL_BRANDS),
    loader="heif",
    several="images",
    aliases=("image/heif", "image/heic-sequence", "image/heif-sequence"),
)
AVIF = Format(
    "image/avif",
    "AVIF",
    "image",
    (".avif",),
    _brands(*AVIF_BRANDS, *GENERAL_BRANDS),
    loader="heifload",
    several="images",
    aliases=("image/avif-sequence",),
)
PDF = Format(
    "application/pdf",
    "PDF",
    "pdf",
    (".pdf",),
    _at_start(b"%PDF-"),
    loader="pdf",
    starts_within=1024,
    aliases=("application/x-pdf", "application/acrobat", "application/vnd.pdf", "text/pdf"),
)
DOCX = Format(
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "DOCX",
    "document",
    (".docx",),
    _at_start(b"PK\x03\x04", _COMPOUND),  # with a password it is a compound file
    loader="office",
    aliases=("application/vnd.ms-word.document.macroenabled.12",),
)
ODT = Format(
    "application/vnd.oasis.opendocument.text",
    "ODT",
    "document",
    (".odt",),
    _at_start(b"PK\x03\x04"),
    loader="office",
    aliases=("application/x-vnd.oasis.opendocument.text",),
)
RTF = Format(
    "application/rtf",
    "RTF",
    "document",
    (".rtf",),
    _at_start(b"{\\rtf"),
    loader="office",
    starts_within=4091,
    aliases=("text/rtf", "text/richtext", "application/x-rtf"),
)
DOC = Format(
    "application/msword",
    "DOC",
    "document",
    (".doc",),
    _at_start(_COMPOUND),
    loader="office",
    aliases=("application/vnd.ms-word", "application/doc", "application/x-msword"),
)
JP2 = Format(
    "image/jp2",
    "JPEG 2000",
    "image",
    (".jp2", ".j2k"),
    _at_start(b"\x00\x00\x00\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),
    loader=None,
    aliases=("image/jpeg2000", "image/jpx", "image/j2k"),
)

ALL = (JPEG, PNG, WEBP, GIF, TIFF, HEIC, AVIF, PDF, DOCX, ODT, RTF, DOC, JP2)
"""Those that begin alike are told apart by what is in them, in `worker/formats/`."""

FORMATS = {each.media_type: each for each in ALL if each.loader}
"""What the worker can process. A form definition may accept these and no others."""

NAMES = {each.media_type: each.name for each in ALL}
"""What people call them, those that can't be processed too."""

_CANONICAL = {alias: each.media_type for each in ALL for alias in (each.media_type, *each.aliases)}


def canonical(media_type: str) -> str:
    """The media type that we say where others say `media_type`."""
    lowered = media_type.lower()
    return _CANONICAL.get(lowered, lowered)
