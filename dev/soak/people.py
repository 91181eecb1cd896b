"""Many people who fill in the signup: mixed files, second thoughts, bad connections."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import count

import httpx

from dev.soak.client import GaveUp, Person
from dev.soak.files import Files
from dev.soak.ledger import Entry, Ledger
from dev.soak.plan import Plan

AT_ONCE = 10
STEPS = (2, 5)
"""Least and most steps of one person."""
TIMEOUT = httpx.Timeout(30)


class People:
    """They come for as long as the plan says, at an even pace."""

    def __init__(self, plan: Plan, url: str, rng: random.Random, ledger: Ledger) -> None:
        self._plan = plan
        self._url = url
        self._rng = rng
        self._ledger = ledger
        self._files = Files(rng)
        self._numbers = count(1)
        self._began = time.monotonic()

    async def come(self) -> None:
        """Return when the plan's uploads are acknowledged, or its longest time is over."""
        limits = httpx.Limits(max_connections=2 * AT_ONCE)
        async with (
            httpx.AsyncClient(
                base_url=self._url, timeout=TIMEOUT, trust_env=False, limits=limits
            ) as http,
            asyncio.TaskGroup() as people,
        ):
            for _ in range(AT_ONCE):
                people.create_task(self._one_after_the_other(http))

    async def _one_after_the_other(self, http: httpx.AsyncClient) -> None:
        while not self._done():
            try:
                await self._sign_up(Person(http, self._ledger))
            except GaveUp:
                continue

    def _done(self) -> bool:
        elapsed = time.monotonic() - self._began
        return len(self._ledger.entries) >= self._plan.uploads or elapsed > self._plan.longest

    async def _sign_up(self, person: Person) -> None:
        await person.begin(next(self._numbers))
        sent: list[Entry] = []
        for step in self._steps():
            await self._in_turn()
            sent += await step(person, sent)
            if self._done():
                break
        await person.submit()

    async def _in_turn(self) -> None:
        """Hold back until the plan's pace allows one more upload."""
        due = len(self._ledger.entries) / self._plan.uploads * self._plan.seconds
        await asyncio.sleep(min(5.0, self._began + due - time.monotonic()))

    def _steps(self) -> "Iterator[Step]":
        steps: list[tuple[Step, int]] = [
            (self._photo, 30),
            (self._document, 30),
            (self._section, 12),
            (self._hostile, 8),
            (self._keyed_twice, 8),
            (self._second_thoughts, 6),
            (self._break_off, 6),
            (self._resumable, 14),
            (self._in_chunks, 12),
            (self._abandon, 3),
        ]
        kinds, weights = zip(*steps, strict=True)
        yield from self._rng.choices(kinds, weights, k=self._rng.randint(*STEPS))

    async def _photo(self, person: Person, _: list[Entry]) -> list[Entry]:
        """A second one replaces the first."""
        return [await person.send("headshot", self._files.photo())]

    async def _document(self, person: Person, _: list[Entry]) -> list[Entry]:
        field = self._rng.choice(("licence", "liability_insurance"))
        return [await person.send(field, self._files.document())]

    async def _section(self, person: Person, sent: list[Entry]) -> list[Entry]:
        if any(entry.field == "certificates" for entry in sent):
            return []  # two sections of three files might be more than the field takes
        files = [self._files.document() for _ in range(self._rng.randint(1, 3))]
        return await person.save_section("certificates", files)

    async def _hostile(self, person: Person, _: list[Entry]) -> list[Entry]:
        self._ledger.clients["hostile files"] += 1
        return [await person.send("licence", self._files.hostile())]

    async def _keyed_twice(self, person: Person, _: list[Entry]) -> list[Entry]:
        """The same key is the same upload, however often it is sent, also at once."""
        file, number = self._files.document(), self._rng.randrange(1 << 30)
        key = f"{self._rng.choice(('put', 'key'))}-{number}"
        entries = await asyncio.gather(*(person.send("licence", file, key) for _ in range(2)))
        if len({entry.upload_id for entry in entries}) > 1:
            self._ledger.broken.append(f"{key} made {len(entries)} uploads of one file")
        self._ledger.clients["keys repeated"] += 1
        return entries[:1]

    async def _second_thoughts(self, person: Person, sent: list[Entry]) -> list[Entry]:
        if sent:
            await person.remove(self._rng.choice(sent))
        return []

    async def _resumable(self, person: Person, _: list[Entry]) -> list[Entry]:
        field, file = self._rng.choice(("licence", "headshot")), self._files.photo()
        key = f"tus-{self._rng.randrange(1 << 30)}"
        return [await person.send_resumable(field, file, key, self._rng)]

    async def _in_chunks(self, person: Person, _: list[Entry]) -> list[Entry]:
        field, file = self._rng.choice(("licence", "headshot")), self._files.photo()
        key = f"chunks-{self._rng.randrange(1 << 30)}"
        return [await person.send_in_chunks(field, file, key, self._rng)]

    async def _abandon(self, person: Person, _: list[Entry]) -> list[Entry]:
        """It expires, and the form can't be sent until then."""
        file, key = self._files.document(), f"tus-{self._rng.randrange(1 << 30)}"
        await person.abandon_resumable("resume", file, key, self._rng, self._rng.random())
        return []

    async def _break_off(self, person: Person, _: list[Entry]) -> list[Entry]:
        await person.break_off("licence", self._files.document(), self._rng.random())
        return []


Step = Callable[[Person, list[Entry]], Awaitable[list[Entry]]]
