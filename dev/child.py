"""One process kept running: started, watched until it is ready, started again when it ends."""

import asyncio
import signal
import time
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dev import CHECKOUT, processes
from dev.say import explain, say


@dataclass(frozen=True)
class Pace:
    """The seconds and counts of supervision; tests use quicker ones."""

    first_pause: float = 0.5
    longest_pause: float = 10.0
    healthy_after: float = 10.0  # a life this long starts the pauses over
    ready_within: float = 30.0
    first_tries: int = 3
    look_every: float = 0.05


def pace(environ: Mapping[str, str]) -> Pace:
    """With `LONGSHORE_RESTART_SECONDS`, no pause is longer: for tests that kill for a living."""
    longest = float(environ.get("LONGSHORE_RESTART_SECONDS", Pace.longest_pause))
    return Pace(first_pause=min(Pace.first_pause, longest), longest_pause=longest)


@dataclass(frozen=True)
class Spec:
    """What to run, and how to tell that it answers."""

    name: str
    command: Sequence[str]
    env: Callable[[], Mapping[str, str]]  # asked at each start: a key may be new by then
    is_ready: Callable[["Child"], Awaitable[bool]]
    cwd: Path = CHECKOUT
    ended_by: signal.Signals = signal.SIGTERM
    """What it is told to end by, and gets when this process is gone."""


class DidNotStart(Exception):  # noqa: N818 - says what happened
    """A process that never came to answer."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name} {why}")
        self.name = name


class Child:
    def __init__(
        self, spec: Spec, log: Path, changed: Callable[[], None], pace: Pace | None = None
    ) -> None:
        self.spec = spec
        self.log = log
        self.started_at = 0.0
        self.supervision: asyncio.Task[None] | None = None
        self._changed = changed
        self._pace = pace or Pace()
        self._process: Process | None = None
        self._was_ready = asyncio.Event()
        self._stopping = asyncio.Event()

    @property
    def pid(self) -> int | None:
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if self._process and running else None

    async def start(self) -> None:
        """Return when it answers for the first time; raise when it doesn't come to that."""
        self.supervision = asyncio.create_task(self._keep_running())
        ready = asyncio.create_task(self._was_ready.wait())
        await asyncio.wait({self.supervision, ready}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if self.supervision.done():
            self.supervision.result()

    async def stop(self, grace: float) -> None:
        """The spec's signal; after the grace, SIGKILL to all of its group."""
        self._stopping.set()
        if self.supervision is None:
            return
        if self._process and self.pid:
            self._process.send_signal(self.spec.ended_by)
        await asyncio.wait({self.supervision}, timeout=grace)
        self.kill()
        await asyncio.wait({self.supervision}, timeout=1)
        if self.supervision.done():
            self.supervision.exception()  # somebody was told, or it is too late to matter

    def kill(self) -> None:
        if self._process and self.pid:
            processes.kill_group(self._process)

    async def _keep_running(self) -> None:
        pause = self._pace.first_pause
        tries = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            how = await self._live_once()
            if self._stopping.is_set():
                return
            tries += 1
            if not self._was_ready.is_set() and tries >= self._pace.first_tries:
                raise DidNotStart(self.spec.name, f"does not start ({how})")
            if time.monotonic() - began >= self._pace.healthy_after:
                pause = self._pace.first_pause
            say(f"{self.spec.name} ended ({how}); starting it again in {pause:g} s")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            pause = min(pause * 2, self._pace.longest_pause)

    async def _live_once(self) -> str:
        """Run the process to its end, and say how that came."""
        self.started_at = time.time()
        try:
            with self.log.open("ab") as output:
                spec = self.spec
                self._process = await processes.start(
                    spec.command, spec.env(), output, spec.cwd, ended_by=spec.ended_by
                )
        except OSError as error:  # no memory, no disk: perhaps again in a while
            return explain(error)
        if self._stopping.is_set():  # asked to stop while it was being started
            self._process.send_signal(self.spec.ended_by)
        self._changed()
        ended = asyncio.create_task(self._process.wait())
        answering = asyncio.create_task(self._until_ready())
        try:
            await asyncio.wait({ended, answering}, return_when=asyncio.FIRST_COMPLETED)
            if answering.done():
                answering.result()
            return processes.how_it_ended(await ended)
        finally:
            answering.cancel()
            processes.kill_group(self._process)  # what a killed process had started itself
            await ended
            self._changed()

    async def _until_ready(self) -> None:
        began = time.monotonic()
        while not await self.spec.is_ready(self):
            # Only the first time: later on a restart may take its while, as a long log to load.
            late = time.monotonic() - began > self._pace.ready_within
            if late and not self._was_ready.is_set():
                why = f"did not answer within {self._pace.ready_within:g} s"
                raise DidNotStart(self.spec.name, why)
            await asyncio.sleep(self._pace.look_every)
        if self._was_ready.is_set():
            say(f"{self.spec.name} is ready again")
        self._was_ready.set()
