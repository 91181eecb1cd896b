"""RTF: text in braces. What runs in it are embedded objects that open themselves."""

import mmap
import re
from pathlib import Path

from worker.formats.document.findings import BrokenDocumentError, Findings
from worker.formats.verdicts import too_complex

MAX_DEPTH = 1_000
"""Of braces in braces. Word writes some ten."""
_PIECES = re.compile(rb"\\bin(\d{1,10}) ?|\\[^a-z]|[{}]", re.DOTALL)
_OPEN, _CLOSE = ord("{"), ord("}")
_RUNS_BY_ITSELF = re.compile(rb"\\obj(?:update|autlink)\b")
"""An object that is fetched or started as the document opens: what attacks use, and what no one's
own text has."""


def look_into_rtf(path: Path) -> Findings:
    """Raises `BrokenDocumentError` where a brace is still open at the end, and `FileRejected` with
    `file-too-complex` for braces that are too deep."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        _check_braces(content)
        return Findings(macros=bool(_RUNS_BY_ITSELF.search(content)))


def _check_braces(content: mmap.mmap) -> None:
    """What stands behind the last brace is nobody's: mail programs add line ends, disks zeros."""
    depth = at = 0
    while piece := _PIECES.search(content, at):
        at = piece.end()
        if piece[1]:  # as many bytes that aren't text
            at += int(piece[1])
        elif content[piece.start()] == _OPEN:
            depth += 1
            if depth > MAX_DEPTH:
                raise too_complex("depth", MAX_DEPTH)
        elif content[piece.start()] == _CLOSE:
            depth -= 1
            if depth == 0:
                return
    raise BrokenDocumentError("a brace is open at the end")
