"""What the sandbox and its child say to each other: JSON, one request in, a few lines out.

The policy travels as the JSON it already is; these types name the part of it the child reads.
"""

import hashlib
from pathlib import Path
from typing import Literal, TypedDict

from shared.file_types import FILE_TYPES


class ImageLimits(TypedDict):
    min_width: int | None
    max_width: int | None
    min_height: int | None
    max_height: int | None
    max_pixels: int


class PdfLimits(TypedDict):
    max_pages: int
    encrypted: bool


class Derivative(TypedDict):
    size: int
    fit: Literal["inside", "cover"]
    format: Literal["jpeg", "png", "webp"]
    quality: int


class Policy(TypedDict):
    """What the child needs of `shared.form_definition.FilePolicy`, by the same names."""

    accept: list[str]
    image: ImageLimits
    pdf: PdfLimits
    convert: dict[str, str]
    derivatives: dict[str, Derivative]
    keep_metadata: bool
    keep_original: bool


class Request(TypedDict):
    staged: str
    scratch: str
    field: str
    policy: Policy
    cpu_seconds: int
    parent_pid: int


class Facts(TypedDict):
    """One output, but for its name: the parent gives names, and finds the bytes by them."""

    content_type: str
    size: int
    sha256: str
    width: int | None
    height: int | None
    pages: int | None


class NoticeText(TypedDict):
    code: str
    detail: str


class StageBegins(TypedDict):
    stage: str


class Accepted(TypedDict):
    result: Literal["accepted"]
    detected_type: str
    object: Facts
    object_is_staged: bool
    derivatives: dict[str, Facts]
    original: Facts | None
    notices: list[NoticeText]
    confinement: list[str]


class Rejected(TypedDict):
    result: Literal["rejected"]
    code: str
    params: dict[str, str | int | float]
    detected_type: str | None


def output_name(field: str, content_type: str, derivative: str | None = None) -> str:
    """The name of an output, in the scratch folder and at the end of its key."""
    stem = field if derivative is None else f"{field}-{derivative}"
    return stem + FILE_TYPES[content_type].extensions[0]


def facts_of(
    path: Path,
    content_type: str,
    *,
    width: int | None = None,
    height: int | None = None,
    pages: int | None = None,
) -> Facts:
    """What is known of the finished file at `path`."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "content_type": content_type,
        "size": path.stat().st_size,
        "sha256": sha256,
        "width": width,
        "height": height,
        "pages": pages,
    }
