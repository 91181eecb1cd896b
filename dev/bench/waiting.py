"""`bench waiting`: what requests with `Prefer: wait`, and streams of events, cost the api while
nothing happens."""

import argparse
import asyncio
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

from dev.bench import figures, machine
from dev.bench.longshore_api import LongshoreApi, create_forms
from dev.bench.memory import resident
from dev.say import Problem, say

WAITING = (200, 1000)
QUICK_WAITING = (20, 100)
SETTLE = 3.0
QUIET = 10.0
ADDRESSES = 16
"""Of loopback, that clients come from: each may hold its share only."""
DISK = machine.GIB // 4


@dataclass(frozen=True)
class Kind:
    """Of requests that stay open."""

    name: str
    path: str
    headers: str
    per_form: int
    seconds: float
    """Measured for so long: of the 20 s that a request waits, once all are there, or two heartbeats
    of a stream."""
    quick_seconds: float
    metric: str
    """How many are open, as the api tells."""
    begin_within: float
    """Seconds for all to be there: none may have been answered before the measurement ends."""

    def head(self, form: str, credential: str) -> str:
        path = self.path.format(form=form)
        return f"GET {path} HTTP/1.1\r\nHost: lo\r\n{credential}\r\n{self.headers}\r\n"

    def is_open(self, answer: bytes) -> bool:
        """Whether what came until now was not all."""
        if self is WAIT:
            return not answer
        return b"event: form" in answer and not answer.endswith(b"\r\n0\r\n\r\n")


WAIT = Kind(
    "wait=20",
    "/v1/forms/{form}",
    'Prefer: wait=20\r\nIf-None-Match: "1.1"\r\n',
    4,
    10.0,
    3.0,
    "longshore_waiting_requests",
    8.0,
)
STREAM = Kind(
    "events", "/v1/forms/{form}/events", "", 4, 30.0, 15.0, "longshore_event_streams", 120.0
)
LONELY = Kind(
    "events, a form each",
    "/v1/forms/{form}/events",
    "",
    1,
    30.0,
    15.0,
    "longshore_event_streams",
    120.0,
)
KINDS = (WAIT, STREAM, LONELY)


async def waiting(options: argparse.Namespace) -> None:
    counts = QUICK_WAITING if options.quick else WAITING
    raw: dict[str, Any] = {"bench": "waiting", "rounds": []}
    with machine.scratch(options.dir, DISK) as folder:
        raw["machine"] = about = machine.describe(folder)
        for number in range(options.rounds):
            for kind, count in product(KINDS, counts):
                say(f"round {number + 1}: {count} × {kind.name}")
                seconds = kind.quick_seconds if options.quick else kind.seconds
                raw["rounds"].append(await _fresh(folder, options.redis, kind, count, seconds))
        _show(raw["rounds"], counts)
        figures.show_machine(about)
    figures.write(options.json, raw)


async def _fresh(
    folder: Path, redis: str, kind: Kind, count: int, seconds: float
) -> dict[str, Any]:
    """One measurement of a new process: memory that was used once isn't given back."""
    own = folder / f"{time.monotonic_ns()}"
    own.mkdir()
    api = LongshoreApi(own, redis)
    async with api.run():
        forms = await asyncio.to_thread(create_forms, api.port, "bench", -(-count // kind.per_form))
        heads = [kind.head(*each) for each in forms]
        await asyncio.to_thread(_settle, api, heads[0])
        idle_memory, idle_cpu = resident(api.pid, "VmRSS"), await _cpu(api, seconds)
        before = api.cpu_seconds()
        with _open(api.port, kind, heads, count):
            await _all_there(api, kind, count)
            begin = api.cpu_seconds() - before
            cpu = await _cpu(api, seconds)
            memory = resident(api.pid, "VmRSS")
            answer = await _time_of_others(api.port)
    return {
        "kind": kind.name,
        "waiting": count,
        "idle_cpu": idle_cpu,
        "cpu": cpu,
        "begin_ms": 1000 * begin / count,
        "idle_mib": idle_memory,
        "mib": memory - idle_memory,
        "others_ms": answer,
    }


def _settle(api: LongshoreApi, head: str) -> None:
    """Whatever is made once has been made: one request of the kind was there for a while."""
    with socket.create_connection(("127.0.0.1", api.port)) as first:
        first.sendall(head.encode())
        api.metric("longshore_event_streams")
        time.sleep(SETTLE)
    time.sleep(SETTLE)


async def _all_there(api: LongshoreApi, kind: Kind, count: int) -> None:
    """All requests are there and wait. Raises `Problem` when that takes too long."""
    until = time.monotonic() + kind.begin_within
    while await asyncio.to_thread(api.metric, kind.metric) < count or await _cpu(api, 0.5) > QUIET:
        if time.monotonic() > until:
            raise Problem("bench: the machine is too busy: the requests took too long to begin")


async def _cpu(api: LongshoreApi, seconds: float) -> float:
    """Per cent of a core."""
    before, began = api.cpu_seconds(), time.monotonic()
    await asyncio.sleep(seconds)
    return 100 * (api.cpu_seconds() - before) / (time.monotonic() - began)


@contextmanager
def _open(port: int, kind: Kind, heads: Sequence[str], count: int) -> Iterator[None]:
    """All are still open when this ends. Raises `Problem` when one isn't."""
    connections = []
    with ExitStack() as stack:
        for number in range(count):
            source = f"127.0.1.{number % ADDRESSES + 1}"
            opened = socket.create_connection(("127.0.0.1", port), source_address=(source, 0))
            stack.callback(opened.close)
            opened.sendall(heads[number % len(heads)].encode())
            connections.append(opened)
        yield
        early = sum(not kind.is_open(_come(each)) for each in connections)
        if early:
            raise Problem(f"bench: {early} of {count} did not stay open")


def _come(connection: socket.socket) -> bytes:
    """What came until now; the little that a stream is told waits in the kernel's buffers."""
    connection.settimeout(0)
    try:
        return connection.recv(1024 * 1024)
    except BlockingIOError:
        return b""


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
    for kind, count in product(KINDS, counts):
        of = [one for one in rounds if (one["kind"], one["waiting"]) == (kind.name, count)]
        rows.append(
            [
                f"{count} × {kind.name}",
                figures.with_spread([one["idle_cpu"] for one in of], 1),
                figures.with_spread([one["cpu"] for one in of], 1),
                figures.with_spread([one["begin_ms"] for one in of], 1),
                figures.with_spread([one["mib"] for one in of], 1),
                figures.with_spread([one["others_ms"] for one in of], 1),
            ]
        )
    columns = [
        "open",
        "idle, % of a core",
        "while open, %",
        "to begin, ms each",
        "MiB above idle",
        "others, ms",
    ]
    figures.show(
        "Requests that stay open, four for each form where nothing else is said", columns, rows
    )
