"""`bench poll`: what it costs that clients ask again for what hasn't changed."""

import argparse
import asyncio
import http.client
import json
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from dev.bench import figures, machine
from dev.bench.load import Job, send
from dev.bench.longshore_api import UPLOADS_A_FORM, LongshoreApi, create_forms
from dev.bench.others import BareRoute
from dev.bench.servers import Server
from dev.bench.throughput import BUSY
from dev.say import Problem, say

CLIENTS = 16
REQUESTS, QUICK_REQUESTS = 4000, 800
"""Of one turn."""
SECONDS = 10.0
"""After which a turn begins no further request."""
DISK = machine.GIB // 4
OK, NOT_MODIFIED, ACCEPTED = 200, 304, 202


@dataclass(frozen=True)
class Polled:
    """What is asked for, and what the api answers as long as it doesn't change."""

    path: str
    credential: str
    etag: str
    body: str


@dataclass(frozen=True)
class Way:
    """A row of the table: one kind of request to one server."""

    name: str
    server: Server
    polled: Sequence[Polled]
    status: int
    beside: str
    """The row that it is held against."""

    def job(self, requests: int) -> Job:
        heads = [self._head(self.polled[n % len(self.polled)]) for n in range(requests)]
        return Job(self.server.port, heads, 0, "", self.status, CLIENTS, SECONDS)

    def _head(self, one: Polled) -> str:
        lines = [f"GET {one.path} HTTP/1.1", "Host: 127.0.0.1", one.credential]
        if self.status == NOT_MODIFIED:
            lines.append(f"If-None-Match: {one.etag}")
        return "\r\n".join(lines) + "\r\n\r\n"


@dataclass(frozen=True)
class Turn:
    requests_per_second: float
    server_cpu_ms: float
    """Of one request."""
    client_busy: float


async def poll(options: argparse.Namespace) -> None:
    requests = QUICK_REQUESTS if options.quick else REQUESTS
    with machine.scratch(options.dir, DISK) as folder:
        about = machine.describe(folder)
        async with _servers(folder, options) as ways:
            turns: dict[str, list[Turn]] = {way.name: [] for way in ways}
            for way in ways:
                await send(way.job(requests // 4))
            for number in range(options.rounds):
                say(f"round {number + 1} of {options.rounds}")
                for way in random.sample(ways, len(ways)):
                    turns[way.name].append(await _turn(way, requests))
        _show(ways, turns)
        figures.show_machine(about)
    taken = {name: [asdict(turn) for turn in each] for name, each in turns.items()}
    figures.write(options.json, {"bench": "poll", "machine": about, "turns": taken})


@asynccontextmanager
async def _servers(folder: Path, options: argparse.Namespace) -> AsyncIterator[list[Way]]:
    """Both run throughout; one at a time has something to do."""
    api = LongshoreApi(folder / "api", options.redis, options.database_url)
    async with api.run():
        forms, uploads = await asyncio.to_thread(_begin, api.port)
        bare = BareRoute(folder / "bare", {each.path: each.body for each in [*forms, *uploads]})
        async with bare.run():
            yield [
                Way("bare, upload", bare, uploads, OK, "bare, upload"),
                Way("upload, 200", api, uploads, OK, "bare, upload"),
                Way("upload, 304", api, uploads, NOT_MODIFIED, "bare, upload"),
                Way("bare, form", bare, forms, OK, "bare, form"),
                Way("form, 200", api, forms, OK, "bare, form"),
                Way("form, 304", api, forms, NOT_MODIFIED, "bare, form"),
            ]


def _begin(port: int) -> tuple[list[Polled], list[Polled]]:
    """Forms, a client's each, and the uploads in them: acknowledged, and with no worker there to
    change them."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    forms, uploads = [], []
    for form, credential in create_forms(port, "bench", CLIENTS):
        path = f"/v1/forms/{form}"
        for number in range(UPLOADS_A_FORM):
            target = f"{path}/fields/bulk/uploads/{number}"
            sent = _ask(connection, "PUT", target, credential, ACCEPTED)
            uploads.append(
                _read(connection, f"/v1/uploads/{json.loads(sent[1])['id']}", credential)
            )
        forms.append(_read(connection, path, credential))
    connection.close()
    return forms, uploads


def _read(connection: http.client.HTTPConnection, path: str, credential: str) -> Polled:
    etag, body = _ask(connection, "GET", path, credential, OK)
    return Polled(path, credential, etag, body)


def _ask(
    connection: http.client.HTTPConnection, method: str, path: str, credential: str, status: int
) -> tuple[str, str]:
    """The ETag and the body of the answer."""
    name, _, value = credential.partition(": ")
    body = b"%PDF-1.7" if method == "PUT" else None
    connection.request(method, path, body, {name: value})
    answer = connection.getresponse()
    text = answer.read().decode()
    if answer.status != status:
        raise Problem(f"bench: {method} {path}: {answer.status} {text}")
    return answer.headers["ETag"], text


async def _turn(way: Way, requests: int) -> Turn:
    before = way.server.cpu_seconds()
    result = await send(way.job(requests))
    spent = way.server.cpu_seconds() - before
    if way.status == OK and result.first_answer not in {each.body for each in way.polled}:
        raise Problem(f"bench: {way.name} says {result.first_answer}, which nobody is to say")
    return Turn(
        requests_per_second=result.files / result.seconds,
        server_cpu_ms=1000 * spent / result.files,
        client_busy=result.cpu_seconds / result.seconds,
    )


def _show(ways: Sequence[Way], turns: dict[str, list[Turn]]) -> None:
    speeds = {name: [turn.requests_per_second for turn in each] for name, each in turns.items()}
    rows = [
        [
            way.name,
            figures.with_spread(speeds[way.name]),
            figures.with_spread(figures.ratios(speeds[way.name], speeds[way.beside]), 2),
            figures.with_spread([turn.server_cpu_ms for turn in turns[way.name]], 2),
        ]
        for way in ways
    ]
    columns = ["", "requests/s", "× bare", "CPU, ms each"]
    figures.show(f"{CLIENTS} clients ask again and again, nothing changes", columns, rows)
    for name, each in turns.items():
        busy = median(turn.client_busy for turn in each)
        if busy > BUSY:
            say(f"  {name}: the client was busy {busy:.0%} of the time, and may be the limit")
