"""The rules of a file field: what is accepted, what is done with it, and what is said of it.

A part of a form definition; a snapshot of it stands in each upload's record, and goes to the worker
with the work order. The texts below the keys stand in `docs/form-types.md` too.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.formats import FORMATS, PDF, canonical
from shared.keys import DEFAULT_TEMPLATE

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,49}$")]
Positive = Annotated[int, Field(gt=0)]

Treatment = Literal["allow", "notice", "strip", "reject"]
"""What a field does with something in a file: nothing, say so, take it out, or refuse the file."""


class Model(BaseModel):
    """Read-only. Unknown keys are ignored, because a snapshot may come from another version; a
    definition with one is refused when it is loaded."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)


class ImageLimits(Model):
    """Bounds on the upright image, in pixels, and on how many images a file holds. All but the
    recommended ones are checked before anything is decoded."""

    min_width: Positive | None = None
    """Pixels an image has at least from left to right, upright; a smaller one is rejected."""
    max_width: Positive | None = None
    """Pixels an image has at most from left to right, upright."""
    min_height: Positive | None = None
    """Pixels an image has at least from top to bottom, upright."""
    max_height: Positive | None = None
    """Pixels an image has at most from top to bottom, upright."""
    min_pixels: Positive | None = None
    """Width times height is at least this."""
    max_pixels: Positive = 100_000_000
    """Width times height is at most this; of all frames together where they are kept."""
    recommended_width: Positive | None = None
    """An image that is narrower is stored, with the notice `low-resolution`."""
    recommended_height: Positive | None = None
    """An image that is lower is stored, with the notice `low-resolution`."""
    animation: Literal["first-frame", "keep", "reject"] = "first-frame"
    """What becomes of an animated image: its first frame is stored, all of it (a GIF or WebP), or
    it is rejected."""
    max_frames: Positive = 500
    """Frames an animation has at most, where they are kept."""
    pages: Literal["first", "all", "reject"] = "first"
    """What becomes of an image with several pages: its first one is stored, all of them (a TIFF),
    or it is rejected."""
    max_pages: Positive = 100
    """Pages a TIFF has at most, where they are kept."""


class PdfLimits(Model):
    """Bounds on a PDF, and what is done with what may be in one."""

    max_pages: Positive = 500
    """A PDF with more pages is rejected."""
    recommended_pages: Positive | None = None
    """A PDF with more pages is stored, with the notice `many-pages`."""
    encrypted: bool = False
    """Whether a PDF that needs a password to open is accepted. Its pages can't be checked."""
    owner_password: Literal["allow", "notice", "reject"] = "allow"  # noqa: S105 - a rule
    """What is done with a PDF that opens without a password, and restricts printing or editing."""
    active_content: Treatment = "notice"
    """What is done with scripts, and actions that start something by themselves."""
    attachments: Treatment = "notice"
    """What is done with files that are attached inside the PDF."""
    xfa: Treatment = "notice"
    """What is done with a form that only some programs can show, instead of pages."""

    @property
    def strips(self) -> bool:
        """Whether something may be taken out, so that the object isn't the received bytes."""
        return "strip" in {self.active_content, self.attachments, self.xfa}


class DocumentLimits(Model):
    """Bounds on the documents of word processors, and what is done with what may be in one."""

    macros: Treatment = "reject"
    """What is done with programs in a document."""
    encrypted: bool = False
    """Whether a document that needs a password to open is accepted, and stored as it is."""
    max_pages: Positive = 500
    """Pages at most of the PDF that is made of the document."""
    without_converter: Literal["refuse", "store"] = "refuse"
    """Where a worker has no LibreOffice to convert with: it doesn't start, or it stores documents
    as they came, with the notice `not-converted`, and rejects those whose macros it would have to
    take out."""


class Derivative(Model):
    """A smaller image made beside the object. Never larger than what was received."""

    size: Annotated[int, Field(gt=0, le=10_000)]
    """Pixels: of the longer side for `inside`, of both sides for `cover`."""
    fit: Literal["inside", "cover"] = "inside"
    """`inside` keeps the whole image; `cover` cuts a square out of its middle."""
    format: Literal["jpeg", "png", "webp"] = "jpeg"
    """What it is written as. A JPEG shows white where the image is transparent."""
    quality: Annotated[int, Field(ge=1, le=100)] = 82
    """Of a JPEG or WebP: 1 is the smallest file, 100 the closest to the image."""


class FilePolicy(Model):
    """The rules of a file field. Snapshotted on each upload, so that a changed definition
    can't strand what was acknowledged under the old one.
    """

    accept: Annotated[tuple[str, ...], Field(min_length=1)]
    """Media types and extensions, as in HTML's `accept`. The types decide, and are looked for in
    the bytes; extensions are for file choosers."""
    min_bytes: Positive = 1
    """A smaller file is rejected. In bytes."""
    max_bytes: Annotated[int, Field(gt=0, le=5 << 40)]
    """A larger file is refused while it arrives. In bytes: `15_000_000` is 15 MB."""
    part_bytes: Annotated[int, Field(ge=1 << 16)] = 8_000_000
    """A browser's script sends a larger file in parts of so many bytes, and goes on where it was
    cut off; a smaller one it sends at once. In bytes."""
    max_files: Annotated[int, Field(gt=0, le=100)] = 1
    """With 1, another file takes the first one's place; with more, files are added."""
    image: ImageLimits = ImageLimits()
    """Rules for images; see below."""
    pdf: PdfLimits = PdfLimits()
    """Rules for PDFs; see below."""
    document: DocumentLimits = DocumentLimits()
    """Rules for documents of word processors; see below."""
    convert: dict[str, str] = {}
    """What a file is stored as: received type = stored type."""
    derivatives: dict[Name, Derivative] = {}
    """Smaller images to be made beside the object, each by a name of its own; see below."""
    keep_metadata: bool = False
    """Whether an image keeps what cameras add, with the place it was taken at. Of a TIFF only its
    XMP and IPTC blocks are kept."""
    keep_original: bool = False
    """Whether the received bytes are stored too, beside an object that was made of them."""
    key: str = DEFAULT_TEMPLATE
    """The folder of the objects in the bucket. Placeholders: `{form_type}`, `{form_id}`,
    `{reference}`, `{field}`, `{year}`, `{month}`. What belongs to one attempt at one upload is
    appended."""
    scan: bool = True
    """Whether a scanner looks at the file, where one is set up."""
    unscannable: Literal["reject", "accept"] = "reject"
    """What is done with what the scanner can't look into: encrypted, or beyond its limits."""
    flag: tuple[str, ...] = ()
    """Codes of findings for which a file is kept and flagged, instead of being rejected."""
    messages: dict[str, str] = {}
    """Texts by code of a rejection or a notice, in place of the built-in ones."""

    @property
    def accepted_types(self) -> tuple[str, ...]:
        """Media types as `shared.formats` says them, each once."""
        named = (canonical(entry) for entry in self.accept if not entry.startswith("."))
        return tuple(dict.fromkeys(named))

    @property
    def conversions(self) -> dict[str, str]:
        """`convert`, in media types as `shared.formats` says them."""
        return {canonical(source): canonical(made) for source, made in self.convert.items()}

    @property
    def needs_office(self) -> tuple[str, ...]:
        """Media types of documents that are to be made into PDFs."""
        conversions = self.conversions
        return tuple(
            each
            for each in self.accepted_types
            if each in FORMATS
            and FORMATS[each].kind == "document"
            and conversions.get(each) == PDF.media_type
        )


def can_convert(source: str, made: str) -> bool:
    """Whether an object of the media type `made` can be made of a file of the type `source`."""
    if FORMATS[source].kind == "document":
        return made in (source, PDF.media_type)
    return FORMATS[source].kind == "image" and FORMATS[made].writer is not None
