"""`bench convert`: one file through the worker's decoder, beside the libraries alone."""

import argparse
import asyncio
import json
import os
import random
import shutil
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from dev import processes
from dev.bench import by_hand, figures, files, machine
from dev.bench.bare import Cost
from dev.say import Problem, say
from dev.services import clean

LONGSHORE, BARE, PILLOW = "Longshore", "bare", "Pillow"
MAX_BYTES = 200_000_000
DERIVATIVES = {f"w{size}": {"size": size} for size in by_hand.SIZES}
JPEG, PDF = "image/jpeg", "application/pdf"
HEIC, TIFF = "image/heic", "image/tiff"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
WITHIN_BARE, FASTER, LARGEST_PEAK = 1.2, 3.0, 350.0


@dataclass(frozen=True)
class Case:
    title: str
    file: Callable[[], bytes]
    media_type: str
    target: str
    bare: str
    """Way of `dev.bench.bare`; `pillow` is another, where Pillow can do it."""
    pillow: str | None = "pillow"
    derivatives: dict[str, dict[str, int]] = field(default_factory=lambda: DERIVATIVES)
    ours: bool = True
    """Whether Longshore does it too: it never makes the smaller images alone."""
    times: int = 1
    """In one turn, so that what is short can be measured."""

    @property
    def policy(self) -> dict[str, Any]:
        converted = {} if self.target == self.media_type else {self.media_type: self.target}
        return {
            "accept": [self.media_type],
            "max_bytes": MAX_BYTES,
            "convert": converted,
            "derivatives": self.derivatives,
        }

    @property
    def ways(self) -> dict[str, str]:
        """Who takes part beside Longshore, and how."""
        return {BARE: self.bare} | ({PILLOW: self.pillow} if self.pillow else {})


PREVIEW = {"preview": {"size": by_hand.PREVIEW}}
CASES = (
    Case("PDF, 100 KiB", files.pdf, PDF, PDF, "pikepdf", pillow=None, derivatives={}, times=10),
    Case("JPEG, 1 MB", files.small_jpeg, JPEG, JPEG, "pyvips", times=5),
    Case("JPEG, 12 MP", files.jpeg, JPEG, JPEG, "pyvips", times=2),
    Case(
        "the same, no photo beside the three",
        *(files.jpeg, JPEG, JPEG, "pyvips-derivatives", "pillow-derivatives"),
        ours=False,
    ),
    Case(
        "the same, decoded and no more",
        *(files.jpeg, JPEG, JPEG, "pyvips-decoded", "pillow-decoded"),
        ours=False,
    ),
    Case("JPEG, 48 MP", files.large_jpeg, JPEG, JPEG, "pyvips"),
    Case("HEIC, 12 MP", files.heic, HEIC, JPEG, "heif"),
    Case("TIFF, 12 MP", files.tiff, TIFF, JPEG, "pyvips", times=2),
    Case("PDF, 20 pages", files.long_pdf, PDF, PDF, "pdfium", pillow=None, derivatives=PREVIEW),
    Case("DOCX, 5 pages", files.docx, DOCX, PDF, "soffice", pillow=None, derivatives={}),
)
OF_12_MP, OF_48_MP = CASES[2], CASES[5]


class NotTaken(Exception):  # noqa: N818 - says what happened
    """The product takes no such file, or makes something else of it."""


async def convert(options: argparse.Namespace) -> None:
    with machine.scratch(options.dir, machine.GIB) as folder:
        about = machine.describe(folder)
        async with _decoder(folder) as decoder:
            taken = {
                case.title: await _measure(case, decoder, folder, options.rounds) for case in CASES
            }
        _show(taken)
        figures.show_machine(about)
    raw = {
        title: {name: [asdict(cost) for cost in costs] for name, costs in each.items()}
        for title, each in taken.items()
    }
    figures.write(options.json, {"bench": "convert", "machine": about, "costs": raw})


async def _measure(
    case: Case, decoder: "_Decoder", folder: Path, rounds: int
) -> dict[str, list[Cost]]:
    """By who took part; none of Longshore where it takes no such file."""
    say(f"{case.title}: {rounds} rounds")
    path = folder / "received"
    await asyncio.to_thread(lambda: path.write_bytes(case.file()))
    costs: dict[str, list[Cost]] = {LONGSHORE: [], BARE: [], PILLOW: []}
    names, peak = list(case.ways), 0.0
    if case.ours:
        try:
            peak = (await decoder.cost(case, path, watched=True)).peak
            names.append(LONGSHORE)
        except NotTaken as why:
            say(f"  not taken: {why}")
    if case.bare == "soffice" and not shutil.which("soffice"):
        return costs
    for _ in range(rounds):
        for name in random.sample(names, len(names)):
            if name == LONGSHORE:
                cost = await decoder.cost(case, path)
                costs[name].append(Cost(cost.wall, cost.cpu, peak))
            else:
                costs[name].append(await _bare(case.ways[name], path))
    return costs


async def _bare(way: str, path: Path) -> Cost:
    command = [sys.executable, "-m", "dev.bench.bare", way, str(path)]
    code, output = await processes.run_once(command, clean(os.environ) | {"VIPS_CONCURRENCY": "2"})
    if code:
        raise Problem(f"bench: {way} could not convert: {output[-500:]}")
    return Cost(**json.loads(output))


class _Decoder:
    """The product's, in a process that knows the worker and takes one order a line."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log

    async def cost(self, case: Case, path: Path, *, watched: bool = False) -> Cost:
        """Raises `NotTaken`. Only when `watched` the peak is known, and the times mean nothing."""
        order = {"file": str(path), "policy": case.policy, "times": case.times, "watched": watched}
        assert self._process.stdin  # noqa: S101 - it was asked for
        assert self._process.stdout  # noqa: S101 - it was asked for
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        line = await self._process.stdout.readline()
        if not line:
            ended = await asyncio.to_thread(self._log.read_text)
            raise Problem(f"bench: the decoder could not be measured: {ended[-1000:]}")
        made = json.loads(line)
        if "refused" in made:
            raise NotTaken(made["refused"])
        if (made["object"], made["derivatives"]) != (case.target, sorted(case.derivatives)):
            raise NotTaken(f"made {made['object']} and {made['derivatives']}")
        return Cost(made["wall"], made["cpu"], made["peak"])


@asynccontextmanager
async def _decoder(folder: Path) -> AsyncIterator[_Decoder]:
    command = [sys.executable, "-m", "tests.measure.convert", str(folder)]
    log = folder / "decoder.log"
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *command,
            env=clean(os.environ),
            stdin=PIPE,
            stdout=PIPE,
            stderr=errors,
            start_new_session=True,
            preexec_fn=processes.die_with_parent(),
        )
    try:
        yield _Decoder(process, log)
    finally:
        processes.kill_group(process)
        await process.wait()


def _show(taken: dict[str, dict[str, list[Cost]]]) -> None:
    columns = ["", "Longshore", "the library alone", "Pillow", "× library", "Pillow × Longshore"]
    rows = [
        [case.title, *map(_cell, taken[case.title].values()), *_compared(taken[case.title])]
        for case in CASES
    ]
    figures.show_markdown("One file: wall, CPU, peak of resident memory", columns, rows)
    _show_goals(taken[OF_12_MP.title], taken[OF_48_MP.title])


def _cell(costs: Sequence[Cost]) -> str:
    if not costs:
        return "–"
    wall, cpu, peak = (median(each) for each in zip(*map(_parts, costs), strict=True))
    return f"{1000 * wall:.0f} ms · {1000 * cpu:.0f} ms · {peak:.0f} MiB"


def _parts(cost: Cost) -> tuple[float, float, float]:
    return cost.wall, cost.cpu, cost.peak


def _compared(costs: dict[str, list[Cost]]) -> list[str]:
    if not costs[LONGSHORE]:
        return ["–", "–"]
    ours, bare, pillow = ([cost.wall for cost in costs[name]] for name in (LONGSHORE, BARE, PILLOW))
    return [
        figures.with_spread(figures.ratios(ours, bare), 2) if bare else "–",
        figures.with_spread(figures.ratios(pillow, ours), 2) if pillow else "–",
    ]


def _show_goals(of_12: dict[str, list[Cost]], of_48: dict[str, list[Cost]]) -> None:
    ours, bare, pillow = ([cost.wall for cost in of_12[name]] for name in (LONGSHORE, BARE, PILLOW))
    peak = max(cost.peak for cost in of_48[LONGSHORE])
    beside, faster = median(figures.ratios(ours, bare)), median(figures.ratios(pillow, ours))
    kept = {True: "kept", False: "NOT KEPT"}
    say(f"\nGoal, 12 MP within {WITHIN_BARE} × the library: {kept[beside <= WITHIN_BARE]}")
    say(f"Goal, 12 MP {FASTER:g} × faster than Pillow: {kept[faster >= FASTER]}")
    say(f"Goal, 48 MP within {LARGEST_PEAK:g} MiB: {kept[peak <= LARGEST_PEAK]}")
