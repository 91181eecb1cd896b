"""DOC: Word's format of 1997 to 2003, a compound file ([MS-DOC])."""

import struct
from pathlib import Path

from worker.formats.compound import BrokenCompoundError, CompoundFile
from worker.formats.document.findings import BrokenDocumentError, Findings

_TEXT = "worddocument"
_HEAD = struct.Struct("<H8xH")
_MAGICS = {0xA5EC, 0xA5DC, 0xA697, 0xA698, 0xA699}
"""Of Word 97 and later, of Word 6 and 95, and of those for East Asia."""
_ENCRYPTED = 0x0100
_MACROS = {"_vba_project", "vba"}


def look_into_doc(path: Path) -> Findings:
    """Raises `BrokenDocumentError`."""
    try:
        opened = CompoundFile(path)
        opened.check_whole()
        magic, flags = _HEAD.unpack(opened.beginning(_TEXT, _HEAD.size))
    except (BrokenCompoundError, KeyError, struct.error) as error:
        raise BrokenDocumentError from error
    if magic not in _MAGICS:
        raise BrokenDocumentError("no header of Word's")
    macros = any(name.lower() in _MACROS for name in opened.names)
    return Findings(encrypted=bool(flags & _ENCRYPTED), macros=macros)
