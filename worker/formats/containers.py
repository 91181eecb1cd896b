"""What is in a container: a ZIP archive or a compound file begins alike, whatever it holds.

Only lists, and the small entries that name the rest, are looked at; nothing is unpacked.
"""

import re
import struct
import zipfile
from pathlib import Path

from shared.formats import DOC, DOCX, ODT
from worker.errors import FileRejected
from worker.formats.archive import BrokenArchiveError, beginning, open_archive
from worker.formats.compound import BrokenCompoundError, CompoundFile, CutOffError

ZIP = "application/zip"
COMPOUND = "application/x-ole-storage"

_OFFICE = "application/vnd.openxmlformats-officedocument"
_OPEN_DOCUMENT = b"application/vnd.oasis.opendocument."
_MAIN_PARTS = (
    (b"wordprocessingml.document.main+xml", DOCX.media_type),
    (b"ms-word.document.macroenabled.main+xml", DOCX.media_type),
    (b"wordprocessingml.template.main+xml", f"{_OFFICE}.wordprocessingml.template"),
    (b"ms-word.template.macroenabledtemplate.main+xml", f"{_OFFICE}.wordprocessingml.template"),
    (b"spreadsheetml.sheet.main+xml", f"{_OFFICE}.spreadsheetml.sheet"),
    (b"ms-excel.sheet.macroenabled.main+xml", f"{_OFFICE}.spreadsheetml.sheet"),
    (b"presentationml.presentation.main+xml", f"{_OFFICE}.presentationml.presentation"),
    (b"presentationml.slideshow.main+xml", f"{_OFFICE}.presentationml.slideshow"),
)
"""By the content type of its main part; a document with macros is the same with another one."""
_STREAMS = (
    # An encrypted document of Office's newer formats doesn't say which of them: a text, most often.
    # It may have an empty one of the old format beside it, for programs that only know that.
    ("encryptedpackage", DOCX.media_type),
    ("worddocument", DOC.media_type),
    ("workbook", "application/vnd.ms-excel"),
    ("book", "application/vnd.ms-excel"),
    ("powerpoint document", "application/vnd.ms-powerpoint"),
    ("visiodocument", "application/vnd.visio"),
    ("__properties_version1.0", "application/vnd.ms-outlook"),
)
"""By the streams in its root, whose names have no case."""
_TYPES = "[Content_Types].xml"
_TYPES_BYTES = 1 << 20
"""Of the list of content types, which names every picture of some documents."""
_FIRST_ENTRIES_BYTES = 64 << 10
_BEFORE_NAME = 26
"""Bytes between the magic of an entry and its name."""
_BEGINNINGS = (
    (b"\xec\xa5", DOC.media_type),
    (b"\x09\x08\x10\0", "application/vnd.ms-excel"),
    (b"\x0f\0\xe8\x03", "application/vnd.ms-powerpoint"),
)
"""Of the streams that a compound file is written for."""
_SECTOR_BYTES = 512
_FIRST_SECTORS_BYTES = 1 << 20


def in_archive(path: Path) -> str:
    """The media type of a file that begins as a ZIP archive."""
    try:
        with open_archive(path) as archive:
            return _of_entries(archive)
    except FileRejected:  # over its bound; what it holds is nobody's business then
        return ZIP
    except BrokenArchiveError:
        return _of_broken_archive(path)


def in_compound_file(path: Path) -> str:
    """The media type of a file that begins as a compound file."""
    try:
        top = CompoundFile(path).top
    except FileRejected:  # as of an archive
        return COMPOUND
    except (BrokenCompoundError, struct.error) as error:
        return _of_broken_compound_file(path, cut=isinstance(error, CutOffError))
    return next((media_type for name, media_type in _STREAMS if name in top), COMPOUND)


def _of_broken_compound_file(path: Path, *, cut: bool) -> str:
    """By how a stream in it begins: the directory that names them may be cut off. Word writes its
    text first and other programs where they like, so that one that is `cut` off before it shows
    what it is is taken for a text, and found damaged."""
    with path.open("rb") as file:
        head = file.read(_FIRST_SECTORS_BYTES)
    sectors = range(_SECTOR_BYTES, len(head), _SECTOR_BYTES)
    begun = (
        media_type
        for magic, media_type in _BEGINNINGS
        if any(head.startswith(magic, at) for at in sectors)
    )
    return next(begun, DOC.media_type if cut else COMPOUND)


def _of_entries(archive: zipfile.ZipFile) -> str:
    types = beginning(archive, _TYPES, _TYPES_BYTES)
    if types:
        lowered = types.replace(b"\0", b"").lower()  # without what UTF-16 puts between letters
        found = [media_type for part, media_type in _MAIN_PARTS if part in lowered]
        return found[0] if found else ZIP
    if _TYPES in archive.NameToInfo and any(
        name.startswith("word/") for name in archive.NameToInfo
    ):
        return DOCX.media_type  # the list is empty, or encrypted: which its check says
    said = beginning(archive, "mimetype", 100).strip()
    if not said:
        manifest = beginning(archive, "META-INF/manifest.xml", _FIRST_ENTRIES_BYTES)
        named = re.search(re.escape(_OPEN_DOCUMENT) + rb"[a-z-]+", manifest)
        said = named[0] if named else b""
    known = _said_of_itself(said)
    if known == ZIP and "META-INF/MANIFEST.MF" in archive.NameToInfo:
        return "application/java-archive"
    return known


def _said_of_itself(said: bytes) -> str:
    """What an archive says of itself is believed where it says a type of archives."""
    if said == b"application/epub+zip" or re.fullmatch(
        re.escape(_OPEN_DOCUMENT) + rb"[a-z-]{1,40}", said
    ):
        return said.decode("ascii")
    return ZIP


def _of_broken_archive(path: Path) -> str:
    """The list stands at the end of an archive: of one that is cut off, the names of its first
    entries are left."""
    with path.open("rb") as file:
        head = file.read(_FIRST_ENTRIES_BYTES)
    if b"mimetype" + ODT.media_type.encode() in head:
        return ODT.media_type
    entries = re.finditer(rb"PK\x03\x04", head)
    if any(head.startswith(b"word/", entry.end() + _BEFORE_NAME) for entry in entries):
        return DOCX.media_type
    return ZIP
