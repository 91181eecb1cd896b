"""What this machine has for the local stack, and what falls back: one line each, as a check's."""

import os
import platform
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from dev import ports, redis_server, seaweedfs

GIB = 1 << 30
ROOM = GIB  # for environments, a database and some files
BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome")
"""Chromium for the tests of the pages, best first. With its window, each page that is opened takes
five times the processor's time of what the page itself needs."""
Line = tuple[str, str, str]
"""Level (`ok`, `warning` or `wrong`), name, text."""


def look(state_dir: Path, kept: ports.Ports, own: set[int]) -> Iterator[Line]:
    """`kept`: the ports of earlier runs; `own`: those that the running stack listens on."""
    yield "ok", "Python", f"{platform.python_version()} ({sys.executable})"
    yield _system()
    there = _nearest(state_dir)
    yield _room(there)
    yield _durable(there)
    yield redis()
    yield _store()
    for name, port in (kept or {"public": ports.DEFAULT}).items():
        yield _port(name, port, mine=port in own)
    yield _browser()
    yield _office()


def redis() -> Line:
    installed = redis_server.installed()
    if installed:
        return "ok", "Redis", installed
    if redis_server.can_be_fetched():
        return "ok", "Redis", f"none on the PATH: {redis_server.FETCHED}"
    return "wrong", "Redis", redis_server.MISSING


def _store() -> Line:
    if seaweedfs.can_be_fetched():
        return "ok", "object store", f"SeaweedFS {seaweedfs.version()} in {seaweedfs.PLACE}"
    installed = seaweedfs.installed()
    if installed:
        return "warning", "object store", f"{installed}: {seaweedfs.OTHER_VERSION}"
    return "wrong", "object store", seaweedfs.MISSING


def _system() -> Line:
    name = f"{platform.system()} {platform.release()}, {platform.machine()}"
    if platform.system() == "Linux":
        return "ok", "system", name
    return "warning", "system", f"{name}: decoders are confined by Linux alone"


def _nearest(folder: Path) -> Path:
    """The folder, or what is there of the way to it."""
    return next(path for path in (folder, *folder.parents) if path.is_dir())


def _room(folder: Path) -> Line:
    free = shutil.disk_usage(folder).free
    text = f"{free / GIB:.1f} GiB free in {folder}"
    if free < ROOM:
        return "warning", "disk", f"{text}; below 0.25 GiB uploads are refused"
    return "ok", "disk", text


def _durable(folder: Path) -> Line:
    """Make a file durable as an upload is: fsync, rename into another folder, fsync of that."""
    try:
        with tempfile.TemporaryDirectory(prefix="longshore-doctor-", dir=folder) as made:
            source, target = Path(made, "incoming"), Path(made, "staged")
            target.mkdir()
            with source.open("wb") as file:
                file.write(b"probe")
                file.flush()
                os.fsync(file.fileno())
            source.rename(target / "file")
            descriptor = os.open(target, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
    except OSError as error:
        return "wrong", "durable files", f"{folder}: {error.strerror}; take another --state-dir"
    return "ok", "durable files", "fsync of files and folders, and renames between folders"


def _port(name: str, port: int, *, mine: bool) -> Line:
    label = f"port {port}"
    if mine:
        return "ok", label, f"the running stack's ({name})"
    if ports.is_free(port):
        return "ok", label, f"free, for the stack ({name})"
    remedy = "take another with --port" if name == "public" else ports.KEPT
    return "wrong", label, f"in use{ports.holder(port)}: {remedy}"


def browser() -> str | None:
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def _browser() -> Line:
    found = browser()
    if found:
        return "ok", "browser", f"{found}, for the tests of the pages"
    return "warning", "browser", "no Chromium: the tests of the pages are skipped"


def _office() -> Line:
    """The worker's own check says which version, and which fields need it."""
    found = shutil.which("soffice")
    if found:
        return "ok", "LibreOffice", f"{found}, which makes PDFs of office documents"
    return "warning", "LibreOffice", "none: office documents are not converted"


def answering(kept: ports.Ports) -> set[int]:
    """Those of the ports on which something listens."""
    return {port for port in kept.values() if _answers(port)}


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
