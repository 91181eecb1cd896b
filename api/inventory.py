"""`python -m api.inventory`: list what must be on the volume and in the bucket, by the records.

`python -m worker.verify` reads the list and looks whether it is there. It needs the database alone.
Exit status 1, and no whole list, when that can't be read.
"""

import asyncio
import os
import sys
from typing import TextIO

from pydantic import BaseModel, ValidationError
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from api.diagnosis.database import check_database
from api.records import staged
from api.records.database import Database
from api.records.faults import explain as explain_database
from api.records.inventory import kept_after
from api.records.opening import open_database
from api.settings.records import RecordsSettings
from api.texts.errors import Problem
from shared.finding import Finding, refuse, wrong, wrongs
from shared.inventory import End
from shared.settings_errors import explain


async def write_inventory(database: Database, out: TextIO) -> list[Finding]:
    """Write a line of JSON each; what is wrong, when it can't be done."""
    if unusable := wrongs(await check_database(database)):
        return unusable
    known = await database.read(staged.volume_id)
    count, last = 0, ""
    while True:
        batch = await database.scan(kept_after, last)
        for each in batch.kept:
            _write(out, each)
        count += len(batch.kept)
        if batch.last is None:
            break
        last = batch.last
    _write(out, End(volume_id=known[0] if known else "", count=count))
    return []


def _write(out: TextIO, each: BaseModel) -> None:
    out.write(f"{each.model_dump_json()}\n")


async def _run(url: str) -> int:
    database = open_database(url)
    try:
        found = await write_inventory(database, sys.stdout)
    except (Problem, SQLAlchemyError, OSError) as error:
        found = [wrong("DATABASE_URL", explain_database(error, make_url(url)))]
    finally:
        await database.close()
    return refuse("api", found) if found else 0


def main() -> int:
    try:
        settings = RecordsSettings()
    except ValidationError as error:
        return refuse("api", explain(error))
    try:
        status = asyncio.run(_run(settings.database_url))
        sys.stdout.flush()
    except BrokenPipeError:  # who reads it has ended, and said why
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


if __name__ == "__main__":
    sys.exit(main())
