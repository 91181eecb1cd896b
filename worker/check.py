"""`python -m worker.check`: look at everything the worker needs, and print one line each.

Exit status 1 when anything is wrong. In the bucket a probe comes and goes; nothing else changes.
"""

import argparse
import asyncio
import sys

from pydantic import ValidationError

from shared.finding import Finding, show
from shared.settings_errors import explain
from worker.diagnosis.decoder import check_decoder
from worker.diagnosis.folders import check_folders
from worker.diagnosis.office import check_office
from worker.diagnosis.records import check_records
from worker.diagnosis.redis import check_redis
from worker.main import scanner_for, store_settings
from worker.object_store import open_object_store
from worker.office.program import find_program
from worker.records_client import open_records
from worker.settings import Settings


async def diagnose(settings: Settings, *, offline: bool) -> list[Finding]:
    """`offline` leaves out what other services have to answer for."""
    found = [*check_folders(settings), *await check_decoder()]
    program = find_program(settings.soffice)
    if offline:
        found += await check_office(program, settings, None)
    else:
        found += await check_redis(settings.redis_url)
        async with open_records(settings) as records:
            found += await check_office(program, settings, records)
            found.append(await check_records(records, settings))
            if scanner := scanner_for(settings, records):
                found += (await scanner.self_test()).findings
        async with open_object_store(store_settings(settings)) as store:
            found += (await store.self_test()).findings
    return found


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m worker.check", description=__doc__)
    parser.add_argument(
        "--offline", action="store_true", help="without Redis, the api and the object store"
    )
    options = parser.parse_args(arguments)
    try:
        settings = Settings()
    except ValidationError as error:
        return show(explain(error))
    return show(asyncio.run(diagnose(settings, offline=options.offline)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
