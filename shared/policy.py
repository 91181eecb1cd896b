"""The rules of a file field: what is accepted, what is done with it, and what is said of it.

A part of a form definition; a snapshot of it stands in each upload's record, and goes to the worker
with the work order.
"""

import string
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from shared.formats import FORMATS, PDF, canonical
from shared.keys import DEFAULT_TEMPLATE, KeyTemplateError, check_template

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,49}$")]
Positive = Annotated[int, Field(gt=0)]

REJECTIONS = frozenset(
    {
        "file-corrupt",
        "file-encrypted",
        "file-has-active-content",
        "file-has-attachments",
        "file-has-forms",
        "file-has-macros",
        "file-infected",
        "file-invalid-type",
        "file-too-complex",
        "file-too-large",
        "file-too-many-pages",
        "file-too-small",
        "file-unscannable",
        "image-animated",
        "image-too-large",
        "image-too-small",
        "too-many-files",
    }
)
"""What a file can be rejected for."""

NOTICES = frozenset(
    {
        "active-content",
        "active-content-removed",
        "animation-dropped",
        "attachments",
        "attachments-removed",
        "converted",
        "has-macros",
        "low-resolution",
        "macros-removed",
        "many-pages",
        "metadata-removed",
        "not-converted",
        "not-scanned",
        "owner-password",
        "pages-dropped",
        "pages-not-checked",
        "repaired",
        "xfa",
    }
)
"""What is said of a file that is good."""

MESSAGE_CODES = REJECTIONS | NOTICES
"""What a definition may word itself."""

FLAGS = REJECTIONS - {"file-too-large", "file-invalid-type", "too-many-files"}
"""What a field may keep and flag: there has to be a file, and one of a type that it accepts."""

DEFINING = "defining"
"""Set in the context while a definition is loaded: only then is everything held against what this
version knows. Snapshots and work orders may come from a newer or an older one."""


class Model(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


Finding = Literal["allow", "notice", "strip", "reject"]
"""What a field does with something in a file: nothing, say so, take it out, or refuse the file."""


class ImageLimits(Model):
    """Bounds on the upright image, in pixels, and on how many images a file holds. All but the
    recommended ones are checked before anything is decoded."""

    min_width: Positive | None = None
    max_width: Positive | None = None
    min_height: Positive | None = None
    max_height: Positive | None = None
    min_pixels: Positive | None = None
    max_pixels: Positive = 100_000_000
    """Of one image, or of all frames together where they are kept."""
    recommended_width: Positive | None = None
    recommended_height: Positive | None = None
    """Below these an image is stored with a notice."""
    animation: Literal["first-frame", "keep", "reject"] = "first-frame"
    max_frames: Positive = 500
    pages: Literal["first", "all", "reject"] = "first"
    """Of a TIFF with several."""
    max_pages: Positive = 100


class PdfLimits(Model):
    max_pages: Positive = 500
    recommended_pages: Positive | None = None
    """Above these a document is stored with a notice."""
    encrypted: bool = False
    """Whether a document that needs a password to open is accepted."""
    owner_password: Literal["allow", "notice", "reject"] = "allow"  # noqa: S105 - a rule
    """What is done with one that opens without a password and restricts printing or editing."""
    active_content: Finding = "notice"
    """Scripts, and actions that start something by themselves."""
    attachments: Finding = "notice"
    xfa: Finding = "notice"
    """Forms that only some programs can show, instead of pages."""


class DocumentLimits(Model):
    """Of the documents of word processors."""

    macros: Finding = "reject"
    encrypted: bool = False
    """Whether a document that needs a password to open is accepted, and stored as it is."""
    max_pages: Positive = 500
    """Of the PDF that is made of it."""


class Derivative(Model):
    """A smaller image made beside the object. Never larger than what was received."""

    size: Annotated[int, Field(gt=0, le=10_000)]
    """Pixels: the longer side for `inside`, both sides for `cover`."""
    fit: Literal["inside", "cover"] = "inside"
    format: Literal["jpeg", "png", "webp"] = "jpeg"
    quality: Annotated[int, Field(ge=1, le=100)] = 82


class FilePolicy(Model):
    """The rules of a file field. Snapshotted on each upload, so that a changed definition
    can't strand what was acknowledged under the old one.
    """

    accept: Annotated[tuple[str, ...], Field(min_length=1)]
    """Media types and extensions, as in HTML's `accept`. The types decide; extensions are for
    file choosers."""
    min_bytes: Positive = 1
    max_bytes: Positive
    max_files: Annotated[int, Field(gt=0, le=100)] = 1
    image: ImageLimits = ImageLimits()
    pdf: PdfLimits = PdfLimits()
    document: DocumentLimits = DocumentLimits()
    convert: dict[str, str] = {}
    """Received type → type of the stored object."""
    derivatives: dict[Name, Derivative] = {}
    keep_metadata: bool = False
    keep_original: bool = False
    """Whether the received bytes are stored too, beside an object that was made of them."""
    key: str = DEFAULT_TEMPLATE
    scan: bool = True
    """Whether a scanner looks at the file, where one is set up."""
    unscannable: Literal["reject", "accept"] = "reject"
    """What is done with what the scanner can't look into: encrypted, or beyond its limits."""
    flag: tuple[str, ...] = ()
    """Codes of findings for which a file is kept and flagged, instead of being rejected."""
    messages: dict[str, str] = {}
    """Texts by code of an error or a notice, in place of the built-in ones."""

    @property
    def accepted_types(self) -> tuple[str, ...]:
        """Media types as `shared.formats` says them, each once."""
        named = (canonical(entry) for entry in self.accept if not entry.startswith("."))
        return tuple(dict.fromkeys(named))

    @property
    def conversions(self) -> dict[str, str]:
        """`convert`, in media types as `shared.formats` says them."""
        return {canonical(source): canonical(made) for source, made in self.convert.items()}

    @field_validator("key")
    @classmethod
    def _key_is_a_clean_template(cls, value: str) -> str:
        try:
            check_template(value)
        except KeyTemplateError as error:
            raise ValueError(str(error)) from error
        return value

    @field_validator("messages")
    @classmethod
    def _messages_can_be_filled_in(cls, value: dict[str, str]) -> dict[str, str]:
        for code, text in value.items():
            if code not in MESSAGE_CODES:
                known = ", ".join(sorted(MESSAGE_CODES))
                raise ValueError(f"{code!r} is no code of a file's; known are {known}")
            try:
                parts = list(string.Formatter().parse(text))
            except ValueError as error:
                raise ValueError(f"{code}: {error}") from error
            if any(spec or conversion or name == "" for _, name, spec, conversion in parts):
                raise ValueError(f"{code}: a placeholder is a name in braces and nothing more")
        return value

    @field_validator("flag")
    @classmethod
    def _findings_can_be_flagged(cls, value: tuple[str, ...], info: ValidationInfo) -> object:
        unknown = [code for code in value if code not in FLAGS]
        if unknown and (info.context or {}).get(DEFINING):
            known = ", ".join(sorted(FLAGS))
            raise ValueError(f"{unknown[0]!r} can't be flagged; what can is {known}")
        return value

    @model_validator(mode="after")
    def _types_can_be_processed(self, info: ValidationInfo) -> Self:
        if not (info.context or {}).get(DEFINING):
            return self
        known = ", ".join(FORMATS)
        written = (entry for entry in self.accept if not entry.startswith("."))
        for media_type in (*written, *self.convert, *self.convert.values()):
            if canonical(media_type) not in FORMATS:
                raise ValueError(f"{media_type!r} can't be processed; known are {known}")
        if not self.accepted_types:
            raise ValueError("accept names no media type")
        for source, made in self.conversions.items():
            if not can_convert(source, made):
                raise ValueError(f"convert can't make {made} of {source}")
        for media_type in self.accepted_types:
            received = FORMATS[media_type]
            made = self.conversions.get(media_type, media_type)
            if received.kind == "image" and FORMATS[made].writer is None:
                raise ValueError(f"{made} can't be written: convert {media_type} to another type")
        if self.min_bytes > self.max_bytes:
            raise ValueError("min_bytes is more than max_bytes")
        return self


def can_convert(source: str, made: str) -> bool:
    """Whether an object of the media type `made` can be made of a file of the type `source`."""
    if FORMATS[source].kind == "document":
        return made in (source, PDF.media_type)
    return FORMATS[source].kind == "image" and FORMATS[made].writer is not None
