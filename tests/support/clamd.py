"""A real clamd of a test's own: its configuration, and a signature database made here."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from dev.ports import free_port

PROGRAM = shutil.which("clamd", path=f"{os.defpath}:/usr/sbin:/usr/local/sbin")
EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
"""The virus that is none: every scanner finds it."""
NAME = "Eicar-Test-Signature.UNOFFICIAL"
"""What clamd calls it: signatures that nobody signed are told as such."""
SECONDS = 30.0
SETTINGS = {
    "StreamMaxLength": "4M",
    "MaxFileSize": "2M",
    "MaxScanSize": "8M",
    "AlertExceedsMax": "yes",
    "AlertEncrypted": "yes",
}


def needs_clamd() -> None:
    """Skip where it isn't installed; a machine that checks changes has to have it."""
    if PROGRAM is None:
        why = "clamd isn't installed (Debian: clamav-daemon)"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)


class RunningClamd:
    """One clamd on a port of its own, which may be stopped, frozen and started again."""

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        database = folder / "database"
        database.mkdir(parents=True)
        (folder / "tmp").mkdir()
        # any kind of file, anywhere in it
        (database / "test.ndb").write_text(f"Eicar-Test-Signature:0:*:{EICAR.hex()}\n")
        self.configure(settings or {})

    def configure(self, settings: Mapping[str, str]) -> None:
        """Of the next start."""
        own = {
            "TCPSocket": str(self.port),
            "TCPAddr": "127.0.0.1",
            "Foreground": "yes",
            "LogFile": str(self.folder / "log"),
            "DatabaseDirectory": str(self.folder / "database"),
            "TemporaryDirectory": str(self.folder / "tmp"),
        }
        lines = [f"{name} {value}\n" for name, value in {**own, **SETTINGS, **settings}.items()]
        (self.folder / "clamd.conf").write_text("".join(lines))

    def start(self) -> None:
        assert PROGRAM
        with (self.folder / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [PROGRAM, "--config-file", str(self.folder / "clamd.conf")],
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + SECONDS
        while "Self checking" not in self.said():
            assert self._process.poll() is None, self.said()
            assert time.monotonic() < deadline, "clamd doesn't start"
            time.sleep(0.02)

    def stop(self) -> None:
        """At once, as if the machine went."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None
            (self.folder / "output").unlink()

    def said(self) -> str:
        return (self.folder / "output").read_text(errors="replace")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        assert self._process
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    @contextmanager
    def gone(self) -> Iterator[None]:
        self.stop()
        try:
            yield
        finally:
            self.start()


@contextmanager
def running_clamd(
    folder: Path, settings: Mapping[str, str] | None = None
) -> Iterator[RunningClamd]:
    needs_clamd()
    clamd = RunningClamd(folder, settings)
    clamd.start()
    try:
        yield clamd
    finally:
        clamd.stop()
