"""What the use cases work with, opened in one place at start."""

from dataclasses import dataclass, field

import structlog

from api.http.rendered import Rendered
from api.http.stopping import Stopping
from api.news.changes import Changes
from api.news.streams import Streams
from api.news.waiters import Waiters
from api.outside.links import Links
from api.outside.queue import Queue
from api.receive.turns import Turns
from api.records.database import Database
from api.settings.settings import Settings
from api.staging.mount import Mount
from api.staging.staging import Staging
from api.staging.strands import Strands
from api.telemetry.metrics import Metrics
from api.telemetry.watchdog import Watchdog
from api.texts.errors import Problem
from shared.form_definition import FormType

log = structlog.get_logger()


class FormTypes(dict[str, FormType]):
    """Form types by name. One may be taken away while there are forms of it, whose requests wait
    until it is back: asking for it raises `Problem` (`unavailable`)."""

    def __missing__(self, name: str) -> FormType:
        log.error("form_type_gone", form_type=name)
        text = "The type of this form isn't there at the moment"
        raise Problem("unavailable", text, retry_after=60)


@dataclass(frozen=True, slots=True)
class Services:
    settings: Settings
    form_types: FormTypes
    database: Database
    staging: Staging
    mount: Mount
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
    turns: Turns = field(default_factory=Turns)
    """Of requests that write to resumable uploads in this process."""
    strands: Strands = field(default_factory=Strands)
    rendered: Rendered = field(default_factory=Rendered)
