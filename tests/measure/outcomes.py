"""What becomes of a file in the worker: checked and converted as one of an upload is, without an
upload. Shared by the runs over real files and over mutated ones."""

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from shared.formats import FORMATS
from shared.policy import Derivative, DocumentLimits, FilePolicy
from tests.measure.worker import office_in, settings_in
from worker.errors import FileRejected, TransientError
from worker.processing import Processing
from worker.sandbox import Decoder

AT_ONCE = 2

POLICY = FilePolicy(
    accept=tuple(FORMATS),
    max_bytes=100_000_000,
    convert={each.media_type: "image/jpeg" for each in FORMATS.values() if each.kind == "image"}
    | {each.media_type: "application/pdf" for each in FORMATS.values() if each.kind == "document"},
    derivatives={"medium": Derivative(size=800), "thumb": Derivative(size=200, fit="cover")},
    document=DocumentLimits(macros="strip", without_converter="store"),
)
"""All that can be taken, made into what anybody can open."""


@dataclass(frozen=True)
class Became:
    """`how` is `stored`, `rejected: CODE`, `given back: CAUSE` or `unclassified: …`."""

    how: str
    notices: tuple[str, ...] = ()
    detected: str | None = None
    seconds: float = 0.0

    @property
    def is_verdict(self) -> bool:
        """Whether it ended, one way or the other."""
        return self.how.startswith(("stored", "rejected"))

    @property
    def is_unclassified(self) -> bool:
        return self.how.startswith("unclassified")


class Decoding:
    """The worker's way of a file, from its bytes to a verdict."""

    def __init__(self, processing: Processing) -> None:
        self._processing = processing

    async def became(self, path: Path) -> Became:
        begun = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="longshore-") as scratch:
            found = await self._try(path, Path(scratch))
        return Became(found.how, found.notices, found.detected, time.monotonic() - begun)

    async def _try(self, path: Path, scratch: Path) -> Became:
        try:
            made = await self._processing.process(
                path, scratch, policy=POLICY, field="file", on_stage=lambda _: None
            )
        except FileRejected as verdict:
            return Became(f"rejected: {verdict.code}", detected=verdict.detected_type)
        except TransientError as error:
            return Became(f"given back: {error.cause}: {error.detail.splitlines()[-1:]}")
        except Exception as error:  # noqa: BLE001 - which is what is looked for
            return Became(f"unclassified: {error!r}")
        notices = tuple(sorted(each.code for each in made.notices))
        return Became("stored", notices, made.detected_type)


@asynccontextmanager
async def decoding(*, with_office: bool) -> AsyncIterator[Decoding]:
    """As in a worker with its defaults. Documents become PDFs where it is `with_office` and
    LibreOffice is installed; elsewhere they are stored as they came."""
    with tempfile.TemporaryDirectory(prefix="longshore-") as folder:
        settings = settings_in(Path(folder))
        office = await office_in(settings, Path(folder)) if with_office else None
        async with Decoder() as decoder:
            yield Decoding(Processing(settings, decoder, office))


@dataclass
class Tally:
    """Counts of outcomes, and the files that somebody should look at."""

    counts: Counter[str] = field(default_factory=Counter)
    notices: Counter[str] = field(default_factory=Counter)
    slowest: list[tuple[float, str]] = field(default_factory=list)

    def add(self, name: str, became: Became) -> None:
        kind = (became.detected or "unknown").rpartition("/")[2]
        self.counts[f"{became.how.partition(': [')[0]} ({kind})"] += 1
        self.notices.update(became.notices)
        self.slowest = sorted([*self.slowest, (became.seconds, name)], reverse=True)[:5]

    def lines(self) -> Iterable[str]:
        for how, count in sorted(self.counts.items()):
            yield f"{count:7}  {how}"
        for code, count in sorted(self.notices.items()):
            yield f"{count:7}  notice {code}"
        for seconds, name in self.slowest:
            yield f"{seconds:7.1f} s  {name}"


async def each_of(paths: Iterable[Path], decoding: Decoding) -> AsyncIterator[tuple[Path, Became]]:
    """What becomes of each, some at once, in the order they end."""
    waiting = iter(paths)
    running: dict[asyncio.Task[Became], Path] = {}
    while True:
        while len(running) < AT_ONCE and (path := next(waiting, None)) is not None:
            running[asyncio.create_task(decoding.became(path))] = path
        if not running:
            return
        done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            yield running.pop(task), task.result()
