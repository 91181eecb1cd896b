"""LibreOffice: whether it is here, and whether that matters."""

import json
import os
import sys
import tempfile
from pathlib import Path

import httpx

from shared.finding import Finding, ok, warning, wrong
from worker.diagnosis.confinement import closed
from worker.diagnosis.trial import tried
from worker.office.program import version_of
from worker.records_client import RecordsClient
from worker.settings import Settings

NAME = "LibreOffice"
SECONDS = 20.0
_ROOT = Path(__file__).parents[2]
_INSTALL = (
    "install it (Debian: libreoffice-writer-nogui fonts-liberation; the image:"
    ' --build-arg OFFICE=true), or set document.without_converter to "store" there'
)


async def check_office(
    program: Path | None, settings: Settings, records: RecordsClient | None
) -> list[Finding]:
    """`program` is what `find_program` found; `records` is asked which fields need one."""
    if program:
        return [ok(NAME, f"{version_of(program)} ({program})"), *await _confined(program)]
    if settings.soffice:
        text = f"{settings.soffice} is not LibreOffice's program; correct it, or leave it out"
        return [wrong("SOFFICE", text)]
    if records is None:
        return [warning(NAME, "isn't installed: office documents are not converted")]
    try:
        fields = await records.office_needs()
    except httpx.HTTPError as error:
        text = "isn't installed, and the api didn't say which fields need it"
        return [warning(NAME, f"{text} ({type(error).__name__}); their documents will wait")]
    if fields:
        return [
            wrong(NAME, f"isn't installed, and {', '.join(fields)} can't do without; {_INSTALL}")
        ]
    return [ok(NAME, "isn't installed, and no field needs it")]


async def _confined(program: Path) -> list[Finding]:
    """Tried in a child: what is given up is given up for good."""
    with tempfile.TemporaryDirectory(prefix="longshore-") as folder:
        said = await tried(
            *(sys.executable, "-P", "-S", "-s", "-m", "worker.office.rehearse"),
            *(str(program), folder, str(os.getpid())),
            seconds=SECONDS,
            cwd=folder,
            env={"PYTHONPATH": str(_ROOT)},
        )
    if said is None or not said.output:
        return [warning(NAME, "isn't started here: a process can't be confined for it")]
    return closed(NAME, json.loads(said.output))
