"""What receiving costs a server in memory, above what it holds when idle."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dev.bench.load import MIB, Load, send
from dev.bench.servers import Way

WARM_UP = Load("a warm-up", 1, 16 * MIB, 1)
SETTLE = 1.0
SAMPLE_EVERY = 0.01


@dataclass(frozen=True)
class Peak:
    """Resident memory in MiB."""

    idle: float
    above_idle: float
    sampled_above_idle: float
    """The highest of many looks; the kernel's own high-water mark can't be lower by much."""


async def measure(way: Way, load: Load) -> Peak:
    """For a process that had one upload before."""
    server = way.server
    await send(await way.job(WARM_UP))
    await asyncio.to_thread(server.clear)
    job = await way.job(load)
    await asyncio.sleep(SETTLE)
    idle = resident(server.pid, "VmRSS")
    _reset_high_water(server.pid)
    samples = [idle]
    sampling = asyncio.create_task(_sample(server.pid, samples))
    await send(job)
    sampling.cancel()
    with suppress(asyncio.CancelledError):
        await sampling
    peak = resident(server.pid, "VmHWM")
    await asyncio.to_thread(server.clear)
    return Peak(idle, peak - idle, max(samples) - idle)


async def _sample(pid: int, samples: list[float]) -> None:
    while True:
        samples.append(resident(pid, "VmRSS"))
        await asyncio.sleep(SAMPLE_EVERY)


def resident(pid: int | str, which: str) -> float:
    """MiB; `which` is a line of /proc/PID/status, such as VmRSS; `pid` may be "self"."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{which}:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"/proc/{pid}/status has no {which}")


def _reset_high_water(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")
