"""How fast servers take a load: rounds of shuffled order, then a table."""

import asyncio
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from dev.bench import figures
from dev.bench.load import MIB, Job, Load, Result, send, sha256_of
from dev.bench.longshore_api import LongshoreApi
from dev.bench.others import NAIVE, NAIVE_ALIKE, NGINX
from dev.bench.servers import Way
from dev.say import Problem, say

COMPARED_WITH = (NAIVE, NAIVE_ALIKE, NGINX)
GIB = 1024 * MIB
BUSY = 0.85
WARM_UP = 10
"""A warm-up is this much less than the load."""


@dataclass(frozen=True)
class Round:
    files: int
    """Or requests, where a file comes in several."""
    bytes: int
    megabytes_per_second: float
    requests_per_second: float
    server_cpu_seconds: float
    client_busy: float
    """Share of the time in which the client had a processor: near to 1, it was the limit."""


async def measure(ways: Sequence[Way], load: Load, rounds: int) -> dict[str, list[Round]]:
    for way in ways:
        await _once(way, _smaller(load))
    taken: dict[str, list[Round]] = {way.name: [] for way in ways}
    for number in range(rounds):
        say(f"{load.title}: round {number + 1} of {rounds}")
        for way in random.sample(ways, len(ways)):
            taken[way.name].append(await _once(way, load))
    return taken


def _smaller(load: Load) -> Load:
    if load.count > 1:
        return replace(load, count=max(load.connections, load.count // WARM_UP))
    return replace(load, body_bytes=load.body_bytes // WARM_UP)


async def _once(way: Way, load: Load) -> Round:
    job = await way.job(load)
    before = way.server.cpu_seconds()
    result = await send(job)
    spent = way.server.cpu_seconds() - before
    await asyncio.to_thread(way.server.clear)
    await _check_digest(way, result, job)
    received = result.files * job.body_bytes
    return Round(
        files=result.files,
        bytes=received,
        megabytes_per_second=received / 1e6 / result.seconds,
        requests_per_second=result.files / result.seconds,
        server_cpu_seconds=spent,
        client_busy=result.cpu_seconds / result.seconds,
    )


async def _check_digest(way: Way, result: Result, job: Job) -> None:
    """Where the answer says what arrived, it is what was sent."""
    said = json.loads(result.first_answer or "{}").get("sha256")
    sent = sha256_of(job.body_bytes)
    if way.digest:
        said, sent = await way.digest(), sha256_of(job.body_bytes, len(job.heads))
    if said != sent and (said or isinstance(way.server, LongshoreApi)):
        raise Problem(f"bench: {way.name} says sha256 {said}, which is not of the bytes sent")


def show(
    load: Load,
    taken: Mapping[str, Sequence[Round]],
    compared_with: Sequence[str] = COMPARED_WITH,
) -> None:
    """One large file as megabytes, many small ones as requests."""
    many = load.count > 1
    unit = "1000 files" if many else "GiB"
    speeds = {
        name: [r.requests_per_second if many else r.megabytes_per_second for r in rounds]
        for name, rounds in taken.items()
    }
    others = [name for name in compared_with if name in taken]
    rows = [
        [
            name,
            figures.with_spread(speeds[name]),
            *(figures.with_spread(figures.ratios(speeds[name], speeds[o]), 2) for o in others),
            f"{median(_cpu(r, many=many) for r in rounds):.2f}",
        ]
        for name, rounds in taken.items()
    ]
    columns = ["", "req/s" if many else "MB/s", *(f"× {name}" for name in others), f"CPU s/{unit}"]
    figures.show(load.title, columns, rows)
    for name, rounds in taken.items():
        busy = median(r.client_busy for r in rounds)
        if busy > BUSY:
            say(f"  {name}: the client was busy {busy:.0%} of the time, and may be the limit")


def _cpu(taken: Round, *, many: bool) -> float:
    """Seconds of the server's for a thousand files, or a GiB."""
    return taken.server_cpu_seconds / (taken.files / 1000 if many else taken.bytes / GIB)
