"""The volume without a server: a load's bytes written and made durable, as fast as it takes them.
What promises that of each request can't be faster."""

import ctypes
import os
import time
from pathlib import Path

from dev.bench import figures
from dev.bench.load import MIB, Load, piece
from dev.bench.tus_servers import CHUNK, whole_chunks
from dev.say import Problem, say

TURNS = 5
_BEGIN = 2
"""SYNC_FILE_RANGE_WRITE, as the api has it."""


def measure(folder: Path, load: Load) -> dict[str, list[float]]:
    """MB/s of each turn: durable at the end, and durable after every chunk. Blocks."""
    ways = {"made durable once": whole_chunks(load), "made durable every 5 MiB": CHUNK}
    return {
        name: [_turn(folder / "alone", whole_chunks(load), every) for _ in range(TURNS)]
        for name, every in ways.items()
    }


def show(taken: dict[str, list[float]]) -> None:
    for name, speeds in taken.items():
        say(f"  the volume alone, {name}: {figures.with_spread(speeds)} MB/s")


def _turn(path: Path, size: int, every: int) -> float:
    begin, content = ctypes.CDLL(None).sync_file_range, memoryview(piece())[:MIB]
    with path.open("xb", buffering=0) as file:
        began = time.perf_counter()
        for at in range(0, size, MIB):
            if file.write(content) != MIB:
                raise Problem("bench: the volume is full")
            begin(file.fileno(), ctypes.c_int64(at), ctypes.c_int64(MIB), _BEGIN)
            if (at + MIB) % every == 0:
                os.fsync(file.fileno())
        os.fsync(file.fileno())
        seconds = time.perf_counter() - began
    path.unlink()
    return size / 1e6 / seconds
