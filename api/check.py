"""`python -m api.check`: look at everything the api needs, and print one line each.

Exit status 1 when anything is wrong. Changes nothing but a file on the volume that comes and goes.
"""

import argparse
import asyncio
import http.client
import sys

from pydantic import ValidationError

from api.diagnosis.database import check_database
from api.diagnosis.links import check_links
from api.diagnosis.listeners import check_listeners
from api.diagnosis.redis import check_redis
from api.diagnosis.volume import check_volume
from api.outside.links import Links
from api.records.opening import open_database
from api.settings.settings import Settings
from api.staging.mount import Mount
from api.start import staging_of
from shared.finding import Finding, Level, ok, show, warning, wrong, wrongs
from shared.form_definition import FormDefinitionError, load_form_types
from shared.settings_errors import explain

ANSWER_SECONDS = 3.0


async def diagnose(settings: Settings, *, offline: bool) -> list[Finding]:
    """`offline` leaves out what other services have to answer for: Redis and the object store."""
    found = _forms(settings)
    database = open_database(settings.database_url)
    staging = staging_of(settings)
    try:
        of_database = await check_database(database)
        usable = not wrongs(of_database)  # looking at a file of SQLite would make it
        found += of_database
        if usable:
            found += await check_volume(Mount(database, staging), staging)
        else:
            found.append(warning("STAGING_DIR", "not looked at before DATABASE_URL is right"))
        found += _listeners(settings)
        if not offline:
            found.append(await check_redis(settings.redis_url))
            if usable:
                found.append(await check_links(Links(settings), database, settings))
    finally:
        staging.close()
        await database.close()
    return found


def _forms(settings: Settings) -> list[Finding]:
    try:
        form_types = load_form_types(settings.forms_dir)
    except FormDefinitionError as error:
        return [wrong("FORMS_DIR", line) for line in error.lines]
    return [ok("FORMS_DIR", f"{', '.join(form_types)}")]


def _listeners(settings: Settings) -> list[Finding]:
    """An address that an api has already is as good as a free one."""
    hosts = {"PORT": settings.host, "INTERNAL_PORT": settings.internal_host}
    ports = {"PORT": settings.port, "INTERNAL_PORT": settings.internal_port}
    return [
        ok(each.name, f"an api listens on {hosts[each.name]}:{ports[each.name]}")
        if each.level is Level.WRONG
        and each.name in ports
        and _is_ours(hosts[each.name], ports[each.name])
        else each
        for each in check_listeners(settings)
    ]


def _is_ours(host: str, port: int) -> bool:
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - what it stands for
    connection = http.client.HTTPConnection(here, port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().read(100).startswith(b'{"status":"ok"')
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m api.check", description=__doc__)
    parser.add_argument("--offline", action="store_true", help="without Redis and the object store")
    options = parser.parse_args(arguments)
    try:
        settings = Settings()
    except ValidationError as error:
        return show(explain(error))
    return show(asyncio.run(diagnose(settings, offline=options.offline)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
