"""Who else speaks tus: tuspyserver from PyPI, @tus/server from npm. Neither calls fsync."""

import asyncio
import fcntl
import hashlib
import http.client
import shutil
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from dev import CHECKOUT, environments
from dev.bench.load import Job, Load, raw_head
from dev.bench.servers import Server, Way
from dev.say import Problem

TUS = "Tus-Resumable: 1.0.0"
BYTES = "Content-Type: application/offset+octet-stream"
WHOLE = "in one request"
CHUNK = 5 * 1024 * 1024
"""Bytes."""
PACKAGES = CHECKOUT / "dev/bench/packages"
SECONDS = 300


class TusServer(Server):
    """One that creates uploads at `/files`."""

    name = ""

    @property
    def kept(self) -> Sequence[Path]:
        return [self.folder / "files"]

    @property
    def command(self) -> list[str]:
        """What starts it, but for port and folder."""
        raise NotImplementedError

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        self.kept[0].mkdir(parents=True)
        command = [*self.command, str(self.port), str(self.kept[0])]
        async with self.process(command, {}, "/readyz"):
            yield

    def ways(self) -> list[Way]:
        return [
            Way(f"{self.name}, {WHOLE}", self, self.whole),
            Way(f"{self.name}, in 5 MiB", self, self.in_chunks),
        ]

    async def whole(self, load: Load) -> Job:
        """One PATCH."""
        url = await asyncio.to_thread(begin, self.port, "/files", load.body_bytes)
        return Job(self.port, [patch(url, 0, load.body_bytes)], load.body_bytes, "", 204, 1)

    async def in_chunks(self, load: Load) -> Job:
        """One PATCH after the other."""
        url = await asyncio.to_thread(begin, self.port, "/files", whole_chunks(load))
        return Job(self.port, chunks(url, load), CHUNK, "", 204, 1)


class Tuspyserver(TusServer):
    name = "tuspyserver"

    @property
    def command(self) -> list[str]:
        return [environments.python("others"), str(CHECKOUT / "dev/bench/tus_app.py")]


class TusNodeServer(TusServer):
    name = "@tus/server"

    @property
    def command(self) -> list[str]:
        return ["node", str(installed() / "server.mjs")]

    @staticmethod
    def is_here() -> bool:
        return shutil.which("npm") is not None


def installed() -> Path:
    """The folder with `node_modules`: made once for each lock file."""
    lock = (PACKAGES / "package-lock.json").read_bytes()
    folder = environments.ROOT / f"npm-{hashlib.sha256(lock).hexdigest()[:12]}"
    with folder.with_suffix(".in-use").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not folder.exists():
            unfinished = folder.with_suffix(".part")
            shutil.rmtree(unfinished, ignore_errors=True)
            shutil.copytree(PACKAGES, unfinished)
            words = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            done = subprocess.run(
                words, cwd=unfinished, capture_output=True, text=True, timeout=SECONDS, check=False
            )
            if done.returncode:
                raise Problem(f"bench: npm can't install {PACKAGES.name}: {done.stderr[-500:]}")
            unfinished.rename(folder)
    shutil.copy(PACKAGES / "server.mjs", folder)
    return folder


def begin(port: int, path: str, length: int, credential: str = "") -> str:
    """Create an upload; the path of its address."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = dict(each.split(": ", 1) for each in (TUS, credential) if each)
    connection.request("POST", path, headers={**headers, "Upload-Length": str(length)})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    if answer.status != http.client.CREATED:
        raise Problem(f"bench: an upload of tus could not be created: {answer.status}")
    return urlsplit(answer.headers["Location"]).path


def patch(url: str, offset: int, count: int) -> str:
    """The head of a request that sends `count` bytes."""
    return raw_head("PATCH", url, count, TUS, BYTES, f"Upload-Offset: {offset}")


def whole_chunks(load: Load) -> int:
    """The load's bytes, in whole chunks."""
    return max(load.body_bytes // CHUNK, 1) * CHUNK


def chunks(url: str, load: Load) -> list[str]:
    """The heads of requests for each chunk."""
    return [patch(url, offset, CHUNK) for offset in range(0, whole_chunks(load), CHUNK)]
