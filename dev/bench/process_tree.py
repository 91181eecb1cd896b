"""What a process costs, and all that it started, from Linux's /proc."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
_UTIME, _STIME, _CUTIME, _CSTIME = 11, 12, 13, 14  # fields of stat, counted behind the name
_GONE = (FileNotFoundError, ProcessLookupError)


def children(pid: int) -> list[int]:
    """The living ones, whichever of its threads started them."""
    found: list[int] = []
    with suppress(*_GONE):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    return found


def descendants(pid: int) -> Iterator[int]:
    """Children before their own children."""
    for child in children(pid):
        yield child
        yield from descendants(child)


def cpu_seconds(pid: int) -> float:
    """Of the process alone; in steps of a clock tick, mostly 10 ms."""
    return _ticks(pid, _UTIME, _STIME) / TICKS


def cpu_seconds_below(pid: int) -> float:
    """Of all that the process started, and of what that started in turn: of the living what they
    have spent, of the ended what whoever waited for them was told. Never falls."""
    ended = _ticks(pid, _CUTIME, _CSTIME)
    living = sum(_ticks(each, _UTIME, _STIME, _CUTIME, _CSTIME) for each in descendants(pid))
    return (ended + living) / TICKS


def _ticks(pid: int, *fields: int) -> int:
    """0 for a process that has ended."""
    with suppress(*_GONE):
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(int(after_name[field]) for field in fields)
    return 0
