"""Open a document as viewers do: without a password where it needs none, and repaired where its
table of objects is damaged and nothing is lost by it."""

import contextlib
import io
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pikepdf
from pikepdf import Name

from shared.policy import PdfLimits
from worker.errors import FileRejected
from worker.formats.blame import says_no_memory
from worker.formats.pdf import mend
from worker.formats.pdf.budget import (
    FILTERS,
    INFLATED_BYTES,
    MEMORY_BYTES,
    NESTING,
    OBJECTS,
    QPDF_LOG,
    Objects,
    bounded_memory,
    limit_qpdf,
)
from worker.formats.pdf.pages import Pages, list_pages
from worker.formats.verdicts import too_complex

_COPIES = 4
"""Of the file itself that there may be at once: mapped, read, mended, and written again."""


@dataclass(frozen=True)
class Opened:
    """A document, good enough to be stored, and its pages."""

    document: pikepdf.Pdf
    pages: Pages
    source: Path | bytes
    """What was opened: the file, or what had to be made of it first."""
    repaired: bool
    restricted: bool
    """Opens without a password; whoever has another one may do more with it."""

    def again(self) -> pikepdf.Pdf:
        """The same, with nothing of it read yet. Its objects are not those of `document`."""
        return _read(self.source)


class NeedsPassword(Exception):  # noqa: N818 - not an error: a field may accept it
    """Nobody can see what is in it without a password or a key."""


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """What qpdf can't read of the document at `path` is the file's fault, and so is what needs more
    than its budget.

    Raises `FileRejected` (`file-corrupt`, `file-too-complex`) for everything a file can cause.
    """
    try:
        with bounded_memory(MEMORY_BYTES + _COPIES * path.stat().st_size):
            yield
    except (MemoryError, FileRejected, NeedsPassword):
        raise
    except pikepdf.PdfError as error:
        raise FileRejected("file-corrupt") from error
    except (ArithmeticError, LookupError, TypeError, ValueError, RuntimeError) as error:
        # An object of another type than its place in a document asks for.
        raise FileRejected("file-corrupt") from error


def open_pdf(path: Path, limits: PdfLimits, objects: Objects) -> Opened:
    """The document at `path`, its pages counted.

    Raises `NeedsPassword` or `FileRejected`; to be called within `reading()`.
    """
    limit_qpdf()
    try:
        return _open(path, limits, objects)
    except pikepdf.PasswordError as error:
        return _open_around_attachments(path, limits, objects, error)
    except pikepdf.PdfError as error:
        if _ENCRYPTED_ODDLY in str(error):
            return _open_around_attachments(path, limits, objects, error)
        _check_said(str(error))
    except FileRejected as verdict:
        if verdict.code != "file-corrupt":
            raise
    return _open_mended(path, limits, objects)


_ENCRYPTED_ODDLY = "encryption dictionary"
"""In what qpdf says of a document encrypted for a certificate, or in another way it can't undo."""
_REBUILT = ("reconstruct", "file is damaged", "can't find PDF header")
_IGNORED = "includes non-dictionary object"
"""Of the list of pages, which qpdf may have read, and mended, before it is read here."""
_TOO_MUCH = {
    "memory limit exceeded": ("inflated_bytes", INFLATED_BYTES),
    "max-stream-filters": ("filters", FILTERS),
    "parser-max-nesting": ("depth", NESTING),
    "parser-max-container-size": ("objects", OBJECTS),
}
"""qpdf's words for a limit, its name, and what is allowed."""


def _open_mended(path: Path, limits: PdfLimits, objects: Objects) -> Opened:
    received = path.read_bytes()
    failure: Exception = FileRejected("file-corrupt")
    for made in (mend.without_rest, mend.at_its_table, mend.mended, mend.mended_blindly):
        if (copy := made(received)) is None:
            continue
        try:
            return _open(copy, limits, objects, received)
        except pikepdf.PasswordError as error:
            raise NeedsPassword from error
        except pikepdf.PdfError as error:
            failure = error
        except FileRejected as verdict:
            if verdict.code != "file-corrupt":
                raise
            failure = verdict
    raise failure


def _open(
    source: Path | bytes, limits: PdfLimits, objects: Objects, received: bytes | None = None
) -> Opened:
    """`received` is what `source` was made of, if it was."""
    document = _read(source)
    pages = list_pages(document, limits.max_pages, objects)
    said = check_limits(document)
    repaired = isinstance(source, bytes) or any(sign in each for each in said for sign in _REBUILT)
    if isinstance(source, Path) and not repaired and (rest := mend.after_its_end(source)):
        try:
            return _open_mended(source, limits, objects)
        except pikepdf.PdfError:
            if mend.has_pages(rest):
                raise
        except FileRejected as verdict:
            if verdict.code != "file-corrupt" or mend.has_pages(rest):
                raise
        return Opened(document, pages, source, repaired=True, restricted=document.is_encrypted)
    if repaired:
        content = source if isinstance(source, bytes) else source.read_bytes()
        if any(_IGNORED in each for each in said) or mend.is_cut(received or content):
            raise FileRejected("file-corrupt")
        _check_nothing_is_lost(document, pages, content, objects)
    return Opened(document, pages, source, repaired, restricted=document.is_encrypted)


class _Heard(logging.Handler):
    """What qpdf says of a document that it then doesn't open."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if len(self.said) < _HEARD:
            self.said.append(record.getMessage())


_HEARD = 1_000


def _read(source: Path | bytes, *, aloud: bool = False) -> pikepdf.Pdf:
    try:
        document = pikepdf.open(
            source if isinstance(source, Path) else io.BytesIO(source),
            suppress_warnings=not aloud,
            inherit_page_attributes=False,  # would visit, and copy, every page
        )
    except pikepdf.PasswordError:
        raise
    except pikepdf.PdfError:
        if not aloud:
            _ask_why(source)
        raise
    if document.is_encrypted and not (
        document.user_password_matched or document.owner_password_matched
    ):  # qpdf doesn't ask for it where it had to find the objects by itself
        raise pikepdf.PasswordError("the table is damaged, and a password is needed")
    return document


def _ask_why(source: Path | bytes) -> None:
    """Raise what `_check_said` does if a limit is why `source` can't be opened: that isn't said in
    the error, and there is no document that could be asked for its warnings."""
    heard = _Heard()
    QPDF_LOG.addHandler(heard)
    QPDF_LOG.disabled = False
    try:
        with contextlib.suppress(Exception):  # that of the first time is raised
            _read(source, aloud=True)
    finally:
        QPDF_LOG.disabled = True
        QPDF_LOG.removeHandler(heard)
    for each in heard.said:
        _check_said(each)


def check_limits(document: pikepdf.Pdf) -> list[str]:
    """What qpdf said since it was asked last. What it can't read it takes for empty, so that a
    limit shows in its words alone.

    Raises `FileRejected` (`file-too-complex`) or `MemoryError`.
    """
    said = [str(warning) for warning in document.get_warnings()]
    for each in said:
        _check_said(each)
    return said


def _check_said(said: str) -> None:
    if says_no_memory(said):
        raise MemoryError(said)
    for sign, (what, allowed) in _TOO_MUCH.items():
        if sign in said:
            raise too_complex(what, allowed)


# --- encrypted attachments in a document that isn't

_ENCRYPT = re.compile(rb"/Encrypt(?=[\s\0/<\[(%0-9])")
_RENAMED = b"/Encrypx"


def _open_around_attachments(
    path: Path, limits: PdfLimits, objects: Objects, error: Exception
) -> Opened:
    """Viewers open a document in which the attachments alone are encrypted; qpdf wants the
    password first, so that it gets a copy that doesn't say anything is encrypted."""
    try:
        opened = _open(_ENCRYPT.sub(_RENAMED, path.read_bytes()), limits, objects)
    except (pikepdf.PdfError, FileRejected):
        raise NeedsPassword from error
    encryption = opened.document.trailer.get("/Encrypx")
    if not isinstance(encryption, pikepdf.Dictionary) or not _attachments_alone(encryption):
        raise NeedsPassword from error
    return Opened(opened.document, opened.pages, opened.source, repaired=False, restricted=False)


def _attachments_alone(encryption: pikepdf.Dictionary) -> bool:
    filters = [encryption.get(key, Name.Identity) for key in ("/StmF", "/StrF")]
    return "/EFF" in encryption and all(each == Name.Identity for each in filters)


# --- what a repair may have lost


def _check_nothing_is_lost(
    document: pikepdf.Pdf, pages: Pages, content: bytes, objects: Objects
) -> None:
    """What is cut off can be "repaired" too: then the last pages, or what is on them, aren't there.

    Raises `FileRejected` (`file-corrupt`) where anything that the pages show is missing.
    """
    texts = mend.Texts(content)
    listed = {page.objgen[0] for page in pages.found}
    lost = (
        pages.missing > 0
        or _lacks_content(document, pages, texts, objects)
        # pages that no tree lists: that of the last change was cut off
        or (not mend.has_end(content) and not listed.issuperset(texts.pages(objects)))
    )
    if lost:
        raise FileRejected("file-corrupt")


def _lacks_content(
    document: pikepdf.Pdf, pages: Pages, texts: mend.Texts, objects: Objects
) -> bool:
    """Whether a page shows what isn't there. qpdf has forgotten that by now, so that the text of
    the page itself is looked at."""
    for page in pages.found:
        for number in texts.shown_by(page.objgen[0]):
            objects.spend()
            if number not in texts and document.get_object((number, 0)) is None:
                return True
    return False
