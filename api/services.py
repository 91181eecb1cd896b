"""What the use cases work with, opened in one place at start."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from api.changes import Changes
from api.errors import Problem
from api.links import Links, open_links
from api.queue import Queue
from api.records import migrate
from api.records.database import Database, DatabaseUnavailable
from api.settings import Settings
from api.staging import Staging
from api.volume import Volume
from shared.form_definition import FormType, load_form_types


class StartError(Exception):
    """The service can't start; the text names the setting and what is wrong with it."""


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


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Open everything, close it in reverse.

    Raises `FormDefinitionError`, `SchemaError` or `StartError` with a text for people.
    """
    form_types = load_form_types(settings.forms_dir)
    changes = Changes()
    database = Database(settings.database_url, changes.committed)
    staging = Staging(settings.staging_dir, min_free_bytes=settings.min_free_bytes)
    queue = Queue(settings.redis_url)
    try:
        volume = Volume(database, staging)
        try:
            await migrate.check(database)
            staging.prepare()
            await volume.open()
        except DatabaseUnavailable as error:
            raise StartError(f"DATABASE_URL: {error.__cause__}") from error
        except (OSError, Problem) as error:
            raise StartError(f"STAGING_DIR: {error.__cause__ or error}") from error
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
