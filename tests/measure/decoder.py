"""What a child costs for each way to have one, beside the same work in this process.

`python -m tests.measure.decoder --rounds N --output FILE`: one line of JSON for each file.
"""

import argparse
import io
import json
import os
import random
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop
from PIL import Image

from shared.formats import FORMATS
from shared.policy import Derivative, FilePolicy
from tests.support import images
from worker.children import Children
from worker.decoder.preload import preload
from worker.formats.detect import detect
from worker.formats.families import process
from worker.formats.job import THREADS, Job
from worker.sandbox import Decoder

IN_PROCESS = "in process"
WARM_UP = 3
CHECKED = FilePolicy(accept=("application/pdf", "image/png"), max_bytes=10**8)
SHRUNK = CHECKED.model_copy(
    update={"derivatives": {"medium": Derivative(size=400), "thumb": Derivative(size=100)}}
)
Work = Callable[[Path, Path], Awaitable[object]]


def noise(size: tuple[int, int]) -> bytes:
    """A PNG that doesn't get smaller."""
    out = io.BytesIO()
    pixels = random.Random(0).randbytes(3 * size[0] * size[1])  # noqa: S311 - it is to be the same
    Image.frombytes("RGB", size, pixels).save(out, "PNG")
    return out.getvalue()


@dataclass(frozen=True)
class Case:
    title: str
    content: bytes
    policy: FilePolicy


CASES = (
    Case("a PDF of 3 pages, checked", images.pdf(3), CHECKED),
    Case("a PDF of 3 pages, with two previews", images.pdf(3), SHRUNK),
    Case("a PNG of 200 KB, with two derivatives", noise((260, 260)), SHRUNK),
)


def in_process(policy: FilePolicy) -> Work:
    async def work(staged: Path, scratch: Path) -> object:
        return process(
            Job(
                staged=staged,
                scratch=scratch,
                field="file",
                policy=policy,
                format=FORMATS[str(detect(staged))],
                begin=lambda _: None,
            )
        )

    return work


def in_child(decoder: Decoder, policy: FilePolicy) -> Work:
    async def work(staged: Path, scratch: Path) -> object:
        return await decoder.process(
            staged, scratch, policy=policy, field="file", deadline_seconds=60
        )

    return work


def cpu_seconds() -> float:
    """Of this process and all below it: only what has ended counts, so it is asked at the end."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


async def measure(work: Work, staged: Path, times: int) -> list[float]:
    """Milliseconds of each time."""
    taken = []
    for _ in range(times):
        with tempfile.TemporaryDirectory() as scratch:
            begun = time.perf_counter()
            await work(staged, Path(scratch))
            taken.append((time.perf_counter() - begun) * 1000)
    return taken


async def measured(way: str, policy: FilePolicy, staged: Path, times: int) -> dict[str, Any]:
    """Milliseconds of wall, each; milliseconds of the processor, on average."""
    if way == IN_PROCESS:
        await measure(in_process(policy), staged, WARM_UP)
        before = cpu_seconds()
        wall = await measure(in_process(policy), staged, times)
        return {"way": way, "wall_ms": wall, "cpu_ms": (cpu_seconds() - before) * 1000 / times}
    # What a zygote used is known once it has ended: two of them differ by what is measured.
    used, wall = [], []
    for count in (WARM_UP, WARM_UP + times):
        before = cpu_seconds()
        async with Decoder(Children(forked=way == "forked")) as decoder:
            wall = (await measure(in_child(decoder, policy), staged, count))[WARM_UP:]
        used.append(cpu_seconds() - before)
    return {"way": way, "wall_ms": wall, "cpu_ms": (used[1] - used[0]) * 1000 / times}


async def run(rounds: int, output: Path) -> None:
    preload()
    with tempfile.TemporaryDirectory() as folder, output.open("w") as lines:
        staged = Path(folder) / "staged"
        for case in CASES:
            staged.write_bytes(case.content)
            ways = [
                await measured(way, case.policy, staged, rounds * times)
                for way, times in ((IN_PROCESS, 20), ("forked", 20), ("fresh", 2))
            ]
            size = len(case.content)
            lines.write(json.dumps({"file": case.title, "bytes": size, "ways": ways}) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    os.environ["VIPS_CONCURRENCY"] = str(THREADS)
    uvloop.run(run(options.rounds, options.output))
