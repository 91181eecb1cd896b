"""RTF: text in braces. What runs in it are embedded objects that open themselves."""

import mmap
import re
from pathlib import Path

from worker.formats.document.findings import BrokenDocumentError, Findings
from worker.formats.document.markup import is_remote
from worker.formats.verdicts import too_complex

MAX_DEPTH = 1_000
"""Of braces in braces. Word writes some ten."""
_PIECES = re.compile(rb"\\bin(\d{1,10}) ?|\\[^a-z]|[{}]", re.DOTALL)
_OPEN, _CLOSE = ord("{"), ord("}")
_RUNS_BY_ITSELF = re.compile(
    rb"\\obj(?:update|autlink)(?![a-z])"  # a number may follow
    rb"|\\fldinst(?![a-z])(?:[\s{]*\\[*a-z]{1,32}-?\d{0,10}){0,20}[\s{]*DDE(?:AUTO)?(?![a-z])",
    re.IGNORECASE,
)
"""An object that is fetched, or a program that is started, as the document opens: what attacks use,
and what no one's own text has."""
_TEMPLATE = re.compile(rb"\\template(?![a-z])-?\d{0,10}([^{}]{0,2000})")
_ESCAPED = re.compile(rb"\\'([0-9a-fA-F]{2})")
_CELL, _PARAGRAPH = re.compile(rb"\\(?:nest)?cell(?![a-z])"), re.compile(rb"\\par(?![a-z])")
_TABLE_DEPTH = re.compile(rb"\\itap(\d{1,10})")
"""In how many tables a paragraph is."""


def look_into_rtf(path: Path) -> Findings:
    """Raises `BrokenDocumentError` where a brace is still open at the end, and `FileRejected` with
    `file-too-complex` for braces that are too deep."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        _check_braces(content)
        return Findings(
            macros=bool(_RUNS_BY_ITSELF.search(content)) or _has_remote_template(content),
            paragraphs=sum(1 for _ in _PARAGRAPH.finditer(content)),
            cells=sum(1 for _ in _CELL.finditer(content)),
            table_depth=max((int(found[1]) for found in _TABLE_DEPTH.finditer(content)), default=0),
        )


def _has_remote_template(content: mmap.mmap) -> bool:
    return any(
        is_remote(_ESCAPED.sub(_unescaped, found[1]).decode("latin-1").replace("\\\\", "\\"))
        for found in _TEMPLATE.finditer(content)
    )


def _unescaped(escaped: re.Match[bytes]) -> bytes:
    return bytes.fromhex(escaped[1].decode("ascii"))


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
