"""`bench sections`: how long a person waits for the next section, photo and all; at the api, and
in a browser where there is one."""

import argparse
import asyncio
import http.client
import json
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from dev import answers
from dev.bench import figures, in_browser, machine, photo
from dev.bench.distant_stack import distant_stack
from dev.bench.load import BOUNDARY, MIB
from dev.bench.longshore_api import create_forms
from dev.bench.servers import running, wait_until
from dev.ports import free_port
from dev.say import Problem, say

ROUND_TRIP = 0.080
"""Seconds to the object store and back: another region, or a home server and a cloud."""
BROWSED = 5
"""Rounds in a browser: on its line one of the synchronous way takes ten seconds."""
PATIENCE = 60.0
STORED_WITHIN = 120.0
LONGSHORE = "Longshore"
SYNCHRONOUS = {
    "pyvips, puts at once": "/sections/pyvips/at-once",
    "Pillow, puts at once": "/sections/pillow/at-once",
    "Pillow, one put after the other": "/sections/pillow/in-turn",
}


@dataclass(frozen=True)
class Waited:
    """Seconds from the first byte sent."""

    answer: float
    stored: float
    """Until everything is in the bucket and the record says so."""


async def sections(options: argparse.Namespace) -> None:
    with machine.scratch(options.dir, 1024 * MIB) as folder:
        about = machine.describe(folder)
        taken, size, browsed = await _measure(folder, options.redis, options.rounds)
        _show(taken, size)
        if browsed:
            _show_browsed(browsed)
        figures.show_machine(about)
    rounds = {name: [asdict(one) for one in waits] for name, waits in taken.items()}
    raw = {"bench": "sections", "machine": about, "waits": rounds, "in_browser": browsed}
    figures.write(options.json, raw)


async def _measure(
    folder: Path, redis: str, rounds: int
) -> tuple[dict[str, list[Waited]], int, dict[str, list[float]]]:
    section = _section(await asyncio.to_thread(photo.take))
    names = [LONGSHORE, *SYNCHRONOUS]
    taken: dict[str, list[Waited]] = {name: [] for name in names}
    port = free_port()
    command = [sys.executable, "-m", "dev.bench.synchronous_app", str(port)]
    async with distant_stack(folder / "stack", redis, ROUND_TRIP) as (stack, far):
        store = {f"S3_{name.upper()}": value for name, value in stack["s3"].items()}
        env = store | {"S3_ENDPOINT_URL": far}
        async with running(command, env, folder / "synchronous.log") as process:
            await wait_until(lambda: answers.http_ok(port, "/readyz"), process, command)
            for number in range(rounds + 1):
                for name in random.sample(names, len(names)):
                    if name == LONGSHORE:
                        waited = await asyncio.to_thread(_longshore, stack["url"], section)
                    else:
                        path = SYNCHRONOUS[name]
                        waited = await asyncio.to_thread(_synchronous, port, path, section)
                    if number:  # the first is to warm up
                        taken[name].append(waited)
                if (number and number % 10 == 0) or number == rounds:
                    say(f"round {number} of {rounds}")
            browsed = await _browse(stack["url"], port, min(rounds, BROWSED))
    return taken, len(section), browsed


async def _browse(url: str, port: int, rounds: int) -> dict[str, list[float]]:
    """Seconds in a browser, by who is asked; nothing where there is no browser."""
    if in_browser.chromium() is None:
        return {}
    pages = {LONGSHORE: url} | {
        name: f"http://127.0.0.1:{port}{path.removeprefix('/sections')}"
        for name, path in SYNCHRONOUS.items()
    }
    taken: dict[str, list[float]] = {name: [] for name in pages}
    async with in_browser.photo_file() as portrait, in_browser.open_browser() as browser:
        for number in range(rounds + 1):
            for name in random.sample(list(pages), len(pages)):
                waited = await in_browser.seconds_to_next_section(browser, pages[name], portrait)
                if number:  # the first is to warm up
                    taken[name].append(waited)
            say(f"in a browser: round {number} of {rounds}")
    return taken


def _longshore(url: str, section: bytes) -> Waited:
    port = int(url.rpartition(":")[2])
    [(form, credential)] = create_forms(port, "therapist_signup", 1)
    headers = dict([credential.split(": ", 1)])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.connect()
    began = time.perf_counter()
    status, saved = _ask(connection, "PATCH", f"/v1/forms/{form}", section, headers)
    answered = time.perf_counter()
    upload = saved["uploads"]["headshot"][0] if status == http.client.ACCEPTED else saved
    waiting = headers | {"Prefer": "wait=20"}
    while upload.get("status") in {"staged", "processing"}:
        if time.perf_counter() - began > STORED_WITHIN:
            break
        _, upload = _ask(connection, "GET", f"/v1/uploads/{upload['id']}", b"", waiting)
    stored = time.perf_counter()
    connection.close()
    if upload.get("status") != "stored":
        raise Problem(f"bench: Longshore has not stored the photo: {upload}")
    return Waited(answered - began, stored - began)


def _synchronous(port: int, path: str, section: bytes) -> Waited:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.connect()
    began = time.perf_counter()
    status, saved = _ask(connection, "PATCH", path, section, {})
    seconds = time.perf_counter() - began
    connection.close()
    if status != http.client.OK:
        raise Problem(f"bench: the synchronous app answered {status}: {saved}")
    return Waited(seconds, seconds)


def _ask(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: bytes,
    headers: dict[str, str],
) -> tuple[int, dict[str, Any]]:
    kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"} if body else {}
    connection.request(method, path, body or None, headers | kind)
    answer = connection.getresponse()
    content = answer.read()
    try:
        said: dict[str, Any] = json.loads(content)
    except ValueError:
        said = {"body": content.decode(errors="replace")}
    return answer.status, said


def _section(jpeg: bytes) -> bytes:
    """The section "about you" as a browser sends it."""
    part = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{{}}"'.encode()
    text = {"full_name": "Ada Lovelace", "email": "ada@example.org"}
    parts = [
        part.replace(b"{}", name.encode()) + b"\r\n\r\n" + value.encode()
        for name, value in text.items()
    ]
    head = part.replace(b"{}", b"headshot") + b'; filename="me.jpg"\r\nContent-Type: image/jpeg'
    parts.append(head + b"\r\n\r\n" + jpeg)
    return b"\r\n".join([*parts, f"--{BOUNDARY}--\r\n".encode()])


def _show(taken: dict[str, list[Waited]], size: int) -> None:
    ours = [waited.answer for waited in taken[LONGSHORE]]
    rows = [_row(name, waits, ours) for name, waits in taken.items()]
    title = (
        f"Waiting for the next section: text and a 12-megapixel photo ({size / 1e6:.1f} MB),"
        f" the store {ROUND_TRIP * 1000:.0f} ms away; {len(ours)} rounds"
    )
    columns = ["", "median, ms", "p95, ms", "× Longshore's", "until stored, ms", "p95, ms"]
    figures.show(title, columns, rows)


def _show_browsed(taken: dict[str, list[float]]) -> None:
    ours = taken[LONGSHORE]
    rows = [
        [
            name,
            f"{median(waits) * 1000:.0f}",
            f"{max(waits) * 1000:.0f}",
            f"{median(figures.ratios(waits, ours)):.1f}",
        ]
        for name, waits in taken.items()
    ]
    title = (
        f"In a browser on {in_browser.BITS_PER_SECOND / 1e6:.0f} Mbit/s, a photo of 10 MB: from"
        f" pressing Next to typing in the next section; {len(ours)} rounds"
    )
    figures.show(title, ["", "median, ms", "longest, ms", "× Longshore's"], rows)


def _row(name: str, waits: Sequence[Waited], ours: Sequence[float]) -> list[str]:
    answer = [waited.answer * 1000 for waited in waits]
    stored = [waited.stored * 1000 for waited in waits]
    ratio = median(figures.ratios([waited.answer for waited in waits], ours))
    return [
        name,
        f"{median(answer):.0f}",
        f"{figures.percentile(answer, 0.95):.0f}",
        f"{ratio:.1f}",
        f"{median(stored):.0f}",
        f"{figures.percentile(stored, 0.95):.0f}",
    ]
