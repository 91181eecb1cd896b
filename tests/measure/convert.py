"""What the worker's decoder costs. `./longshore bench convert` starts it.

Reads a `{"file", "policy", "times", "watched"}` a line, and answers each with a line of JSON: the
seconds and what was made, or `refused` with the reason. `watched`, it says how much memory the
largest process below this one had; looking costs time, so those seconds mean nothing.
"""

import asyncio
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import uvloop

from dev.bench.memory import resident
from dev.bench.process_tree import cpu_seconds_below, descendants
from shared.policy import FilePolicy
from tests.measure.worker import office_in, settings_in
from worker.errors import FileRejected, TransientError
from worker.processing import Processing
from worker.sandbox import Decoder

LOOK_EVERY = 0.001


async def measure(processing: Processing, order: dict[str, Any], scratch: Path) -> dict[str, Any]:
    policy, staged = FilePolicy.model_validate(order["policy"]), Path(order["file"])
    before, wall, made = cpu_seconds_below(os.getpid()), 0.0, None
    peak = [0.0]
    with _watching(peak) if order["watched"] else nullcontext():
        for _ in range(order["times"]):
            with tempfile.TemporaryDirectory(dir=scratch) as folder:
                began = time.perf_counter()
                try:
                    made = await processing.process(
                        staged, Path(folder), policy=policy, field="file", on_stage=lambda _: None
                    )
                except (FileRejected, TransientError) as error:
                    return {"refused": str(error)[:200]}
                wall += time.perf_counter() - began
    assert made
    return {
        "wall": wall / order["times"],
        "cpu": (cpu_seconds_below(os.getpid()) - before) / order["times"],
        "peak": max(peak),
        "object": made.object.content_type,
        "derivatives": sorted(made.derivatives),
    }


@contextmanager
def _watching(peak: list[float]) -> Iterator[None]:
    """Add to `peak` the most memory that any process below this one had, in MiB."""
    done = threading.Event()

    def look() -> None:
        while not done.wait(LOOK_EVERY):
            for pid in descendants(os.getpid()):
                with suppress(OSError, ValueError):  # it has ended, or is ending
                    peak.append(resident(pid, "VmHWM"))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield
    finally:
        done.set()
        looking.join()


async def main() -> None:
    with tempfile.TemporaryDirectory(dir=sys.argv[1]) as folder:
        scratch, settings = Path(folder), settings_in(Path(folder))
        office = await office_in(settings, scratch)
        async with Decoder() as decoder:
            processing = Processing(settings, decoder, office)
            while line := await asyncio.to_thread(sys.stdin.readline):
                answer = await measure(processing, json.loads(line), scratch)
                sys.stdout.write(json.dumps(answer) + "\n")
                sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(main())
