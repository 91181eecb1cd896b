"""`bench waiting`: what requests with `Prefer: wait` cost the api while they wait."""

import argparse
import asyncio
import select
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from dev.bench import figures, machine
from dev.bench.longshore_api import LongshoreApi, create_forms
from dev.bench.memory import resident
from dev.say import Problem, say

WAITING = (200, 1000)
QUICK_WAITING = (20, 100)
SECONDS, QUICK_SECONDS = 10.0, 3.0
"""Measured for so long; a request waits for 20 s, and all have to be there before it begins."""
SETTLE = 3.0
BEGIN_WITHIN = 8.0
QUIET = 10.0
PER_FORM = 4
ADDRESSES = 16
"""Of loopback, that clients come from: each may hold its share only."""
DISK = machine.GIB // 4


async def waiting(options: argparse.Namespace) -> None:
    counts = QUICK_WAITING if options.quick else WAITING
    seconds = QUICK_SECONDS if options.quick else SECONDS
    raw: dict[str, Any] = {"bench": "waiting", "rounds": []}
    with machine.scratch(options.dir, DISK) as folder:
        raw["machine"] = about = machine.describe(folder)
        for number in range(options.rounds):
            for count in counts:
                say(f"round {number + 1}: {count} waiting requests")
                raw["rounds"].append(await _fresh(folder, options.redis, count, seconds))
        _show(raw["rounds"], counts)
        figures.show_machine(about)
    figures.write(options.json, raw)


async def _fresh(folder: Path, redis: str, count: int, seconds: float) -> dict[str, Any]:
    """One measurement of a new process: memory that was used once isn't given back."""
    own = folder / f"{time.monotonic_ns()}"
    own.mkdir()
    api = LongshoreApi(own, redis)
    async with api.run():
        heads = await asyncio.to_thread(_pending, api, -(-count // PER_FORM))
        await _settled(api, heads[0])
        idle_memory, idle_cpu = resident(api.pid, "VmRSS"), await _cpu(api, seconds)
        before = api.cpu_seconds()
        with _waiters(api.port, heads, count):
            await _quiet(api)
            begin = api.cpu_seconds() - before
            cpu = await _cpu(api, seconds)
            memory = resident(api.pid, "VmRSS")
            answer = await _time_of_others(api.port)
    return {
        "waiting": count,
        "idle_cpu": idle_cpu,
        "cpu": cpu,
        "begin_ms": 1000 * begin / count,
        "idle_mib": idle_memory,
        "mib": memory - idle_memory,
        "others_ms": answer,
    }


def _pending(api: LongshoreApi, count: int) -> list[str]:
    """Requests that wait, for forms that nobody changes: what they have is current."""
    return [
        f"GET /v1/forms/{form} HTTP/1.1\r\nHost: lo\r\n{credential}\r\n"
        'Prefer: wait=20\r\nIf-None-Match: "1.1"\r\n\r\n'
        for form, credential in create_forms(api.port, "bench", count)
    ]


async def _settled(api: LongshoreApi, head: str) -> None:
    """Whatever is made once has been made: one request of the kind was answered."""
    await _ask(api.port, head.replace("wait=20", "wait=1"))
    await asyncio.sleep(SETTLE)


async def _quiet(api: LongshoreApi) -> None:
    """All requests have begun to wait. Raises `Problem` when they take too long for a measurement
    before the first of them is answered."""
    until = time.monotonic() + BEGIN_WITHIN
    while await _cpu(api, 0.5) > QUIET:
        if time.monotonic() > until:
            raise Problem("bench: the machine is too busy: the requests took too long to begin")


async def _cpu(api: LongshoreApi, seconds: float) -> float:
    """Per cent of a core."""
    before, began = api.cpu_seconds(), time.monotonic()
    await asyncio.sleep(seconds)
    return 100 * (api.cpu_seconds() - before) / (time.monotonic() - began)


@contextmanager
def _waiters(port: int, heads: Sequence[str], count: int) -> Iterator[None]:
    """All are still waiting when this ends. Raises `Problem` when one isn't."""
    answered = select.poll()
    with ExitStack() as stack:
        for number in range(count):
            source = f"127.0.1.{number % ADDRESSES + 1}"
            opened = socket.create_connection(("127.0.0.1", port), source_address=(source, 0))
            stack.callback(opened.close)
            opened.sendall(heads[number % len(heads)].encode())
            answered.register(opened, select.POLLIN)
        yield
        early = len(answered.poll(0))
        if early:
            raise Problem(f"bench: {early} of {count} did not wait")


async def _time_of_others(port: int) -> float:
    """Milliseconds to the answer for somebody else, the median of some."""
    times = []
    for _ in range(20):
        began = time.perf_counter()
        await _ask(port, "GET /v1/form-types HTTP/1.1\r\nHost: lo\r\n\r\n")
        times.append(1000 * (time.perf_counter() - began))
    return median(times)


async def _ask(port: int, head: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").encode())
    answer = await reader.read()
    writer.close()
    return answer


def _show(rounds: Sequence[dict[str, Any]], counts: Sequence[int]) -> None:
    rows = []
    for count in counts:
        of = [one for one in rounds if one["waiting"] == count]
        rows.append(
            [
                str(count),
                figures.with_spread([one["idle_cpu"] for one in of], 1),
                figures.with_spread([one["cpu"] for one in of], 1),
                figures.with_spread([one["begin_ms"] for one in of], 1),
                figures.with_spread([one["mib"] for one in of], 1),
                figures.with_spread([one["others_ms"] for one in of], 1),
            ]
        )
    columns = [
        "waiting",
        "idle, % of a core",
        "waiting, %",
        "to begin, ms each",
        "MiB above idle",
        "others, ms",
    ]
    figures.show("Requests that wait, each four for one form", columns, rows)
