"""How long one thing held the event loop, during which nothing else was served."""

import os
import threading
import time
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from typing import Any

import structlog

from api.telemetry.metrics import Metrics

log = structlog.get_logger()

WARN_SECONDS = 0.25
_DOUBT_SECONDS = 0.02
"""From here on it is looked up whether the thread ran at all."""
_REFRESH_SECONDS = 1.0


class Starved:
    """Seconds in which the loop's thread wanted a processor and had none, as the kernel counts
    them; 0 where it doesn't."""

    def __init__(self) -> None:
        path = f"/proc/self/task/{threading.get_native_id()}/schedstat"
        try:
            self._file: int | None = os.open(path, os.O_RDONLY)
        except OSError:
            self._file = None

    def __call__(self) -> float:
        if self._file is None:
            return 0.0
        fields = os.pread(self._file, 100, 0).split()
        return int(fields[1]) / 1e9


class Watchdog:
    """Times each step of what it watches, from one await to the next.

    A step in which the machine gave the processor to others is not held against anybody: that
    time is taken off, if anything too much of it.
    """

    def __init__(
        self,
        metrics: Metrics,
        *,
        clock: Callable[[], float] = time.perf_counter,
        starved: Callable[[], float] | None = None,
    ) -> None:
        self._metrics = metrics
        self._clock = clock
        self._starved = starved or Starved()
        self._known = self._starved()
        self._known_at = clock()

    @contextmanager
    def step(self, name: Callable[[], str]) -> Generator[None]:
        """One synchronous piece of work; `name` is asked only when it took too long."""
        began = self.begin()
        try:
            yield
        finally:
            self.end(began, name)

    async def watch(self, work: Coroutine[Any, Any, Any], name: Callable[[], str]) -> Any:
        """Await the work and time its steps."""
        return await _Steps(work, self, name)

    def begin(self) -> float:
        """The same in two calls, for a step that is taken at every request: `end` is told when it
        began."""
        now = self._clock()
        if now - self._known_at > _REFRESH_SECONDS:
            self._known, self._known_at = self._starved(), now
        return now

    def end(self, began: float, name: Callable[[], str]) -> None:
        held = self._clock() - began
        if held > _DOUBT_SECONDS:
            starved = self._starved()
            held = max(0.0, held - (starved - self._known))
            self._known, self._known_at = starved, self._clock()
        self._metrics.held(held)
        if held >= WARN_SECONDS:
            log.warning("loop_held", route=name(), seconds=round(held, 3))


class _Steps:
    """Drives a coroutine as `await` does."""

    def __init__(
        self, work: Coroutine[Any, Any, Any], watchdog: Watchdog, name: Callable[[], str]
    ) -> None:
        self._work = work
        self._watchdog = watchdog
        self._name = name

    def __await__(self) -> Generator[Any, Any, Any]:
        sent: Any = None
        thrown: BaseException | None = None
        try:
            while True:
                began = self._watchdog.begin()
                try:
                    waits_for = self._step(sent, thrown)
                except StopIteration as end:
                    return end.value
                finally:
                    self._watchdog.end(began, self._name)
                sent = thrown = None
                try:
                    sent = yield waits_for
                except BaseException as error:  # noqa: BLE001 - a cancellation too is the work's
                    thrown = error
        finally:
            self._work.close()

    def _step(self, sent: Any, thrown: BaseException | None) -> Any:
        return self._work.send(sent) if thrown is None else self._work.throw(thrown)
