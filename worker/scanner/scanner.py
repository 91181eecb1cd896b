"""Whether a file is clean, by clamd's word, and whether that word is to be believed.

A scanner that is away, slow or odd makes no file clean and none bad: the upload waits.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import structlog

from shared.causes import Cause
from shared.finding import Finding
from shared.internal_api import Scan
from shared.status import StoreState, Verdict
from worker.breaker import Breaker
from worker.errors import SourceChanged, TransientError
from worker.scanner import probes
from worker.scanner.clamd import Clamd, ScannerAway
from worker.scanner.self_test import SelfTest, away
from worker.scanner.verdicts import Meaning, read
from worker.watch import SelfTested

PIECE = 256 * 1024
LEAST_PROBE = 1024 * 1024
"""Beyond this a probe is at most twice as long as the file that it is for."""
_VERDICTS = {
    Meaning.CLEAN: Verdict.CLEAN,
    Meaning.INFECTED: Verdict.INFECTED,
    Meaning.UNSCANNABLE: Verdict.UNSCANNABLE,
}

log = structlog.get_logger()

LargestField = Callable[[], Awaitable[int | None]]
"""The most bytes that a file may have which is to be scanned; None when nobody says."""


class Scanner:
    """One clamd. A call that it breaks off opens the breaker, and everything waits while that is
    open: nothing is asked of it then but by `Watch`."""

    def __init__(
        self,
        clamd: Clamd,
        breaker: Breaker,
        *,
        scans: int,
        seconds: float,
        largest_field: LargestField,
    ) -> None:
        """`scans` files are looked into at the same time, each for at most so many seconds."""
        self.breaker = breaker
        self._clamd = clamd
        self._places = asyncio.Semaphore(scans)
        self._seconds = seconds
        self._largest_field = largest_field
        self._believed = 0
        """Bytes: an OK for a longer file may be that of a scanner which passes over it."""
        self._believing = asyncio.Lock()
        self._under_way: set[asyncio.Task[Scan]] = set()
        breaker.on_change.append(self._give_up)

    async def scan(self, path: Path, *, size: int, max_bytes: int) -> Scan:
        """The verdict on the `size` bytes at `path`, of a field whose files have up to `max_bytes`.

        Raises `TransientError`, which isn't counted, when there is none: `scanner`, or
        `scanner-refused` when an operator has to act; `SourceChanged` for other bytes.
        """
        self._wait_while_open()
        async with self._places:
            self._wait_while_open()
            looking = asyncio.create_task(self._look(path, size, max_bytes))
            self._under_way.add(looking)
            try:
                return await asyncio.shield(looking)
            except asyncio.CancelledError:
                looking.cancel()
                await asyncio.wait([looking])
                if (me := asyncio.current_task()) and not me.cancelling():
                    raise _waits("it went away meanwhile") from None
                raise
            except ScannerAway as error:
                if not error.slow:  # else it may be this file: whether it is there, `Watch` asks
                    self.breaker.trip(StoreState.AWAY, str(error))
                raise _waits(str(error)) from error
            finally:
                self._under_way.discard(looking)

    async def knock(self, seconds: float) -> Finding | None:
        """What is wrong when there is no sign of life within so many seconds."""
        try:
            if await self._clamd.ping(seconds):
                return None
            return away(f"{self._clamd.where} doesn't answer like a clamd")
        except ScannerAway as error:
            return away(str(error))

    async def self_test(self) -> SelfTested:
        """Whether it finds what it is to find, and in files as long as the largest field takes.
        Never raises what a clamd can cause."""
        self._believed = 0
        test = SelfTest(self._clamd, self._seconds)
        tested = await test.run(await self._largest_field())
        self._believed = test.believed
        return tested

    async def _look(self, path: Path, size: int, max_bytes: int) -> Scan:
        version = await self._clamd.version()
        await self._believe(size, max_bytes)
        said = await self._clamd.look_into(_pieces(path, size), seconds=self._seconds)
        self.breaker.answered()
        answer = read(said)
        if answer.meaning is Meaning.TOO_LONG:
            log.error("scanner_limit", size=size, change="StreamMaxLength")
        if answer.meaning not in _VERDICTS:
            raise _waits(f"it says {said.text[:200]!r}")
        scan = Scan(
            verdict=_VERDICTS[answer.meaning],
            signature=answer.signature,
            engine=version.engine,
            database=version.database,
        )
        log.info("upload_scanned", **scan.model_dump(mode="json"))
        return scan

    async def _believe(self, size: int, max_bytes: int) -> None:
        """Make sure that an OK for so many bytes says what it says: beyond its `MaxFileSize` a
        clamd says OK of anything, unless it was told to say so."""
        async with self._believing:
            if size <= self._believed:
                return
            for length in (min(max_bytes, max(2 * size, LEAST_PROBE)), size):
                said = await self._clamd.look_into(probes.as_long_as(length), seconds=self._seconds)
                if read(said).meaning in (Meaning.INFECTED, Meaning.UNSCANNABLE):
                    self._believed = length
                    return
        log.error("scanner_limit", size=size, change="MaxFileSize, AlertExceedsMax")
        raise _waits(f"it doesn't look into files of {size} bytes")

    def _wait_while_open(self) -> None:
        if self.breaker.cause:
            raise TransientError(self.breaker.cause, counted=False, detail="it is waited for")

    def _give_up(self) -> None:
        """What is under way when the scanner turns out to be away isn't worth its place."""
        if self.breaker.is_open:
            for each in self._under_way:
                each.cancel()


def _waits(detail: str) -> TransientError:
    return TransientError(Cause.SCANNER, counted=False, detail=detail)


async def _pieces(path: Path, size: int) -> AsyncIterator[bytes]:
    """The file's bytes. Raises `SourceChanged` when there are more or fewer, or none to be had."""
    try:
        with await asyncio.to_thread(path.open, "rb", buffering=0) as file:
            left = size
            while piece := await asyncio.to_thread(file.read, PIECE):
                left -= len(piece)
                yield piece
    except OSError as error:
        raise SourceChanged(str(error)) from error
    if left:
        raise SourceChanged(f"{size - left} of {size} bytes")
