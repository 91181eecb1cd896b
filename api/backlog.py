"""`python -m api.backlog`: what isn't stored yet and why, and failed uploads tried again in bulk.

Reads and changes the records alone, so it works while the apis run, and while Redis and the object
store are away. What is tried again is woken by the sweep, some ten seconds later.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Sequence

from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from api.access.tokens import ServiceKey
from api.diagnosis.database import check_database
from api.records import waiting
from api.records.database import Database
from api.records.faults import explain as explain_database
from api.records.opening import open_database
from api.records.waiting import Waiting
from api.settings.settings import Settings
from api.texts.errors import Problem
from api.uploads.retry_or_remove import start_again
from shared.finding import refuse, wrong, wrongs
from shared.settings_errors import explain

SHOWN = 100
"""Uploads that are listed where no number is asked for."""
OPERATOR = ServiceKey("operator")
UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


async def tell(settings: Settings, options: argparse.Namespace) -> int:
    """List, or try again; the exit status."""
    database = open_database(settings.database_url)
    try:
        if unusable := wrongs(await check_database(database)):
            return refuse("api", unusable)
        return (
            await _retry(database, settings, options)
            if options.retry
            else await _list(database, settings, options)
        )
    except (Problem, SQLAlchemyError) as error:
        return refuse("api", [wrong("DATABASE_URL", explain_database(error, database.url))])
    finally:
        await database.close()


async def _list(database: Database, settings: Settings, options: argparse.Namespace) -> int:
    counted = await database.scan(waiting.by_status)
    statuses = [options.status] if options.status else list(counted)
    shown = 0
    async for each in _found(database, statuses, options.code):
        if shown == (options.limit or SHOWN):
            _say("… there are more: --limit shows them, --status and --code choose")
            break
        _say(_line(each, settings.retention.failed_ms))
        shown += 1
    _say(", ".join(f"{status} {count}" for status, (count, _) in counted.items()))
    return 0


async def _retry(database: Database, settings: Settings, options: argparse.Namespace) -> int:
    """Each in a transaction of its own: one that can't be tried again holds up no other."""
    done = left = 0
    async for each in _found(database, [waiting.FAILED], options.code):
        if done == options.limit:
            break
        if not each.can_be_retried:
            left += 1
            continue
        try:
            await database.write(
                start_again, each.id, each.form_id, settings.deadline_seconds, by=OPERATOR
            )
        except Problem as problem:
            if problem.code not in {"not-failed", "not-found"}:
                raise
            continue  # somebody else was quicker
        _say(f"{each.id}  tried again")
        done += 1
    _say(f"tried again: {done}" + (f"; can't be: {left}" if left else ""))
    return 0


async def _found(
    database: Database, statuses: Sequence[str], code: str | None
) -> AsyncIterator[Waiting]:
    """Oldest first, a batch at a time."""
    for status in statuses:
        after = (0, "")
        while True:
            rows, after = await database.scan(waiting.listed, status, after)
            for row in rows:
                if code in {None, row.code}:
                    yield row
            if not rows:
                break


def _line(upload: Waiting, failed_ms: int) -> str:
    where = f"{upload.form_type}/{upload.field}"
    age = f"{_long(-upload.acknowledged)} old"
    return f"{upload.id}  {upload.status:<10}  {age:<9}  {where}  {upload.form_id}  " + _why(
        upload, failed_ms
    )


def _why(upload: Waiting, failed_ms: int) -> str:
    match upload.status:
        case "failed":
            kept = f"bytes are kept for {_long(upload.changed + failed_ms)}"
            return f"{upload.code}; " + (kept if upload.can_be_retried else "can't be tried again")
        case "processing":
            lease = upload.lease or 0
            owned = f"lease for {_long(lease)}" if lease > 0 else f"lease over {_long(-lease)} ago"
            return f"{upload.stage or 'claimed'}, attempt {upload.attempts}; {owned}"
        case "staged":
            due = "due" if upload.due <= 0 else f"due in {_long(upload.due)}"
            return f"{due}, after {upload.attempts} attempts; fails in {_long(upload.deadline)}"
        case _:
            return f"last changed {_long(-upload.changed)} ago"


def _long(milliseconds: int) -> str:
    """In the largest unit of which there is one: `36 h` is `1 d`."""
    seconds = max(milliseconds // 1000, 0)
    size, name = next(((s, n) for s, n in UNITS if seconds >= s), UNITS[-1])
    return f"{seconds // size} {name}"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _number(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def options_of(arguments: list[str]) -> argparse.Namespace:
    """What is asked for. Exits with a line on stderr when that makes no sense."""
    parser = argparse.ArgumentParser(prog="python -m api.backlog", description=__doc__)
    parser.add_argument("--status", choices=waiting.BACKLOG, help="only these")
    parser.add_argument("--code", help="only those that failed with this code")
    parser.add_argument("--limit", type=_number, metavar="N", help="no more than so many")
    parser.add_argument("--retry", action="store_true", help="try the failed ones again")
    options = parser.parse_args(arguments)
    if options.retry and options.status not in {None, waiting.FAILED}:
        parser.error("only failed uploads are tried again")
    return options


def main(arguments: list[str]) -> int:
    options = options_of(arguments)
    try:
        settings = Settings()
    except ValidationError as error:
        return refuse("api", explain(error))
    return asyncio.run(tell(settings, options))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
