"""How fast servers take a load: rounds of shuffled order, then a table."""

import asyncio
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from dev.bench import figures
from dev.bench.load import MIB, Load, Result, send, sha256_of
from dev.bench.longshore_api import LongshoreApi
from dev.bench.servers import Way
from dev.say import Problem, say

COMPARED_WITH = {
    "naive app": "× naive",
    "naive app, durable": "× naive durable",
    "nginx, WebDAV PUT": "× nginx",
}


@dataclass(frozen=True)
class Round:
    megabytes_per_second: float
    requests_per_second: float
    server_cpu_seconds: float
    client_busy: float
    """Share of the time in which the client had a processor: near to 1, it was the limit."""


async def measure(ways: Sequence[Way], load: Load, rounds: int) -> dict[str, list[Round]]:
    for way in ways:  # warms its memory, and shows that what arrives is what was sent
        result, _ = await _once(way, load)
        if isinstance(way.server, LongshoreApi):
            _check_digest(result, load)
    taken: dict[str, list[Round]] = {way.name: [] for way in ways}
    for number in range(rounds):
        say(f"{load.title}: round {number + 1} of {rounds}")
        for way in random.sample(ways, len(ways)):
            taken[way.name].append((await _once(way, load))[1])
    return taken


async def _once(way: Way, load: Load) -> tuple[Result, Round]:
    job = await way.job(load)
    before = way.server.cpu_seconds()
    result = await send(job)
    spent = way.server.cpu_seconds() - before
    await asyncio.to_thread(way.server.clear)
    return result, Round(
        megabytes_per_second=load.total_bytes / 1e6 / result.seconds,
        requests_per_second=load.count / result.seconds,
        server_cpu_seconds=spent,
        client_busy=result.cpu_seconds / result.seconds,
    )


def _check_digest(result: Result, load: Load) -> None:
    said = json.loads(result.first_answer).get("sha256")
    if said != sha256_of(load.body_bytes):
        raise Problem(f"bench: Longshore says sha256 {said}, which is not of the bytes sent")


def show(load: Load, taken: Mapping[str, Sequence[Round]]) -> None:
    """One large file as megabytes, many small ones as requests."""
    many = load.count > 1
    unit, per = (
        ("1000 files", 1000 / load.count) if many else ("GiB", 1024 * MIB / load.total_bytes)
    )
    speeds = {
        name: [r.requests_per_second if many else r.megabytes_per_second for r in rounds]
        for name, rounds in taken.items()
    }
    others = [name for name in COMPARED_WITH if name in taken]
    rows = [
        [
            name,
            figures.with_spread(speeds[name]),
            *(figures.with_spread(figures.ratios(speeds[name], speeds[o]), 2) for o in others),
            f"{median(r.server_cpu_seconds for r in rounds) * per:.2f}",
            f"{median(r.client_busy for r in rounds):.0%}",
        ]
        for name, rounds in taken.items()
    ]
    beside = [COMPARED_WITH[name] for name in others]
    columns = ["", "req/s" if many else "MB/s", *beside, f"CPU s/{unit}", "client busy"]
    figures.show(load.title, columns, rows)
