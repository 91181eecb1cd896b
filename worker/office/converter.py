"""Make PDFs of documents: one process a document, with a profile and a folder of its own.

A process that served several people's documents would start faster, and what one document did to
it would reach the next. What is kept warm is only what no document has touched: the profile, which
a first start makes, is copied for each.
"""

import asyncio
import contextlib
import hashlib
import json
import math
import os
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import structlog

from shared.causes import Cause
from shared.formats import DOC, DOCX, ODT, RTF, Format
from worker.deaths import overdue
from worker.errors import FileRejected, TransientError
from worker.office.confine import SOCKETS
from worker.office.profile import write_settings

log = structlog.get_logger()

_ROOT = Path(__file__).parents[2]
_COMMAND = (sys.executable, "-P", "-S", "-s", "-m", "worker.office")
_FIRST_START_SECONDS = 60.0
_STARTS = 3
_START_AGAIN = 81
"""What the program ends with when it has made its profile and wants to be started anew."""
_SHOWN = 2_000
_THREADS = 2
"""Processors that it may use up within the deadline."""
_ALWAYS = ("--headless", "--norestore", "--nolockcheck", "--nodefault", "--nofirststartwizard")

READS_AS = {
    DOCX: ("MS Word 2007 XML",),
    ODT: ("writer8",),
    RTF: ("Rich Text Format",),
    DOC: ("MS Word 97", "MS Word 95"),
}
"""The filters of LibreOffice, in the order in which they are tried. They are named, or it would
choose one by what it finds. That of Word 95 reads Word 6 too."""


class Office:
    """A LibreOffice that is installed. Close it by removing `folder`."""

    def __init__(
        self, program: Path, folder: Path, *, deadline_seconds: float, at_once: int
    ) -> None:
        """`folder` is an existing one of this worker alone; `at_once` documents are converted at
        the same time, each within `deadline_seconds`."""
        self._program = program
        self._template = folder / "office-profile"
        self._deadline = deadline_seconds
        self._places = asyncio.Semaphore(at_once)
        self._preparing = asyncio.Lock()
        self._prepared = False

    async def prepare(self) -> None:
        """Have the program make the profile that all documents' are copies of, unless there is one.

        Raises `TransientError("office")`, not counted, when it doesn't start.
        """
        async with self._preparing:
            if self._prepared:
                return
            folder = self._template.with_suffix(".new")
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            write_settings(folder / "profile")
            status = _START_AGAIN
            for _ in range(_STARTS):
                status = await self._first_start(folder)
                if status != _START_AGAIN:
                    break
            if status:
                detail = f"{self._program} doesn't start ({status}): {_said(folder)}"
                raise TransientError(Cause.OFFICE, counted=False, detail=detail)
            await asyncio.to_thread(shutil.rmtree, self._template, ignore_errors=True)
            (folder / "profile").rename(self._template)
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            self._prepared = True

    async def _first_start(self, folder: Path) -> int:
        try:
            return await self._run(["--terminate_after_init"], None, folder, _FIRST_START_SECONDS)
        except _OutOfTime:
            detail = f"{self._program} doesn't start within {_FIRST_START_SECONDS:g} s"
            raise TransientError(Cause.OFFICE, counted=False, detail=detail) from None

    async def convert(self, document: Path, detected: Format, folder: Path) -> Path:
        """The PDF of `document`, in `folder`, which is there, empty, and the caller's to remove.

        Raises `FileRejected` with `file-corrupt` when LibreOffice can't read the document, and
        `TransientError`: `decoder`, counted, when the document killed it or kept it longer than
        allowed; `busy`, counted, when it hardly got the processor meanwhile; `memory`, counted,
        when it was killed from outside; `office`, not counted, when it doesn't start. However it
        ends, by cancellation too, no process is left behind.
        """
        await self.prepare()
        made = folder / f"{document.stem}.pdf"
        async with self._places:
            await asyncio.to_thread(shutil.copytree, self._template, folder / "profile")
            try:
                status = await self._try_filters(document, detected, folder, made)
            except _OutOfTime as late:
                what = "LibreOffice made no PDF"
                raise overdue(what, seconds=late.seconds, cpu_seconds=late.cpu_seconds) from None
        if status:
            detail = f"LibreOffice ended with {status}: {_said(folder)}"
            killed = status == -signal.SIGKILL  # from outside: its own limits have other signals
            raise TransientError(
                Cause.MEMORY if killed else Cause.DECODER, counted=True, detail=detail
            )
        if made.is_symlink() or not made.is_file():
            log.info("office_made_nothing", said=_said(folder))
            raise FileRejected("file-corrupt", detected_type=detected.media_type)
        return made

    async def _try_filters(self, document: Path, detected: Format, folder: Path, made: Path) -> int:
        """Have the program read `document` in one way after the other until there is a PDF, all
        within one deadline; the exit status of the last."""
        until = time.monotonic() + self._deadline
        status = 0
        for reads_as in READS_AS[detected]:
            asked = [
                f"--infilter={reads_as}",
                *("--convert-to", "pdf:writer_pdf_Export"),
                *("--outdir", str(folder), str(document)),
            ]
            status = await self._run(asked, document, folder, until - time.monotonic())
            if status or _wrote(made):
                break
        return status

    async def _run(
        self, arguments: Sequence[str], document: Path | None, folder: Path, seconds: float
    ) -> int:
        """Run the program once, with the profile in `folder`; its exit status.

        Raises `_OutOfTime`: what is to blame for that, the caller knows.
        """
        profile = (folder / "profile").as_uri()
        request = {
            "program": str(self._program),
            "document": str(document) if document else None,
            "own": str(folder),
            "arguments": [f"-env:UserInstallation={profile}", *_ALWAYS, *arguments],
            "cpu_seconds": math.ceil(seconds * _THREADS),
            "parent_pid": os.getpid(),
        }
        with _opened(folder / _SAID) as said:
            try:
                child = await asyncio.create_subprocess_exec(
                    *_COMMAND,
                    json.dumps(request),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=said,
                    stderr=said,
                    cwd=folder,
                    env={"PYTHONPATH": str(_ROOT), "LC_ALL": "C.UTF-8"},
                    start_new_session=True,
                )
            except OSError as error:
                detail = f"can't start: {error}"
                raise TransientError(Cause.OFFICE, counted=False, detail=detail) from error
            try:
                async with asyncio.timeout(seconds):
                    return await child.wait()
            except TimeoutError:
                raise _OutOfTime(seconds, _cpu_seconds(child.pid)) from None
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                await child.wait()
                _remove_socket(profile)


class _OutOfTime(Exception):  # noqa: N818 - says what happened
    def __init__(self, seconds: float, cpu_seconds: float | None) -> None:
        super().__init__(seconds)
        self.seconds = seconds
        self.cpu_seconds = cpu_seconds


def _cpu_seconds(pid: int) -> float | None:
    """What a process that still runs used of the processor; None where there is no such file."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


_SAID = "said.txt"


def _wrote(path: Path) -> bool:
    return path.is_symlink() or path.exists()


def _opened(path: Path) -> IO[bytes]:
    return path.open("wb")


def _said(folder: Path) -> str:
    return (folder / _SAID).read_bytes()[-_SHOWN:].decode(errors="replace").strip()


def _remove_socket(profile: str) -> None:
    """The program can make its socket and not remove it, as it may remove nothing that isn't its
    own. It names it by its user and its profile, without the zeros that a digest's bytes have."""
    digest = hashlib.md5(profile.encode("utf-16-le"), usedforsecurity=False).digest()
    name = f"OSL_PIPE_{os.getuid()}_SingleOfficeIPC_{''.join(f'{byte:x}' for byte in digest)}"
    with contextlib.suppress(OSError):
        (SOCKETS / name).unlink()
