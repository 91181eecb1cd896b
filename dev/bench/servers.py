"""A server under test: one real process, in a folder of its own on the measured volume."""

import asyncio
import os
import time
from abc import ABC, abstractmethod
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from dev import CHECKOUT, answers, processes
from dev.bench.load import Job, Load
from dev.bench.process_tree import cpu_seconds, cpu_seconds_below
from dev.ports import free_port
from dev.say import Problem
from dev.services import clean

READY_WITHIN = 30.0
STOPS_WITHIN = 5.0


class Server(ABC):
    """`folder` is its own; what it kept of a load is removed by `clear`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.pid = 0

    @abstractmethod
    def run(self) -> AbstractAsyncContextManager[None]:
        """Start it; it answers while the context is open, and is gone after it."""

    @abstractmethod
    def ways(self) -> "list[Way]":
        """How it can be given files."""

    @property
    @abstractmethod
    def kept(self) -> Sequence[Path]:
        """Folders with the files it wrote."""

    def clear(self) -> None:
        """Unlinked files are never written back: a load leaves no work to the next one."""
        for folder in self.kept:
            for path in folder.iterdir():
                if path.is_file():
                    path.unlink()

    def cpu_seconds(self) -> float:
        """Of the process and its children."""
        return cpu_seconds(self.pid) + cpu_seconds_below(self.pid)

    @asynccontextmanager
    async def process(
        self, command: Sequence[str], env: Mapping[str, str], ready: str
    ) -> AsyncIterator[None]:
        """The server's process, until it is stopped; `ready` is a path that answers 200."""
        async with running(command, env, self.folder / "log.txt") as process:
            self.pid = process.pid
            await wait_until(lambda: answers.http_ok(self.port, ready), process, command)
            yield


@dataclass(frozen=True)
class Way:
    """One way of giving a server files: a row of the table."""

    name: str
    server: Server
    job: Callable[[Load], Awaitable[Job]]
    digest: Callable[[], Awaitable[str]] | None = None
    """The SHA-256 that the server knows of what was sent last, where no answer says it."""


@asynccontextmanager
async def running(
    command: Sequence[str], env: Mapping[str, str], log: Path, cwd: Path = CHECKOUT
) -> AsyncIterator[Process]:
    """A process that is gone when this ends, and all that it started."""
    with log.open("ab") as output:
        process = await processes.start(command, clean(os.environ) | dict(env), output, cwd)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), STOPS_WITHIN)
        processes.kill_group(process)
        await process.wait()


async def wait_until(
    answers_now: Callable[[], Awaitable[bool]], process: Process, command: Sequence[str]
) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while not await answers_now():
        if process.returncode is not None or time.monotonic() > deadline:
            raise Problem(f"bench: {' '.join(command)} did not start")
        await asyncio.sleep(0.05)
