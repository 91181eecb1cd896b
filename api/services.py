"""What the use cases work with, opened in one place at start."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog

from api.diagnosis.database import check_database
from api.diagnosis.volume import make_folders, try_out
from api.http.stopping import Stopping
from api.news.changes import Changes
from api.news.lookout import Lookout
from api.news.shares import Shares
from api.news.streams import Streams
from api.news.waiters import Waiters
from api.outside.links import Links, open_links
from api.outside.queue import Queue
from api.records import forms
from api.records.database import Change, Database
from api.records.opening import open_database
from api.settings.settings import Settings
from api.staging.identity import Volume
from api.staging.space import Space
from api.staging.staging import Staging
from api.telemetry.metrics import Metrics
from api.telemetry.watchdog import Watchdog
from api.texts.errors import Problem
from shared.finding import refuse_or_tell, wrong
from shared.form_definition import FormDefinitionError, FormType, load_form_types

log = structlog.get_logger()


class FormTypes(dict[str, FormType]):
    """Form types by name. One may be taken away while there are forms of it, whose requests wait
    until it is back: asking for it raises `Problem` (`unavailable`)."""

    def __missing__(self, name: str) -> FormType:
        log.error("form_type_gone", form_type=name)
        raise Problem("unavailable", "The type of this form isn't there at the moment")


@dataclass(frozen=True, slots=True)
class Services:
    settings: Settings
    form_types: FormTypes
    database: Database
    staging: Staging
    volume: Volume
    queue: Queue
    changes: Changes
    waiters: Waiters
    streams: Streams
    links: Links
    metrics: Metrics
    stopping: Stopping
    watchdog: Watchdog
    running_keys: set[tuple[str, str, str]] = field(default_factory=set)
    """Form, field and key of requests whose bodies this process is receiving."""


def staging_of(settings: Settings) -> Staging:
    space = Space(
        settings.staging_dir,
        min_free_bytes=settings.min_free_bytes,
        min_free_inodes=settings.min_free_inodes,
    )
    return Staging(settings.staging_dir, space)


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Open everything, close it in reverse. Raises `StartError` with all that is wrong."""

    async def versions(form_ids: Sequence[str]) -> dict[str, int]:
        return await database.scan(forms.versions, form_ids)

    lookout = Lookout(versions)
    shares = Shares(settings.max_waiting, settings.waiting_per_client)
    waiters = Waiters(lookout, shares)
    streams = Streams(lookout, shares, per_form=settings.max_streams_per_form)
    changes, metrics = Changes(lookout), Metrics()
    metrics.waiting.set_function(lambda: len(waiters))
    metrics.streams.set_function(lambda: len(streams))

    def committed(what: list[Change]) -> None:
        metrics.committed(what)
        changes.committed(what)

    database = open_database(settings.database_url, committed)
    staging = staging_of(settings)
    queue = Queue(settings.redis_url)
    try:
        found = [*await check_database(database), *make_folders(staging)]
        form_types = FormTypes()
        try:
            form_types = FormTypes(load_form_types(settings.forms_dir))
        except FormDefinitionError as error:
            found += [wrong("FORMS_DIR", line) for line in error.lines]
        refuse_or_tell(found)
        volume = Volume(database, staging)
        await volume.open()
        if await volume.matches():
            refuse_or_tell(await try_out(staging))
        async with open_links(settings) as links:
            yield Services(
                settings=settings,
                form_types=form_types,
                database=database,
                staging=staging,
                volume=volume,
                queue=queue,
                changes=changes,
                waiters=waiters,
                streams=streams,
                links=links,
                metrics=metrics,
                stopping=Stopping(),
                watchdog=Watchdog(metrics),
            )
    finally:
        waiters.close()
        streams.close()
        lookout.close()
        await queue.close()
        staging.close()
        await database.close()
