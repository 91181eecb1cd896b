"""Find out whether a service works (the object store, the scanner), and open and close its breaker.

Tells what it can't do, once, and raises an alarm for as long as somebody has to act.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import structlog

from shared.finding import Finding, Level, wrongs
from shared.status import StoreState
from worker.bell import Bell
from worker.breaker import Breaker

log = structlog.get_logger()


class SelfTested(NamedTuple):
    """What came of trying out all that is asked of a service."""

    findings: list[Finding]
    works: bool
    """Whether it is to be used: what else it can't do is no reason not to."""
    refuses: bool = False
    """Whether somebody has to act: one that is only away may come back by itself."""


class Testable(Protocol):
    """What is asked of a service to know how it is."""

    async def knock(self, seconds: float) -> Finding | None: ...

    async def self_test(self) -> SelfTested: ...


@dataclass(frozen=True)
class Pauses:
    """In seconds."""

    silence: float = 2.0
    """After so much of it we knock: any answer is a sign of life."""
    patience: float = 4.0
    """How long the answer may take; while the breaker is open it doubles up to the next."""
    most_patience: float = 30.0
    first: float = 1.0
    """Between two tries to close the breaker; doubles up to one of the next two."""
    away: float = 2.0
    refused: float = 30.0
    again: float = 30.0
    """Between two self-tests while something is wrong and the service works all the same."""


class Watch:
    """Runs the self-test at the start, while something is wrong, and to close the breaker.

    Beside the work, which never waits for it: what can't go on waits, and takes nobody's place.
    """

    def __init__(self, service: Testable, breaker: Breaker, pauses: Pauses | None = None) -> None:
        self._service = service
        self._name = breaker.name
        self._breaker = breaker
        self._pauses = pauses or Pauses()
        self._pause, self._patience = self._pauses.first, self._pauses.patience
        self._opened = Bell()
        breaker.on_change.append(self._opened.ring)
        self._told: list[Finding] = []
        self._tested_at = 0.0
        self.alarm = False
        """Whether somebody has to act: the worker isn't healthy then."""

    async def run(self) -> None:
        """For the life of the worker."""
        await self._try_it()
        while True:
            await (self._back() if self._breaker.is_open else self._watched())

    async def _watched(self) -> None:
        """The breaker is closed: look now and then."""
        await self._opened.heard(max(self._pauses.silence - self._breaker.silent_seconds, 0))
        lately = time.monotonic() - self._tested_at < self._pauses.again
        if self._breaker.is_open or (wrongs(self._told) and not lately):
            await self._try_it()
        elif self._breaker.silent_seconds >= self._pauses.silence:
            await self._is_there()

    async def _back(self) -> None:
        """The breaker is open: try to close it."""
        await asyncio.sleep(self._pause)
        pauses, refused = self._pauses, self._breaker.state is StoreState.REFUSED
        self._pause = min(self._pause * 2, pauses.refused if refused else pauses.away)
        await self._try_it()
        self._patience = min(self._patience * 2, pauses.most_patience)
        if not self._breaker.is_open:
            self._pause, self._patience = pauses.first, pauses.patience

    async def _try_it(self) -> None:
        """The self-test decides, once there is a sign of life: what it wrote to a store that hangs
        would stay there."""
        began = time.monotonic()
        if not await self._is_there():
            return
        slow = time.monotonic() - began > self._pauses.patience
        tested = await self._tested()
        self._tested_at = time.monotonic()
        self._tell(tested.findings)
        self.alarm = tested.refuses
        if tested.works or (slow and not self.alarm):
            self._breaker.close()  # work has more time than any test
        else:
            state = StoreState.REFUSED if self.alarm else StoreState.AWAY
            self._breaker.trip(state, "; ".join(map(str, wrongs(tested.findings))))

    async def _is_there(self) -> bool:
        away = await self._knocked()
        if away:
            self._tell([away])
            self.alarm = False  # it may come back by itself
            self._breaker.trip(StoreState.AWAY, str(away))
        else:
            self._breaker.answered()
        return not away

    async def _knocked(self) -> Finding | None:
        try:
            return await self._service.knock(self._patience)
        except Exception:  # whatever a service makes of it, the work goes on
            log.exception(self._event("check_broke"))
            return None

    async def _tested(self) -> SelfTested:
        try:
            return await self._service.self_test()
        except Exception:  # whatever a service makes of it, the work goes on
            log.exception(self._event("check_broke"))
            return SelfTested([], works=True)

    def _tell(self, findings: list[Finding]) -> None:
        """Log what is new since the last time, in one line each."""
        checked = self._event("checked")
        for each in findings:
            if each in self._told:
                continue
            match each.level:
                case Level.OK:
                    log.info(checked, setting=each.name, found=each.text)
                case Level.WARNING:
                    log.warning(checked, setting=each.name, reason=each.text)
                case Level.WRONG:
                    log.error(checked, setting=each.name, reason=each.text)
        if wrongs(self._told) and not wrongs(findings):
            log.info(self._event("works_again"))
        self._told = findings

    def _event(self, what: str) -> str:
        return f"{self._name}_{what}"
