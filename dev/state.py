"""What the local stack keeps between runs, and what it says of itself while it runs.

ports.json    where everything listens; stored URLs hold the S3 port
secrets.json  passwords and keys, made on the first run
database.json the DATABASE_URL that was given, if one was
stack.json    there while everything answers: addresses, keys and process ids
data          redis/, s3/, staging/, longshore.db, logs/
"""

import argparse
import fcntl
import json
import os
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dev import CHECKOUT
from dev.say import Problem

DEFAULT = CHECKOUT / ".longshore"
DATABASE_FILE = "database.json"


def add_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--state-dir",
        type=lambda value: Path(value).absolute(),
        default=DEFAULT,
        help="where the stack keeps its data (default: .longshore in the checkout)",
    )


class StateDir:
    """A state folder that is ours alone while this process lives."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        for part in ("logs", "redis", "s3", "staging"):
            (path / part).mkdir(exist_ok=True)
        self._lock = os.open(path / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._lock, 20).decode()
            raise Problem(
                f"a stack is already running on {path} (process {holder});"
                " stop it, or give this one its own --state-dir and --port"
            ) from None
        # A run that ended in good order left the file empty. Of one that was killed, the
        # processes may still be on their way out.
        self.was_killed = bool(os.pread(self._lock, 1, 0))
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, str(os.getpid()).encode(), 0)
        self.remove_stack()

    def close(self) -> None:
        self.remove_stack()
        os.ftruncate(self._lock, 0)

    def read(self, name: str) -> dict[str, Any]:
        return read_file(self.path, name)

    def write(self, name: str, content: dict[str, Any]) -> None:
        self.write_text(name, json.dumps(content, indent=2) + "\n")

    def write_text(self, name: str, content: str) -> None:
        """Replace the file at once and whole, readable only by its owner."""
        part = self.path / f"{name}.part"
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.path / name)

    def secrets(self) -> dict[str, Any]:
        """The passwords and keys of this stack, made on its first run."""
        kept = self.read("secrets.json")
        made: dict[str, Any] = {
            "redis_password": secrets.token_hex(24),
            "internal_secret": secrets.token_hex(32),
            "service_key": secrets.token_hex(32),
            **{f"s3_{user}": _new_key() for user in ("root", "worker", "api")},
        }
        if not made.keys() <= kept.keys():
            kept = made | kept
            self.write("secrets.json", kept)
        return kept

    def keep_database(self, given: str | None) -> None:
        """Remember `DATABASE_URL`: the files of this folder belong to the records there.

        Raises `Problem` when it was given once and isn't now; a new, empty database would only be
        refused by the volume.
        """
        kept = self.read(DATABASE_FILE).get("url")
        if kept and not given:
            parts = urlsplit(kept)
            where = f"{parts.scheme}://{parts.hostname or ''}{parts.path}"
            raise Problem(
                f"the records of {self.path} are in {where}; set DATABASE_URL as before,"
                " or take another --state-dir"
            )
        if given and given != kept:
            self.write(DATABASE_FILE, {"url": given})

    def remove_stack(self) -> None:
        stack_file(self.path).unlink(missing_ok=True)


def _new_key() -> dict[str, str]:
    return {
        "access_key_id": "AKIA" + secrets.token_hex(8).upper(),
        "secret_access_key": secrets.token_hex(20),
    }


def stack_file(state_dir: Path) -> Path:
    return state_dir / "stack.json"


def read_stack(state_dir: Path) -> dict[str, Any]:
    """What the running stack says of itself; nothing when there is none."""
    return read_file(state_dir, stack_file(state_dir).name)


def read_file(state_dir: Path, name: str) -> dict[str, Any]:
    """One of the files above; nothing when there is none."""
    path = state_dir / name
    try:
        content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        raise Problem(f"{path} is not JSON; mend it or remove it") from None
    return content
