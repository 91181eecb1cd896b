"""`bench sweep`: what the sweep costs beside many rows and files, on both databases."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from dev.bench import figures, machine
from dev.bench.servers import running
from dev.say import Problem, say

DATABASES = ("sqlite", "postgresql")
ROWS = (10_000, 100_000, 1_000_000)
QUICK_ROWS = (1_000, 10_000)
FILES = 100_000
DISK = 6 * machine.GIB


async def sweep(options: argparse.Namespace) -> None:
    rows = QUICK_ROWS if options.quick else ROWS
    raw: dict[str, Any] = {"bench": "sweep"}
    with machine.scratch(options.dir, machine.GIB if options.quick else DISK) as folder:
        raw["machine"] = about = machine.describe(folder)
        for database in DATABASES:
            say(f"{database}: filling and sweeping; a million rows take some minutes")
            raw[database] = await _measure(folder, database, rows, options.rounds)
            _show(database, raw[database])
        figures.show_machine(about)
    figures.write(options.json, raw)


async def _measure(
    folder: Path, database: str, rows: tuple[int, ...], rounds: int
) -> list[dict[str, Any]]:
    """In a process of its own, which knows the api; it writes one line of JSON for each size."""
    command = [sys.executable, "-m", "tests.measure.sweep", "--database", database]
    command += ["--folder", str(folder), "--rounds", str(rounds), "--files", str(FILES)]
    command += ["--output", str(folder / f"{database}.jsonl"), "--rows", *map(str, rows)]
    log = folder / f"{database}.log"
    async with running(command, os.environ, log) as process:
        if await process.wait():
            raise Problem(f"bench: the sweep could not be measured: {log.read_text()[-2000:]}")
    lines = (folder / f"{database}.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def _show(database: str, measured: list[dict[str, Any]]) -> None:
    columns = [
        "rows",
        "nothing to do, ms",
        "of it files, ms",
        "1000 things to do, ms",
        "gauges, ms",
    ]
    rows = [
        [
            f"{one['rows']:,}",
            figures.with_spread(one["idle_ms"]),
            f"{figures.with_spread(one['files_ms'])} of {one['files']:,}",
            f"{one['busy_ms']:.0f}",
            figures.with_spread(one["backlog_ms"]),
        ]
        for one in measured
    ]
    figures.show(f"One sweep, {database} {measured[-1]['version']}", columns, rows)
    say("\n  How the statements are carried out, beside the most rows:\n")
    for statement, plan in measured[-1]["plans"].items():
        say(f"  {statement[:160]}")
        for node in plan:
            say(f"      {node}")
