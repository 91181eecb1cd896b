"""Where LibreOffice is, and which one it is."""

import os
import re
import shutil
from pathlib import Path

_PLACES = (
    "/usr/lib/libreoffice/program/soffice.bin",
    "/usr/lib64/libreoffice/program/soffice.bin",
    "/opt/libreoffice/program/soffice.bin",
)
_BINARY = "soffice.bin"
"""The program itself. `soffice` is a script that starts it, and starts it again when it ends."""


def find_program(named: Path | None) -> Path | None:
    """The program: the one that is `named` by its own path or the script's, else where
    distributions put it. None where there is none."""
    script = named or shutil.which("soffice") or shutil.which("libreoffice")
    beside = [Path(script).resolve().parent / _BINARY] if script else []
    places = beside if named else [*beside, *map(Path, _PLACES)]
    return next((each for each in places if os.access(each, os.X_OK) and each.is_file()), None)


def version_of(program: Path) -> str:
    """As the installation says it: asking the program itself would take a start of it."""
    try:
        said = (program.parent / "bootstraprc").read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        said = ""
    found = re.search(r"^ProductKey=(.+)$", said, re.MULTILINE)
    return found[1].strip() if found else "LibreOffice of an unknown version"
