"""What is said of a file: the codes, and what a text for each of them can tell.

The texts themselves are the api's (`api/texts/errors.py`, `api/texts/rejections.py`); a form
definition may word its own.
"""

from collections.abc import Mapping

Params = Mapping[str, str | int | float]
"""What is known of a file beside a code, by names that are public."""

POLICY_PLACEHOLDERS = {
    "accepted": "what the field accepts, such as `PDF, DOCX or ODT`",
    "an_accepted": "the same with its article, such as `a PDF, DOCX or ODT`",
    "max_size": "the largest file, such as `20 MB`",
    "min_size": "the smallest file, such as `2 KB`",
    "max_bytes": "`max_bytes`, as a number",
    "min_bytes": "`min_bytes`, as a number",
    "max_files": "`max_files`",
    "max_pages": "`max_pages` of `pdf`, `document` or `image`, by what the field accepts;"
    " where they differ, in the text of `file-too-many-pages` alone",
    "min_width": "`image.min_width`, in pixels",
    "min_height": "`image.min_height`, in pixels",
    "min_pixels": "`image.min_pixels`, width times height",
}
"""What any text can tell, because the field's definition says it."""

REJECTION_PLACEHOLDERS: dict[str, tuple[str, ...]] = {
    "file-corrupt": (),
    "file-encrypted": (),
    "file-has-active-content": ("found",),
    "file-has-attachments": ("found",),
    "file-has-forms": ("found",),
    "file-has-macros": (),
    "file-infected": (),
    "file-invalid-type": (),
    "file-too-complex": (),
    "file-too-large": (),
    "file-too-many-pages": ("pages",),
    "file-too-small": (),
    "file-unscannable": (),
    "image-animated": ("frames",),
    "image-too-large": ("width", "height"),
    "image-too-small": ("width", "height"),
    "too-many-files": (),
}
"""What a file can be rejected for, and what a text for it can tell of the file beyond the field."""

NOTICE_PLACEHOLDERS: dict[str, tuple[str, ...]] = {
    "active-content": ("found",),
    "active-content-removed": ("found",),
    "animation-dropped": ("images",),
    "attachments": ("found",),
    "attachments-removed": ("found",),
    "converted": ("from_name", "to_name"),
    "has-macros": (),
    "low-resolution": ("width", "height"),
    "macros-removed": (),
    "many-pages": ("pages",),
    "metadata-removed": (),
    "no-preview": (),
    "not-converted": (),
    "not-scanned": (),
    "owner-password": (),
    "pages-dropped": ("images",),
    "pages-not-checked": (),
    "repaired": (),
    "xfa": ("found",),
    "xfa-removed": ("found",),
}
"""What is said of a file that is good, and what a text for it can tell of the file."""

REJECTIONS = frozenset(REJECTION_PLACEHOLDERS)
NOTICES = frozenset(NOTICE_PLACEHOLDERS)

FLAGS = REJECTIONS - {"file-too-large", "file-invalid-type", "too-many-files"}
"""What a field may keep and flag: there has to be a file, and one of a type that it accepts."""

PLACEHOLDERS = {
    code: frozenset({*POLICY_PLACEHOLDERS, *of_file})
    for code, of_file in {**REJECTION_PLACEHOLDERS, **NOTICE_PLACEHOLDERS}.items()
}
"""What a definition may word itself, and the names in braces that its text may have."""
