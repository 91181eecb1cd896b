"""Kills and freezes, at moments and in an order that the seed decides."""

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from dev.faulty_link import Fault, FaultyLink
from dev.soak.plan import Plan
from dev.soak.stack import SoakedStack

VICTIMS = ("worker", "api", "redis", "s3", "decoder")
KILL_WEIGHTS = (30, 25, 20, 15, 10)
FROZEN = ("redis", "s3", "worker", "api", "database")
FREEZE_WEIGHTS = (30, 30, 15, 15, 10)
FREEZE_SECONDS = (1.0, 6.0)
LONG_FREEZE_SECONDS = 26.0
"""Longer than a lease: a stalled worker wakes up after its successor."""
LONG_FREEZES = 0.1
COMES_BACK_WITHIN = 30.0


class Trouble:
    """Makes it until the plan's kills and freezes are done."""

    def __init__(
        self, plan: Plan, stack: SoakedStack, rng: random.Random, database: FaultyLink | None
    ) -> None:
        self._plan = plan
        self._stack = stack
        self._rng = rng
        self._database = database
        self.kills: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self._until_woken: dict[int, float] = {}

    async def make(self) -> None:
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._repeat(self._plan.kills, self._kill))
                both.create_task(self._repeat(self._plan.freezes, self._freeze))
        finally:
            for pid in self._until_woken:
                _signal(pid, signal.SIGCONT)
            if self._database:
                self._database.heal()

    async def _repeat(self, count: int, act: Callable[[], Awaitable[None]]) -> None:
        """`count` times, evenly over the time there is, with a random part each."""
        if not count:
            return
        began, pause = time.monotonic(), self._plan.seconds * 0.95 / count
        for number in range(count):
            due = began + pause * (number + self._rng.random())
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await act()

    async def _kill(self) -> None:
        (victim,) = self._rng.choices(VICTIMS, KILL_WEIGHTS)
        if victim == "decoder":
            pid = self._decoder()
            if pid is None:
                victim, pid = "worker", await self._pid("worker")
        else:
            pid = await self._pid(victim)
        if pid is not None and _signal(pid, signal.SIGKILL):
            self.kills[victim] += 1

    async def _freeze(self) -> None:
        (part,) = self._rng.choices(FROZEN, FREEZE_WEIGHTS)
        seconds = self._rng.uniform(*FREEZE_SECONDS)
        if part == "database":
            if self._database:
                await self._trouble_database(self._database, seconds)
                return
            part = "redis"
        if part in {"worker", "api"} and self._rng.random() < LONG_FREEZES:
            seconds = LONG_FREEZE_SECONDS
        pid = await self._pid(part)
        if pid is None or not _signal(pid, signal.SIGSTOP):
            return
        self.faults[f"{part} frozen"] += 1
        self._until_woken[pid] = seconds
        await asyncio.sleep(seconds)
        _signal(pid, signal.SIGCONT)
        del self._until_woken[pid]

    async def _trouble_database(self, link: FaultyLink, seconds: float) -> None:
        how = self._rng.choice(("frozen", "away", "cut"))
        self.faults[f"database {how}"] += 1
        if how == "cut":
            link.cut()
            return
        link.set(Fault(freeze=how == "frozen", refuse=how == "away"))
        await asyncio.sleep(seconds)
        link.heal()

    async def _pid(self, name: str) -> int | None:
        """The part's process, once it is running again."""
        with suppress(TimeoutError):
            async with asyncio.timeout(COMES_BACK_WITHIN):
                while True:
                    pid = self._stack.pid(name)
                    if pid is not None:
                        return pid
                    await asyncio.sleep(0.1)
        return None

    def _decoder(self) -> int | None:
        """One of those that decode right now, or what they are forked from."""
        worker = self._stack.pid("worker")
        below = [pid for child in _children(worker) for pid in (child, *_children(child))]
        return self._rng.choice(below) if below else None


def _children(pid: int | None) -> list[int]:
    with suppress(OSError, ValueError):
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _signal(pid: int, number: signal.Signals) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
