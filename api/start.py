"""Opening what the use cases work with, at start."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from api.diagnosis.database import check_database
from api.diagnosis.volume import make_folders, try_out
from api.http.stopping import Stopping
from api.news.changes import Changes
from api.news.lookout import Lookout
from api.news.shares import Shares
from api.news.streams import Streams
from api.news.waiters import Waiters
from api.outside.links import Links
from api.outside.queue import Queue
from api.records import forms
from api.records.database import Change
from api.records.opening import open_database
from api.services import FormTypes, Services
from api.settings.settings import Settings
from api.staging.mount import Mount
from api.staging.space import Space
from api.staging.staging import Staging
from api.telemetry.metrics import Metrics
from api.telemetry.watchdog import Watchdog
from api.uploads.idempotency import free_keys
from shared.finding import refuse_or_tell, wrong
from shared.form_definition import FormDefinitionError, load_form_types


def staging_of(settings: Settings) -> Staging:
    """The volume that the settings name, without touching it."""
    space = Space(
        settings.staging_dir,
        min_free_bytes=settings.min_free_bytes,
        min_free_inodes=settings.min_free_inodes,
    )
    return Staging(settings.staging_dir, space, small=settings.small_body_bytes)


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
        mount = Mount(database, staging)
        await mount.open()
        if await mount.matches():
            refuse_or_tell(await try_out(staging))
        await free_keys(database)
        yield Services(
            settings=settings,
            form_types=form_types,
            database=database,
            staging=staging,
            mount=mount,
            queue=queue,
            changes=changes,
            waiters=waiters,
            streams=streams,
            links=Links(settings),
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
