"""The children's logs: all of it into files, and what a person wants to see onto the screen.

The children write to the files themselves and these are read as they grow: a screen that stands
still, or an `up` that was killed, holds up nobody's logging.
"""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROTATE_ABOVE = 10 * 1024 * 1024
LONGEST = 200

# Trouble in what is no JSON line: the object store's and Redis' own words. Their warnings are no
# news: Redis' at every start are of the system's settings, the store's of what callers do wrong.
TROUBLE = (
    re.compile(r"^[EF]\d{4} [\d:.]+ \S+ (.*)"),
    re.compile(r" # (?!WARNING)(.*(?:error|fail|can't|no space).*)", re.IGNORECASE),
)


class LogFile:
    """One child's log, read from where it stood when the stack started."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.exists() and path.stat().st_size > ROTATE_ABOVE:
            path.replace(path.with_suffix(".log.1"))
        path.touch()
        self._file = path.open("rb")
        self._start = self._file.seek(0, 2)
        self._rest = b""

    def new_lines(self) -> list[str]:
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        return [line.decode(errors="replace") for line in lines]

    def last_lines(self, count: int) -> list[str]:
        """What it said last since the start, for the person who has to find out why it ended."""
        with self.path.open("rb") as file:
            file.seek(max(self._start, file.seek(0, 2) - 10_000))
            lines = file.read().decode(errors="replace").splitlines()
        return [line for line in lines if line.strip()][-count:]


def readable(name: str, line: str) -> str | None:
    """A child's line as a person wants it: an upload's step, or trouble; nothing else."""
    if not line.startswith("{"):
        found = next(filter(None, (trouble.search(line) for trouble in TROUBLE)), None)
        return shorten(f"{name}: {found[1]}") if found else None
    try:
        record = json.loads(line)
    except ValueError:
        return None
    if record.get("event") == "upload_transition":
        return _transition(record)
    if record.get("level") in {"warning", "error", "critical"}:
        return shorten(f"{name} {record['level']}: {_told(record)}")
    return None


def _transition(record: dict[str, Any]) -> str:
    what = f"{record.get('upload_id')} {record.get('field')}"
    why = record.get("code")
    step = f"{record.get('from') or 'new'} → {record.get('to')}" + (f" ({why})" if why else "")
    return f"{_local_time(record.get('timestamp'))} {what} {step}"


def _told(record: dict[str, Any]) -> str:
    """The event with its details; of a traceback, the line that names the error."""
    quiet = {"service", "level", "timestamp", "event", "exception"}
    details = [f"{key}={value}" for key, value in record.items() if key not in quiet]
    traceback = str(record.get("exception", "")).strip().splitlines()
    return " ".join([str(record.get("event", "")), *details, *traceback[-1:]])


def _local_time(timestamp: Any) -> str:
    try:
        moment = datetime.fromisoformat(str(timestamp))
    except ValueError:
        moment = datetime.now(UTC)
    return moment.astimezone().strftime("%H:%M:%S")


def shorten(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
