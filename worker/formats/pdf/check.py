"""Whether a PDF can be opened, is whole, and is within its field's limits. It is never changed."""

import mmap
from pathlib import Path

import pikepdf

from shared.policy import PdfLimits
from worker.errors import FileRejected
from worker.formats.job import Notice, notice


def check_pdf(path: Path, limits: PdfLimits) -> tuple[int | None, list[Notice]]:
    """The number of pages, or None with a notice when they can't be seen without the password.

    Raises `FileRejected`: `file-encrypted`, `file-corrupt`, `file-too-many-pages`.
    """
    try:
        with _open(path) as document:
            encrypted, pages = document.is_encrypted, len(document.pages)
    except (pikepdf.PdfError, pikepdf.PasswordError) as error:
        if isinstance(error, pikepdf.PdfError) and _ENCRYPTED_ODDLY not in str(error):
            raise FileRejected("file-corrupt") from error
        if limits.encrypted:
            return None, [notice("pages-not-checked")]
        raise FileRejected("file-encrypted") from error
    if encrypted and not limits.encrypted:
        raise FileRejected("file-encrypted")
    if pages == 0:
        raise FileRejected("file-corrupt")
    if pages > limits.max_pages:
        raise FileRejected("file-too-many-pages", {"pages": pages, "max_pages": limits.max_pages})
    return pages, []


_ENCRYPTED_ODDLY = "encryption dictionary"
"""In what qpdf says of a document encrypted for a certificate, or in another way it can't undo."""


def _open(path: Path) -> pikepdf.Pdf:
    try:
        return pikepdf.open(path, attempt_recovery=False, suppress_warnings=True)
    except pikepdf.PdfError:
        # Viewers repair a table of objects that is a few bytes off or has junk behind it, and so
        # do we. What is cut off can be "repaired" too: then the last pages are just not there.
        if not _is_whole(path):
            raise
        return pikepdf.open(path, suppress_warnings=True)


def _is_whole(path: Path) -> bool:
    """Whether there is an end marker, and no object after the last one."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        end = content.rfind(b"%%EOF")
        return end >= 0 and content.find(b" obj", end) < 0
