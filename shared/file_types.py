"""The types of file the worker can process. A form definition may accept these and no others."""

from typing import Literal, NamedTuple

Kind = Literal["image", "pdf"]


class FileType(NamedTuple):
    media_type: str
    name: str
    """As people call it: used in messages and in the table of what is acceptable."""
    kind: Kind
    extensions: tuple[str, ...]
    """The first is what we give to objects we store."""


JPEG = FileType("image/jpeg", "JPG", "image", (".jpg", ".jpeg"))
PNG = FileType("image/png", "PNG", "image", (".png",))
WEBP = FileType("image/webp", "WebP", "image", (".webp",))
PDF = FileType("application/pdf", "PDF", "pdf", (".pdf",))

FILE_TYPES: dict[str, FileType] = {kind.media_type: kind for kind in (JPEG, PNG, WEBP, PDF)}
