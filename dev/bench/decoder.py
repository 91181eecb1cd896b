"""`bench decoder`: what it costs that each file is decoded in a child of its own."""

import argparse
import json
import os
import sys
from pathlib import Path
from statistics import median
from typing import Any

from dev.bench import figures, machine
from dev.bench.servers import running
from dev.say import Problem


async def decoder(options: argparse.Namespace) -> None:
    with machine.scratch(options.dir, machine.GIB) as folder:
        about = machine.describe(folder)
        files = await _measure(folder, options.rounds)
    for file in files:
        _show(file)
    figures.show_machine(about)
    figures.write(options.json, {"bench": "decoder", "machine": about, "files": files})


async def _measure(folder: Path, rounds: int) -> list[dict[str, Any]]:
    """In a process of its own, which knows the worker; it writes one line of JSON for each file."""
    output, log = folder / "decoder.jsonl", folder / "decoder.log"
    command = [sys.executable, "-m", "tests.measure.decoder"]
    command += ["--rounds", str(rounds), "--output", str(output)]
    async with running(command, os.environ, log) as process:
        if await process.wait():
            raise Problem(f"bench: the decoder could not be measured: {log.read_text()[-2000:]}")
    return [json.loads(line) for line in output.read_text("utf-8").splitlines()]


def _show(file: dict[str, Any]) -> None:
    bare = file["ways"][0]
    columns = [file["file"], "wall, ms", "CPU, ms", "wall over in process", "CPU over in process"]
    rows = [
        [
            way["way"],
            figures.with_spread(way["wall_ms"], 1),
            f"{way['cpu_ms']:.1f}",
            f"{median(way['wall_ms']) - median(bare['wall_ms']):.1f}",
            f"{way['cpu_ms'] - bare['cpu_ms']:.1f}",
        ]
        for way in file["ways"]
    ]
    figures.show(f"{file['file']} ({file['bytes']:,} bytes)", columns, rows)
