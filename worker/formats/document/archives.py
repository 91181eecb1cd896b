"""DOCX and ODT: archives, whose every entry is read once, within budgets, and kept nowhere.

Nothing is unpacked to files: what an entry's name says, and a link in it, leads to nothing.
"""

import zipfile
from dataclasses import replace
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
from worker.formats.document.markup import TEXT_BYTES, Markup
from worker.formats.verdicts import within

MAX_ENTRIES = 10_000
UNPACKED_BYTES = 512 << 20
"""Of all entries together. Pictures hardly shrink in an archive: a document of the largest size
that a field takes comes nowhere near."""
_TEXT = (".xml", ".rels")
_MANIFEST = "META-INF/manifest.xml"
_MANIFEST_BYTES = 4 << 20
_ENCRYPTED_ENTRY = b"encryption-data"
_MACROS = ("vbaproject.bin", "vbadata.xml")
_EMBEDDED_MACROS = (".docm", ".dotm", ".xlsm", ".xltm", ".xlam", ".pptm", ".potm", ".ppsm")
_MACRO_FOLDERS = ("Basic", "Scripts")
_LISTS_OF_MACROS = ("script-lc.xml", "script-lb.xml", "dialog-lc.xml", "dialog-lb.xml")
"""LibreOffice leaves them behind, and there is nothing in them."""


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
            found = _read(archive, entries)
    except BrokenArchiveError as error:
        raise BrokenDocumentError from error
    named = any(_is_macro(entry.filename, detected) for entry in entries)
    return replace(found, macros=named or found.macros)


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


def _read(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> Findings:
    """Reading an entry to its end compares its checksum. No more comes out than it announced."""
    markup = Markup()
    for entry in entries:
        with archive.open(entry) as opened:
            chunk = opened.read(CHUNK_BYTES)
            reading = markup.begin(chunk)
            while chunk:
                if reading:
                    reading.feed(chunk)
                chunk = opened.read(CHUNK_BYTES)
    return markup.findings()


def _is_macro(name: str, detected: Format) -> bool:
    if detected is ODT:
        folder, _, rest = name.partition("/")
        return (
            folder in _MACRO_FOLDERS and not name.endswith(("/", *_LISTS_OF_MACROS)) and bool(rest)
        )
    return name.lower().endswith(_MACROS + _EMBEDDED_MACROS)
