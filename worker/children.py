"""A child process for each file to decode: forked from the zygote, or started afresh.

Both run `worker.decoder.child` and tell how it ended. Fresh ones are for machines whose zygote
doesn't start, and for those where forking isn't safe (macOS); each takes a few hundred
milliseconds to load what the zygote has loaded once.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

import structlog

from worker.formats.job import THREADS
from worker.pipe_reader import PipeReader

log = structlog.get_logger()

START_SECONDS = 30.0
"""For a zygote to load everything; with the machine to itself it takes a third of a second."""
FRESH_FOR_SECONDS = 60.0
"""After a zygote didn't start, until the next is tried."""
FORK_TRIES = 2
BURY_SECONDS = 10.0
"""For the zygote to end a child. One that can't is stuck itself, and replaced."""

_ROOT = Path(__file__).parents[1]
_PYTHON = (sys.executable, "-P", "-s")
_SHOWN_OF_STDERR = 2_000
_MESSAGE_BYTES = 4096


class ZygoteLost(Exception):  # noqa: N818 - says what happened
    """The zygote died, and its children with it, whatever they were doing."""


class CantStart(Exception):  # noqa: N818 - says what happened
    """The machine gave no process."""


@dataclass(frozen=True)
class Ending:
    exit_code: int
    """Negative for a signal."""
    cpu_seconds: float | None = None
    """None where nobody counts it."""


class Child(Protocol):
    answers: asyncio.StreamReader

    async def ended(self) -> Ending:
        """Wait for its end. Raises `CantStart` or `ZygoteLost`."""


@dataclass(frozen=True)
class Commands:
    """What is started; each gets this process's id as its last argument."""

    zygote: Sequence[str] = (*_PYTHON, "-m", "worker.decoder.zygote")
    fresh: Sequence[str] = (*_PYTHON, "-m", "worker.decoder")


class Children:
    """Where children come from. To be closed: that ends the zygotes and all their children."""

    def __init__(
        self, *, forked: bool = sys.platform == "linux", commands: Commands | None = None
    ) -> None:
        self._forked = forked
        self._commands = commands or Commands()
        self._starting = asyncio.Lock()
        self._zygote: _Zygote | None = None
        self._retired: set[_Zygote] = set()
        self._fresh_until = 0.0

    @asynccontextmanager
    async def born(self, stdin: IO[bytes], stderr: IO[bytes]) -> AsyncIterator[Child]:
        """A child that reads its request from `stdin`. However this ends, no process is left.

        Raises `CantStart`.
        """
        async with AsyncExitStack() as kept:
            try:
                child = await self._fork(kept, stdin, stderr)
                if child is None:
                    fresh = _fresh(self._commands.fresh, stdin, stderr)
                    child = await kept.enter_async_context(fresh)
            except OSError as error:
                raise CantStart(str(error)) from error
            yield child

    async def warm_up(self) -> None:
        """Start the zygote, unless it runs or there is to be none."""
        await self._running_zygote()

    def renew(self) -> None:
        """Have the next children forked from another zygote, whose memory is laid out anew."""
        if self._zygote:
            self._zygote.retire()
            self._retired.add(self._zygote)
            self._zygote = None

    async def close(self) -> None:
        self._forked = False
        self.renew()
        for zygote in self._retired:
            await zygote.kill()

    async def _fork(
        self, kept: AsyncExitStack, stdin: IO[bytes], stderr: IO[bytes]
    ) -> Child | None:
        """None when there is no zygote to fork from."""
        for _ in range(FORK_TRIES):
            zygote = await self._running_zygote()
            if zygote is None:
                break
            with contextlib.suppress(ConnectionError):  # it has just died: this file had no part
                return await kept.enter_async_context(zygote.fork(stdin, stderr))
            await zygote.kill()
        return None

    async def _running_zygote(self) -> "_Zygote | None":
        if self._zygote and self._zygote.runs:
            return self._zygote
        async with self._starting:
            self._retired = {each for each in self._retired if each.runs}
            if self._zygote and self._zygote.runs:
                return self._zygote
            self._zygote = None
            if self._forked and time.monotonic() >= self._fresh_until:
                try:
                    self._zygote = await _started(self._commands.zygote)
                except (CantStart, OSError) as error:
                    log.warning("zygote_not_started", reason=str(error))
                    self._fresh_until = time.monotonic() + FRESH_FOR_SECONDS
            return self._zygote


class _Zygote:
    """A zygote that runs, as its worker sees it. `worker/decoder/zygote.py` is the other side."""

    def __init__(
        self, process: asyncio.subprocess.Process, orders: socket.socket, stderr: IO[bytes]
    ) -> None:
        self._process = process
        self._orders = orders
        self.is_wanted = False
        """Whether its end would be a surprise."""
        self.last_words = ""
        self._watching = asyncio.create_task(self._watch(stderr))

    @property
    def runs(self) -> bool:
        return self._process.returncode is None

    @asynccontextmanager
    async def fork(self, stdin: IO[bytes], stderr: IO[bytes]) -> AsyncIterator[Child]:
        """Raises `ConnectionError` when the zygote has died."""
        with ExitStack() as kept:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            kept.enter_context(ours).settimeout(0)
            read_end, write_end = os.pipe()
            answers = kept.enter_context(closing(PipeReader(read_end)))
            with theirs, os.fdopen(write_end, "wb", buffering=0) as stdout:
                sent = [each.fileno() for each in (stdin, stdout, stderr, theirs)]
                socket.send_fds(self._orders, [b"child"], sent)
            child = _Forked(ours, answers.stream)
            try:
                yield child
            finally:
                await self._end(child)

    async def _end(self, child: "_Forked") -> None:
        try:
            async with asyncio.timeout(BURY_SECONDS):
                await child.end()
        except TimeoutError:
            log.error("zygote_stuck")
            await self.kill()
        except (CantStart, ZygoteLost):
            pass

    def retire(self) -> None:
        """Let it end with its last child."""
        self.is_wanted = False
        self._orders.close()

    async def kill(self) -> None:
        """It and its children: they die with their parent."""
        self.retire()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await asyncio.wait([self._watching])

    async def _watch(self, stderr: IO[bytes]) -> None:
        with stderr:
            status = await self._process.wait()
            self.last_words = end_of(stderr)
        if self.is_wanted:
            log.error("zygote_died", status=status, said=self.last_words)


class _Forked:
    def __init__(self, zygote: socket.socket, answers: asyncio.StreamReader) -> None:
        self.answers = answers
        self._zygote = zygote
        self._ending: Ending | None = None

    async def ended(self) -> Ending:
        if self._ending is None:
            try:
                said = await asyncio.get_running_loop().sock_recv(self._zygote, _MESSAGE_BYTES)
            except OSError as error:
                raise ZygoteLost(str(error)) from error
            if not said:
                raise ZygoteLost
            message = json.loads(said)
            if "error" in message:
                raise CantStart(message["error"])
            self._ending = Ending(**message)
        return self._ending

    async def end(self) -> None:
        """Have it killed, and wait until it is gone. Raises as `ended` does."""
        with contextlib.suppress(OSError):
            self._zygote.shutdown(socket.SHUT_WR)
        await self.ended()


async def _started(command: Sequence[str]) -> _Zygote:
    """Raises `CantStart` when it doesn't come up, or couldn't be forked safely."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(0)
    stderr = tempfile.TemporaryFile()  # noqa: SIM115 - the zygote's watcher closes it
    with ExitStack() as on_failure, theirs:
        on_failure.enter_context(ours)
        on_failure.enter_context(stderr)
        process = await asyncio.create_subprocess_exec(
            *command,
            str(os.getpid()),
            stdin=theirs.fileno(),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=stderr,
            cwd=_ROOT,
            env=_environment(),
            start_new_session=True,
        )
        on_failure.pop_all()
    zygote = _Zygote(process, ours, stderr)
    try:
        async with asyncio.timeout(START_SECONDS):
            said = await asyncio.get_running_loop().sock_recv(ours, _MESSAGE_BYTES)
        if (threads := json.loads(said or b'{"threads": 0}')["threads"]) == 1:
            zygote.is_wanted = True
            return zygote
        reason = f"{threads} threads, and a fork has only one"
    except TimeoutError:
        reason = f"not up within {START_SECONDS:g} s"
    finally:
        if not zygote.is_wanted:
            await zygote.kill()
    raise CantStart(zygote.last_words or reason)


class _Fresh:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None  # noqa: S101 - it was asked for, as a pipe
        self.answers = process.stdout
        self._process = process

    async def ended(self) -> Ending:
        return Ending(await self._process.wait())


@asynccontextmanager
async def _fresh(
    command: Sequence[str], stdin: IO[bytes], stderr: IO[bytes]
) -> AsyncIterator[Child]:
    process = await asyncio.create_subprocess_exec(
        *command,
        str(os.getpid()),
        stdin=stdin,
        stdout=asyncio.subprocess.PIPE,
        stderr=stderr,
        cwd=_ROOT,
        env=_environment(),
        start_new_session=True,
    )
    try:
        yield _Fresh(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        # asyncio waits for the end of the pipe too, which it has been seen to miss
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(BURY_SECONDS):
                await process.wait()


def end_of(file: IO[bytes]) -> str:
    """The last of what was written to `file`."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _SHOWN_OF_STDERR))
    return file.read(_SHOWN_OF_STDERR).decode(errors="replace").strip()


def _environment() -> dict[str, str]:
    """All that children see: nothing of ours."""
    return {
        "PYTHONPATH": str(_ROOT),
        "LC_ALL": "C.UTF-8",
        "LD_BIND_NOW": "1",
        "VIPS_CONCURRENCY": str(THREADS),
        "VIPS_BLOCK_UNTRUSTED": "1",
    }
