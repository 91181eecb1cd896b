"""`bench receive`: bytes in, as throughput and as memory."""

import argparse
import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from dev.bench import figures, machine, memory, one_at_a_time, throughput, volume_alone
from dev.bench.load import MIB, Load
from dev.bench.longshore_api import LongshoreApi
from dev.bench.others import NaiveApp, Nginx
from dev.bench.servers import Server, Way
from dev.bench.tus_servers import WHOLE, TusNodeServer, Tuspyserver, TusServer
from dev.say import say

PROMISE = 40
"""MiB above idle that Longshore's api takes at most, however much it receives."""
MEMORY_ROUNDS = 3


@dataclass(frozen=True)
class Sizes:
    throughput: tuple[Load, ...]
    alone: int
    """Files that are sent one at a time."""
    tus: Load
    memory: tuple[Load, ...]

    @property
    def disk(self) -> int:
        """The naive app writes all twice; and a GiB so as not to fill the volume."""
        return 2 * max(load.total_bytes for load in self.throughput + self.memory) + 1024 * MIB


FULL = Sizes(
    (
        Load("One file of 512 MiB", 1, 512 * MIB, 1),
        Load("1000 files of 100 KiB over 16 connections", 1000, 100 * 1024, 16, seconds=8),
    ),
    300,
    Load("One file of 1 GiB by tus", 1, 1024 * MIB, 1),
    (
        Load("one file of 2 GiB", 1, 2048 * MIB, 1),
        Load("50 files of 20 MiB at once", 50, 20 * MIB, 50),
        Load("2000 files of 100 KiB over 200 connections", 2000, 100 * 1024, 200),
    ),
)
QUICK = Sizes(
    (
        Load("One file of 128 MiB", 1, 128 * MIB, 1),
        Load("300 files of 100 KiB over 16 connections", 300, 100 * 1024, 16, seconds=4),
    ),
    40,
    Load("One file of 128 MiB by tus", 1, 128 * MIB, 1),
    (
        Load("one file of 256 MiB", 1, 256 * MIB, 1),
        Load("50 files of 20 MiB at once", 50, 20 * MIB, 50),
        Load("2000 files of 100 KiB over 200 connections", 2000, 100 * 1024, 200),
    ),
)


async def receive(options: argparse.Namespace) -> None:
    """On a database that is named, only what depends on which it is."""
    sizes = QUICK if options.quick else FULL
    with machine.scratch(options.dir, sizes.disk) as folder:
        about = machine.describe(folder)
        raw: dict[str, Any] = {"bench": "receive", "machine": about, "throughput": {}}
        api = LongshoreApi(folder / "api", options.redis, options.database_url)
        async with _all_servers(folder, api) as ways:
            for load in sizes.throughput:
                taken = await throughput.measure(ways, load, options.rounds)
                throughput.show(load, taken)
                raw["throughput"][load.title] = {
                    name: [asdict(one) for one in rounds] for name, rounds in taken.items()
                }
            if not options.database_url:
                turns = await one_at_a_time.measure(api, folder / "alone", sizes.alone)
                one_at_a_time.show(turns)
                raw["alone"] = [asdict(turn) for turn in turns]
        if not options.database_url:
            raw["tus"] = await _tus(folder / "tus", options.redis, sizes.tus, options.rounds)
            rounds = 1 if options.quick else min(MEMORY_ROUNDS, options.rounds)
            raw["memory"] = await _memory(folder, options.redis, sizes.memory, rounds)
        figures.show_machine(about)
    figures.write(options.json, raw)


@asynccontextmanager
async def _all_servers(folder: Path, api: LongshoreApi) -> AsyncIterator[list[Way]]:
    """All of them run throughout; one at a time has something to do."""
    servers: list[Server] = [api, NaiveApp(folder / "naive")]
    if Nginx.is_here():
        servers.append(Nginx(folder / "nginx"))
    else:
        say("there is no nginx on the PATH: its row is left out")
    async with AsyncExitStack() as stack:
        for server in servers:
            await stack.enter_async_context(server.run())
        yield [way for server in servers for way in server.ways()]


async def _tus(folder: Path, redis: str, load: Load, rounds: int) -> dict[str, Any]:
    """In one request and in several, beside others that speak it."""
    ours = LongshoreApi(folder / "api", redis)
    others: list[TusServer] = [Tuspyserver(folder / "tuspyserver")]
    if TusNodeServer.is_here():
        others.append(TusNodeServer(folder / "node"))
    async with AsyncExitStack() as stack:
        for server in (ours, *others):
            await stack.enter_async_context(server.run())
        ways = [*ours.tus_ways(), *(way for other in others for way in other.ways())]
        taken = await throughput.measure(ways, load, rounds)
    for kind in (WHOLE, "in 5 MiB"):
        of_kind = {name: each for name, each in taken.items() if name.endswith(kind)}
        throughput.show(load, of_kind, [name for name in of_kind if "Longshore" not in name])
    alone = await asyncio.to_thread(volume_alone.measure, folder, load)
    volume_alone.show(alone)
    raw = {name: [asdict(one) for one in rounds] for name, rounds in taken.items()}
    return {**raw, "the volume alone, MB/s": alone}


async def _memory(folder: Path, redis: str, loads: Sequence[Load], rounds: int) -> dict[str, Any]:
    servers: dict[str, Callable[[Path], Server]] = {
        "Longshore POST": lambda folder: LongshoreApi(folder, redis),
        "naive": NaiveApp,
    }
    raw: dict[str, Any] = {}
    rows: list[list[str]] = []
    ours: list[float] = []
    for load in loads:
        for name, make in servers.items():
            peaks = []
            for number in range(rounds):
                say(f"memory, {name}, {load.title}: {number + 1} of {rounds}")
                server = make(folder / f"memory-{len(rows)}-{number}")
                async with server.run():  # a process each: what one has taken, it keeps
                    peaks.append(await memory.measure(server.ways()[0], load))
            rows.append([name, *_cells(load, peaks)])
            raw[f"{name}: {load.title}"] = [asdict(peak) for peak in peaks]
            ours += [peak.above_idle for peak in peaks if name.startswith("Longshore")]
    columns = ["", "receiving", "idle, MiB", "above idle, MiB", "as sampled"]
    figures.show("Memory while receiving, above what is held when idle", columns, rows)
    kept = "kept" if max(ours) <= PROMISE else f"NOT KEPT, {max(ours) - PROMISE:.0f} MiB over"
    say(f"\n  Longshore's promise of at most {PROMISE} MiB: {kept} (worst {max(ours):.0f} MiB)")
    return raw


def _cells(load: Load, peaks: Sequence[memory.Peak]) -> list[str]:
    return [
        load.title,
        f"{median(peak.idle for peak in peaks):.0f}",
        figures.with_spread([peak.above_idle for peak in peaks]),
        figures.with_spread([peak.sampled_above_idle for peak in peaks]),
    ]
