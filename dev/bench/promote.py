"""`bench promote`: from the acknowledgement to the bucket, through the whole stack."""

import argparse
import asyncio
import http.client
import json
import random
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from dev.bench import by_hand, figures, files, machine
from dev.bench.load import BOUNDARY, TAIL, Job, multipart_head, send
from dev.bench.longshore_api import create_forms
from dev.bench.own_stack import own_stack
from dev.bench.process_tree import cpu_seconds, cpu_seconds_below
from dev.bench.raw_steps import Make, Raw, RawSteps, raw_steps
from dev.say import Problem, say
from dev.stack import Stack

UPLOADS, QUICK_UPLOADS = 200, 20
IDLE, QUICK_IDLE = 30, 5
CONNECTIONS = 8
PAUSES = (0.15, 0.4)
"""Seconds between two uploads to an idle stack: none comes at a moment of its own."""
WARM_UP = 4
PARTS = ("api", "worker", "decoders", "redis", "s3", "client")
"""Whose CPU is told; the decoders are what the worker started, S3 is the local stack's own."""
LOOK_EVERY = 0.5
STORED_WITHIN = 300.0
_OUTCOMES = re.compile(rb'^longshore_outcomes_total\{.*result="(\w+)".*\} (\S+)$', re.MULTILINE)
_LAST_STORED = re.compile(rb"^longshore_last_stored_timestamp_seconds (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Case:
    """Files of one kind, and the field of the signup that takes them."""

    title: str
    field: str
    a_form: int
    """Uploads that one form takes."""
    filename: str
    media_type: str
    body: Callable[[], bytes]
    make: Make
    goal_per_second: float
    goal_ms: float | None
    """From the acknowledgement until stored, on an idle stack."""


CASES = (
    Case(
        "PDF of 100 KiB",
        field="certificates",
        a_form=10,
        filename="scan.pdf",
        media_type="application/pdf",
        body=files.pdf,
        make=by_hand.checked_pdf,
        goal_per_second=60,
        goal_ms=60,
    ),
    Case(
        "JPEG of 1 MB",
        field="headshot",
        a_form=1,
        filename="me.jpg",
        media_type="image/jpeg",
        body=files.small_jpeg,
        make=by_hand.with_pyvips,
        goal_per_second=8,
        goal_ms=None,
    ),
)


@dataclass(frozen=True)
class Run:
    """Many uploads, sent as fast as they are acknowledged."""

    uploads: int
    seconds: float
    """From the first byte sent until the last is stored."""
    acknowledged: float
    """Seconds until all were acknowledged."""
    cpu: dict[str, float]
    """Seconds of each part of the stack, for all uploads."""


@dataclass(frozen=True)
class Idle:
    """One upload with nothing else to do."""

    stored: float
    """Seconds from its acknowledgement."""
    raw: Raw


@dataclass(frozen=True)
class Measured:
    case: Case
    runs: list[Run]
    idle: list[Idle]


async def promote(options: argparse.Namespace) -> None:
    uploads, idle = (QUICK_UPLOADS, QUICK_IDLE) if options.quick else (UPLOADS, IDLE)
    with machine.scratch(options.dir, machine.GIB) as folder:
        about = machine.describe(folder)
        async with own_stack(folder / "stack", options.redis) as stack:
            s3 = stack.services.described({})["s3"]
            async with raw_steps(folder, s3) as steps:
                measured = [
                    await _measure(
                        _Whole(stack, case, folder), steps, options.rounds, uploads, idle
                    )
                    for case in CASES
                ]
        _show(measured)
        figures.show_machine(about)
    raw = {
        each.case.title: {
            "runs": [asdict(run) for run in each.runs],
            "idle": [asdict(one) for one in each.idle],
        }
        for each in measured
    }
    figures.write(options.json, {"bench": "promote", "machine": about} | raw)


async def _measure(
    whole: "_Whole", steps: RawSteps, rounds: int, uploads: int, idle: int
) -> Measured:
    title = whole.case.title
    await whole.load(WARM_UP)
    await steps.take(whole.body, whole.case.make)
    say(f"{title}: {idle} on an idle stack")
    waited = [await _one_idle(whole, steps) for _ in range(idle)]
    runs = []
    for number in range(rounds):
        say(f"{title}: {uploads} as fast as they are acknowledged, {number + 1} of {rounds}")
        runs.append(await whole.load(uploads))
    return Measured(whole.case, runs, waited)


async def _one_idle(whole: "_Whole", steps: RawSteps) -> Idle:
    turns: dict[str, Callable[[], Awaitable[Any]]] = {
        "stored": lambda: asyncio.to_thread(whole.one),
        "raw": lambda: steps.take(whole.body, whole.case.make),
    }
    taken = {}
    for turn in random.sample(sorted(turns), len(turns)):
        await asyncio.sleep(random.uniform(*PAUSES))  # noqa: S311 - no secret
        taken[turn] = await turns[turn]()
    return Idle(**taken)


class _Whole:
    """The whole stack, given files of one case."""

    def __init__(self, stack: Stack, case: Case, folder: Path) -> None:
        self.case = case
        self.body = case.body()
        self._stack = stack
        self._port = stack.services.ports["public"]
        self._file = folder / case.filename
        self._file.write_bytes(self.body)

    async def load(self, uploads: int) -> Run:
        """Send so many, and wait until all are stored."""
        heads = await asyncio.to_thread(self._heads, uploads)
        size, file = len(self.body), str(self._file)
        job = Job(self._port, heads, size, TAIL, http.client.ACCEPTED, CONNECTIONS, file=file)
        before, cpu_before = self._outcomes()["stored"], self._cpu()
        sent = await send(job)
        ended = await self._until_stored(before + uploads)
        spent = {name: used - cpu_before[name] for name, used in self._cpu().items()}
        return Run(uploads, ended - sent.began, sent.seconds, spent | {"client": sent.cpu_seconds})

    def one(self) -> float:
        """Send one; seconds from its acknowledgement until it is stored."""
        [(form, credential)] = create_forms(self._port, "therapist_signup", 1)
        headers = dict([credential.split(": ", 1)])
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        head, _, part = self._head(form, credential).partition("\r\n\r\n")
        content = part.encode() + self.body + TAIL.encode()
        kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        connection.request("POST", head.split(" ", 2)[1], content, headers | kind)
        upload = _read(connection)
        began = time.perf_counter()
        while upload.get("status") in {"staged", "processing"}:
            path = f"/v1/uploads/{upload['id']}"
            connection.request("GET", path, headers=headers | {"Prefer": "wait=20"})
            upload = _read(connection)
        seconds = time.perf_counter() - began
        connection.close()
        if upload.get("status") != "stored":
            raise Problem(f"bench: {self.case.title} was not stored: {upload}")
        return seconds

    def _heads(self, uploads: int) -> list[str]:
        """In turns, as when many people are signing up."""
        forms = create_forms(self._port, "therapist_signup", -(-uploads // self.case.a_form))
        return [self._head(*form) for form in (forms * self.case.a_form)[:uploads]]

    def _head(self, form: str, credential: str) -> str:
        return multipart_head(
            "POST",
            f"/v1/forms/{form}/fields/{self.case.field}/uploads",
            len(self.body),
            credential,
            filename=self.case.filename,
            media_type=self.case.media_type,
        )

    async def _until_stored(self, count: int) -> float:
        """The Unix time at which the last was. Raises `Problem` when it takes too long."""
        deadline = time.monotonic() + STORED_WITHIN
        while (outcomes := self._outcomes())["stored"] < count:
            if outcomes["rejected"] or outcomes["failed"] or time.monotonic() > deadline:
                said = ", ".join(f"{number} {result}" for result, number in outcomes.items())
                raise Problem(f"bench: {count} uploads were to be stored, and there are {said}")
            await asyncio.sleep(LOOK_EVERY)
        found = _LAST_STORED.search(self._metrics())
        assert found  # noqa: S101 - some are stored
        return float(found[1])

    def _outcomes(self) -> Counter[str]:
        """Uploads by what became of them, since the start."""
        outcomes = Counter[str]()
        for result, number in _OUTCOMES.findall(self._metrics()):
            outcomes[result.decode()] += int(float(number))
        return outcomes

    def _metrics(self) -> bytes:
        services = self._stack.services
        connection = http.client.HTTPConnection("127.0.0.1", services.ports["internal"], timeout=30)
        secret = services.secrets["internal_secret"]
        connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {secret}"})
        text = connection.getresponse().read()
        connection.close()
        return text

    def _cpu(self) -> dict[str, float]:
        """Seconds that each part has spent; decoders are what the worker started."""
        pids = {child.spec.name: child.pid or 0 for child in self._stack.children}
        spent = {name: cpu_seconds(pid) for name, pid in pids.items()}
        return spent | {"decoders": cpu_seconds_below(pids["worker"])}


def _read(connection: http.client.HTTPConnection) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(connection.getresponse().read())
    return answer


def _show(measured: Sequence[Measured]) -> None:
    """As they go into the documents: what many cost, then how long one takes."""
    uploads = measured[0].runs[0].uploads
    figures.show_markdown(
        f"{uploads} uploads, sent as fast as they are acknowledged; CPU for each upload",
        ["", "stored", "goal", "acknowledged", *PARTS],
        [_row_of_many(each) for each in measured],
    )
    figures.show_markdown(
        "One upload on an idle stack: from its acknowledgement until it is stored",
        ["", "p50", "p95", "goal", "raw: read", "make", "put", "sum", "before: keep"],
        [_row_of_one(each) for each in measured],
    )


def _row_of_many(measured: Measured) -> list[str]:
    case, runs = measured.case, measured.runs
    return [
        case.title,
        f"{figures.with_spread([run.uploads / run.seconds for run in runs], 1)} /s",
        f"≥ {case.goal_per_second:g} /s",
        f"{median(run.uploads / run.acknowledged for run in runs):.0f} /s",
        *(_milliseconds([run.cpu[part] / run.uploads for run in runs]) for part in PARTS),
    ]


def _row_of_one(measured: Measured) -> list[str]:
    case, idle = measured.case, measured.idle
    stored, raw = [each.stored for each in idle], [each.raw for each in idle]
    return [
        case.title,
        _milliseconds(stored),
        f"{1000 * figures.percentile(stored, 0.95):.0f} ms",
        f"≤ {case.goal_ms:g} ms" if case.goal_ms else "–",
        _milliseconds([each.read for each in raw], 1),
        _milliseconds([each.make for each in raw], 1),
        _milliseconds([each.put for each in raw], 1),
        _milliseconds([each.after_keeping for each in raw], 1),
        _milliseconds([each.keep for each in raw], 1),
    ]


def _milliseconds(seconds: Sequence[float], digits: int = 0) -> str:
    return f"{1000 * median(seconds):.{digits}f} ms"
