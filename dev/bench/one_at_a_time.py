"""One small file at a time, to an api that has nothing else to do: how long until it is
acknowledged, beside the bare steps that an acknowledgement promises."""

import asyncio
import http.client
import os
import random
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from dev.bench import figures
from dev.bench.load import piece
from dev.bench.longshore_api import UPLOADS_A_FORM, LongshoreApi, create_forms
from dev.say import Problem, say

BODY = 100 * 1024
WITHIN_BARE = 2.0
PAUSE = 0.05
"""Seconds at most between one and the next: a random part of it, so that none keeps step with
anything."""
WARM_UP = 5
ACCEPTED = 202


@dataclass(frozen=True)
class Turn:
    """Seconds from the first byte sent, or the first step, until all is durable and said."""

    acknowledged: float
    bare: float


async def measure(api: LongshoreApi, folder: Path, count: int) -> list[Turn]:
    """In turns with the bare steps, in `folder` on the same volume."""
    return await asyncio.to_thread(_measure, api, folder, count)


def show(turns: Sequence[Turn]) -> None:
    ratio = [turn.acknowledged / turn.bare for turn in turns]
    rows = [
        [name, *(f"{1000 * figures.percentile(each, share):.2f}" for share in (0.5, 0.95))]
        for name, each in (
            ("acknowledged", [turn.acknowledged for turn in turns]),
            ("bare: fsync, rename, fsync, commit", [turn.bare for turn in turns]),
        )
    ]
    figures.show(
        f"One file of 100 KiB at a time, {len(turns)} times", ["", "p50, ms", "p95, ms"], rows
    )
    kept = "kept" if (p50 := median(ratio)) <= WITHIN_BARE else "NOT KEPT"
    say(f"\n  Goal, within {WITHIN_BARE:g} × the bare steps: {kept} ({p50:.1f} ×)")


def _measure(api: LongshoreApi, folder: Path, count: int) -> list[Turn]:
    forms = create_forms(api.port, "bench", -(-(count + WARM_UP) // UPLOADS_A_FORM))
    connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=30)
    body, turns = piece()[:BODY], []
    with _bare(folder) as bare:
        for number in range(count + WARM_UP):
            form, credential = forms[number // UPLOADS_A_FORM]
            time.sleep(random.uniform(0, PAUSE))  # noqa: S311 - no secret
            acknowledged = _put(connection, form, number, credential, body)
            time.sleep(random.uniform(0, PAUSE))  # noqa: S311 - no secret
            turns.append(Turn(acknowledged, bare.take(body)))
    connection.close()
    return turns[WARM_UP:]


def _put(
    connection: http.client.HTTPConnection, form: str, number: int, credential: str, body: bytes
) -> float:
    name, _, value = credential.partition(": ")
    path = f"/v1/forms/{form}/fields/bulk/uploads/alone-{number}"
    began = time.perf_counter()
    connection.request("PUT", path, body, {name: value, "Content-Type": "application/pdf"})
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != ACCEPTED:
        raise Problem(f"bench: a file was not taken: {answer.status} {text.decode()}")
    return time.perf_counter() - began


class _Bare:
    """What has to have happened before an acknowledgement, as bare calls in one thread."""

    def __init__(self, folder: Path, database: sqlite3.Connection) -> None:
        self._incoming, self._staged = folder / "incoming", folder / "staged"
        self._database = database
        for made in (self._incoming, self._staged):
            made.mkdir(parents=True)
        database.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
        database.execute("CREATE TABLE uploads (id TEXT PRIMARY KEY, size INTEGER)")
        self._number = 0

    def take(self, body: bytes) -> float:
        self._number += 1
        name = str(self._number)
        began = time.perf_counter()
        with (self._incoming / name).open("wb", buffering=0) as file:
            file.write(body)
            os.fsync(file.fileno())
        (self._incoming / name).rename(self._staged / name)
        folder = os.open(self._staged, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
        self._database.execute("INSERT INTO uploads VALUES (?, ?)", (name, len(body)))
        self._database.commit()
        return time.perf_counter() - began


@contextmanager
def _bare(folder: Path) -> Iterator[_Bare]:
    folder.mkdir(parents=True)
    database = sqlite3.connect(folder / "bare.db")
    try:
        yield _Bare(folder, database)
    finally:
        database.close()
