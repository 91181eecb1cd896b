"""DOCX and ODT: archives, whose every entry is read once, within budgets, and kept nowhere.

Nothing is unpacked to files: what an entry's name says, and a link in it, leads to nothing.
"""

import zipfile
from pathlib import Path, PurePosixPath

from shared.formats import ODT, Format
from worker.formats.archive import (
    CHUNK_BYTES,
    BrokenArchiveError,
    beginning,
    is_encrypted,
    open_archive,
)
from worker.formats.compound import BrokenCompoundError, CompoundFile
from worker.formats.document.findings import BrokenDocumentError, Findings
from worker.formats.verdicts import within

MAX_ENTRIES = 10_000
UNPACKED_BYTES = 512 << 20
"""Of all entries together. Pictures hardly shrink in an archive: a document of the largest size
that a field takes comes nowhere near."""
TEXT_BYTES = 64 << 20
"""Of the entries with text and layout, which the converter holds in memory, many times as large:
two thousand pages have some twenty megabytes."""
_TEXT = (".xml", ".rels")
_MANIFEST = "META-INF/manifest.xml"
_MANIFEST_BYTES = 4 << 20
_ENCRYPTED_ENTRY = b"encryption-data"
_MACROS = ("vbaproject.bin", "vbadata.xml")
_MACRO_FOLDERS = ("Basic", "Scripts")


def look_into_archive(path: Path, detected: Format) -> Findings:
    """Raises `BrokenDocumentError`, or `FileRejected` with `file-too-complex` before anything that
    is over a budget is read."""
    with path.open("rb") as file:
        packed = file.read(4).startswith(b"PK")
    if not packed:
        return _encrypted_package(path)
    try:
        with open_archive(path) as archive:
            entries = archive.infolist()
            _check_budgets(entries)
            if any(map(is_encrypted, entries)) or (
                detected is ODT
                and _ENCRYPTED_ENTRY in beginning(archive, _MANIFEST, _MANIFEST_BYTES)
            ):
                return Findings(encrypted=True)
            _check_names(entries)
            _check_whole(archive, entries)
    except BrokenArchiveError as error:
        raise BrokenDocumentError from error
    return Findings(macros=any(_is_macro(entry.filename, detected) for entry in entries))


def _encrypted_package(path: Path) -> Findings:
    """An encrypted DOCX is a compound file, with the encrypted archive in it."""
    try:
        CompoundFile(path).check_whole()
    except BrokenCompoundError as error:
        raise BrokenDocumentError from error
    return Findings(encrypted=True)


def _check_budgets(entries: list[zipfile.ZipInfo]) -> None:
    text = sum(entry.file_size for entry in entries if entry.filename.lower().endswith(_TEXT))
    spent = {
        "entries": (len(entries), MAX_ENTRIES),
        "text_bytes": (text, TEXT_BYTES),
        "unpacked_bytes": (sum(entry.file_size for entry in entries), UNPACKED_BYTES),
    }
    for what, (found, allowed) in spent.items():
        within(what, found, allowed)


def _check_names(entries: list[zipfile.ZipInfo]) -> None:
    """Names that lead out of a folder do nothing here, but whoever gets the object may unpack it.
    No word processor writes them."""
    for entry in entries:
        parts = PurePosixPath(entry.filename.replace("\\", "/")).parts
        if ".." in parts or parts[:1] == ("/",):
            raise BrokenDocumentError("an entry's name leads out of the archive")


def _check_whole(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> None:
    """Reading an entry to its end compares its checksum. No more comes out than it announced."""
    for entry in entries:
        with archive.open(entry) as opened:
            while opened.read(CHUNK_BYTES):
                pass


def _is_macro(name: str, detected: Format) -> bool:
    if detected is ODT:
        return name.split("/", maxsplit=1)[0] in _MACRO_FOLDERS and not name.endswith("/")
    return name.lower().endswith(_MACROS)
