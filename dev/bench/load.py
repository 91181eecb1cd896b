"""A load for one server, sent by a process of its own (`dev.bench.client`): the same for all."""

import functools
import hashlib
import json
import os
import random
import sys
from dataclasses import asdict, dataclass

from dev import processes
from dev.say import Problem
from dev.services import clean

MIB = 1024 * 1024
PIECE = 4 * MIB
"""A body is this piece over and over: it fits in memory whatever the body's size, and the pages
are touched before the clock starts."""
BOUNDARY = "longshore-bench-8f14e45fceea167a"
SLOWEST = 5 * MIB
"""Bytes in a second; a server that is slower than this has stopped."""


@dataclass(frozen=True)
class Load:
    """What every server is given in turn."""

    title: str
    count: int
    body_bytes: int
    connections: int
    seconds: float = 0
    """After these no further file is begun; 0 is no limit. It keeps slow servers from taking all
    the time there is."""

    @property
    def total_bytes(self) -> int:
        return self.count * self.body_bytes


@dataclass(frozen=True)
class Job:
    """A load made into one server's requests."""

    port: int
    heads: list[str]
    """Of each request: its head, and what of its body comes before the file."""
    body_bytes: int
    tail: str
    status: int
    """What every answer has to have."""
    connections: int
    seconds: float = 0
    file: str = ""
    """The path of a file, no longer than a piece, that each body is; else it is random bytes."""

    @property
    def patience(self) -> float:
        return 60 + (self.seconds or len(self.heads) * self.body_bytes / SLOWEST)


@dataclass(frozen=True)
class Result:
    files: int
    began: float
    """The Unix time of the first byte sent: neither the client's start nor connecting is in it."""
    seconds: float
    """From then on to the last one answered."""
    cpu_seconds: float
    """Of the client: near to `seconds`, it was the client that was measured."""
    first_answer: str


async def send(job: Job) -> Result:
    """Raises `Problem` when an answer isn't the one expected."""
    command = [sys.executable, "-m", "dev.bench.client"]
    code, output = await processes.run_once(
        command, clean(os.environ), json.dumps(asdict(job)).encode()
    )
    if code:
        raise Problem(f"bench: {(output.strip().splitlines() or ['the client ended'])[-1]}")
    return Result(**json.loads(output))


@functools.cache
def piece() -> bytes:
    """Bytes like those of a compressed file: a parser that looks for line ends finds some."""
    return random.Random(7).randbytes(PIECE)  # noqa: S311 - the same in every run


@functools.cache
def sha256_of(body_bytes: int, bodies: int = 1) -> str:
    """Of so many bodies, one after the other."""
    digest = hashlib.sha256()
    whole, rest = divmod(body_bytes, PIECE)
    for _ in range(bodies):
        for _ in range(whole):
            digest.update(piece())
        digest.update(piece()[:rest])
    return digest.hexdigest()


def raw_head(method: str, path: str, body_bytes: int, *headers: str) -> str:
    """The head of a request whose body is the file."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {body_bytes}"]
    return "\r\n".join([*lines, *headers]) + "\r\n\r\n"


def multipart_head(
    method: str,
    path: str,
    body_bytes: int,
    *headers: str,
    filename: str = "scan.pdf",
    media_type: str = "application/pdf",
) -> str:
    """The head of a request whose body has the file as its one part; `TAIL` ends it."""
    part = (
        f"--{BOUNDARY}\r\n"
        f'Content-Disposition: form-data; name="file"; filename="{filename}"\r\n'
        f"Content-Type: {media_type}\r\n\r\n"
    )
    content_type = f"Content-Type: multipart/form-data; boundary={BOUNDARY}"
    length = len(part) + body_bytes + len(TAIL)
    return raw_head(method, path, length, content_type, *headers) + part


TAIL = f"\r\n--{BOUNDARY}--\r\n"
