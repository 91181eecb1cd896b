"""`python -m worker.verify`: look for all that `python -m api.inventory` lists, with its SHA-256.

    python -m api.inventory | python -m worker.verify

Prints a line for all that is missing or has other bytes, and one for what is there. Exit status 1
when anything is amiss, or the list isn't whole. Changes nothing.
"""

import argparse
import asyncio
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from shared.finding import Finding, ok, show, wrong
from shared.inventory import End, Kept, KeptFile, KeptObject, line
from shared.settings_errors import explain
from shared.volume import MARKER
from worker.errors import SourceChanged, TransientError
from worker.hashed import hash_file
from worker.main import store_settings
from worker.object_store import ObjectGone, ObjectStore, open_object_store
from worker.settings import Settings

AT_ONCE = 8
ANSWER_SECONDS = 10.0
VOLUME, BUCKET = "STAGING_DIR", "S3_BUCKET"
CUT_SHORT = wrong("inventory", "the list was cut short; see what python -m api.inventory says")


class Verification:
    """Of one list against one volume and one bucket."""

    def __init__(self, root: Path, store: ObjectStore) -> None:
        self._root = root
        self._store = store
        self._there: Counter[str] = Counter()
        self._listed: Counter[str] = Counter()
        self._amiss: list[Finding] = []

    async def of(self, read_line: Callable[[], str]) -> list[Finding]:
        """What was found, the sums last. `read_line` returns nothing at the end of the list."""
        end = await self._look_for_all(read_line)
        if end is None or end.count != self._listed.total():
            self._amiss.append(CUT_SHORT)
        elif (found := await asyncio.to_thread(self._marker)) != end.volume_id:
            why = "is the volume of other records" if found else f"has no marker ({MARKER})"
            self._amiss.append(wrong(VOLUME, f"{self._root} {why}"))
        return [*self._amiss, self._sum(VOLUME, "files"), self._sum(BUCKET, "objects")]

    async def _look_for_all(self, read_line: Callable[[], str]) -> End | None:
        places = asyncio.Semaphore(AT_ONCE)

        async def look(each: Kept) -> None:
            try:
                await self._look(each)
            finally:
                places.release()

        async with asyncio.TaskGroup() as looks:
            while text := await asyncio.to_thread(read_line):
                try:
                    each = line.validate_json(text)
                except ValidationError:
                    return None
                if isinstance(each, End):
                    return each
                await places.acquire()
                looks.create_task(look(each))
        return None

    async def _look(self, each: Kept) -> None:
        if isinstance(each, KeptFile):
            name, why = VOLUME, await asyncio.to_thread(self._file, each)
        else:
            name, why = BUCKET, await self._object(each)
        self._listed[name] += 1
        if why:
            self._amiss.append(wrong(each.upload_id, why))
        else:
            self._there[name] += 1

    def _file(self, each: KeptFile) -> str | None:
        try:
            found = hash_file(self._root / each.path, self._store.part_bytes)
        except FileNotFoundError:
            return f"{each.path} is not on the volume"
        except (OSError, SourceChanged) as error:
            return f"{each.path} can't be read ({error})"
        if found.size != each.size or found.sha256 != (each.sha256 or found.sha256):
            return f"{each.path} has other bytes than came"
        return None

    async def _object(self, each: KeptObject) -> str | None:
        try:
            found = await self._store.digest(each.key)
        except ObjectGone:
            return f"{each.key} is not in the bucket"
        except TransientError as error:
            return f"{each.key} can't be read ({error.detail})"
        if found != (each.size, each.sha256):
            return f"{each.key} has other bytes than were stored"
        return None

    def _marker(self) -> str:
        try:
            return (self._root / MARKER).read_text("utf-8").strip()
        except OSError:
            return ""

    def _sum(self, name: str, things: str) -> Finding:
        there, listed = self._there[name], self._listed[name]
        text = f"{there} of {listed} {things} are there with their SHA-256"
        return ok(name, text) if there == listed else wrong(name, text)


async def verify(settings: Settings, read_line: Callable[[], str]) -> list[Finding]:
    async with open_object_store(store_settings(settings)) as store:
        if away := await store.knock(ANSWER_SECONDS):
            return [away]
        return await Verification(settings.staging_dir, store).of(read_line)


def main(arguments: list[str]) -> int:
    argparse.ArgumentParser(prog="python -m worker.verify", description=__doc__).parse_args(
        arguments
    )
    try:
        settings = Settings()
    except ValidationError as error:
        return show(explain(error))
    return show(asyncio.run(verify(settings, sys.stdin.readline)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
