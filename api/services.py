"""What the use cases work with, opened in one place at start."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from api.changes import Changes
from api.links import Links, open_links
from api.queue import Queue
from api.records import migrate
from api.records.database import Database
from api.settings import Settings
from api.staging import Staging
from api.volume import Volume
from shared.form_definition import FormType, load_form_types


@dataclass(frozen=True, slots=True)
class Services:
    settings: Settings
    form_types: dict[str, FormType]
    database: Database
    staging: Staging
    volume: Volume
    queue: Queue
    changes: Changes
    links: Links

    @property
    def work_ms(self) -> int:
        return int(self.settings.work_seconds * 1000)


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Open everything, close it in reverse.

    Raises `FormDefinitionError`, `SchemaError`, `OSError` (the volume) or `Problem` (the
    database) with a text for people.
    """
    form_types = load_form_types(settings.forms_dir)
    changes = Changes()
    database = Database(settings.database_url, changes.committed)
    staging = Staging(settings.staging_dir, min_free_bytes=settings.min_free_bytes)
    queue = Queue(settings.redis_url)
    try:
        await migrate.check(database)
        staging.prepare()
        volume = Volume(database, staging)
        await volume.open()
        async with open_links(settings) as links:
            yield Services(
                settings=settings,
                form_types=form_types,
                database=database,
                staging=staging,
                volume=volume,
                queue=queue,
                changes=changes,
                links=links,
            )
    finally:
        await queue.close()
        staging.close()
        await database.close()
