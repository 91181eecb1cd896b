"""How much a field, a form and a client may take up.

What headers and the record decide is refused before a body is read; the same is asked again under
the form's lock, for others may have come meanwhile.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from api.records import begun_drafts
from api.records.database import Transaction
from api.records.rows import Counted, ShownUpload
from api.services import Services
from api.settings.settings import Settings
from api.texts.errors import Problem
from api.texts.sizes import size
from shared.form_definition import FileField, FormType
from shared.status import TERMINAL, UploadStatus

log = structlog.get_logger()

DRAFTS_PER_HOUR = 60
"""For one client address, where addresses tell clients apart."""


def check_field(field: FileField, of_field: Sequence[Counted]) -> None:
    """A field for many files is full at `max_files`; a field for one replaces."""
    if field.max_files > 1 and open_slots(field, of_field) < 1:
        raise Problem("too-many-files", field=field.name, params={"max_files": field.max_files})


def open_slots(field: FileField, of_field: Sequence[Counted | ShownUpload]) -> int:
    """How many files a field for many takes yet. What was rejected takes up no room."""
    taken = [row for row in of_field if row.status not in {*TERMINAL, UploadStatus.REJECTED}]
    return field.max_files - len(taken)


def bytes_held(rows: Sequence[Counted]) -> int:
    """Bytes of a form's uploads, as received: those in the bucket, those that wait for it, and
    those that are kept of rejected and failed ones."""
    return sum(
        row.size
        for row in rows
        if row.status not in TERMINAL and (row.status is UploadStatus.STORED or row.bytes == "kept")
    )


def check_form(
    settings: Settings, form_type: FormType, rows: Sequence[Counted], *, more: int
) -> None:
    """Raise `Problem` form-full if one more upload of `more` bytes is too much for the form that
    has the uploads `rows`."""
    check_held(settings, form_type, len(rows), bytes_held(rows), more=more)


def check_held(
    settings: Settings, form_type: FormType, uploads: int, held: int, *, more: int
) -> None:
    """The same for a form that has so many `uploads`, with `held` bytes."""
    if uploads >= settings.max_form_uploads:
        raise Problem(
            "form-full",
            "The form has had as many files as it may; begin a new form for more.",
            params={"max_uploads": settings.max_form_uploads},
        )
    limit = settings.max_form_bytes or 2 * form_type.max_bytes
    if held + more > limit:
        raise Problem("form-full", params={"max_bytes": limit, "max_size": size(limit)})


def check_text(settings: Settings, data: Mapping[str, Any]) -> None:
    """Raise `Problem` form-full if these values are more text than a form may have."""
    if len(json.dumps(data, ensure_ascii=False).encode()) > settings.max_form_text_bytes:
        raise Problem(
            "form-full",
            "The form's answers are too long together; shorten some, then try again.",
            params={"max_bytes": settings.max_form_text_bytes},
        )


def _drafts_per_hour(settings: Settings, address: str) -> int:
    """0 is no limit, as where the address is a proxy's own: it stands for anybody."""
    if settings.proxies.trusts(address):
        return 0
    if settings.max_drafts_per_hour is not None:
        return settings.max_drafts_per_hour
    return DRAFTS_PER_HOUR if settings.trusted_proxies else 0


class Beginner:
    """Who begins drafts: one client address, whose drafts of the last hour are counted."""

    def __init__(self, settings: Settings, address: str) -> None:
        # Not the address: the count needs none, and a keyed hash of it can't be guessed back.
        key = settings.internal_secrets[0].encode()
        self._client = hmac.new(key, address.encode(), hashlib.sha256).hexdigest()
        self._limit = _drafts_per_hour(settings, address)

    async def check(self, services: Services) -> None:
        """Raise `Problem` too-many-forms if there were too many already."""
        if self._limit:
            begun = await services.database.read(begun_drafts.within_the_hour, self._client)
            self._refuse(*begun)

    def count(self, tx: Transaction) -> None:
        """One more, in the transaction that creates the draft. Raises as `check` does."""
        if self._limit:
            self._refuse(*begun_drafts.within_the_hour(tx.conn, self._client))
            begun_drafts.count(tx, self._client)

    def _refuse(self, drafts: int, milliseconds: int) -> None:
        if drafts >= self._limit:
            # it may be a proxy that nobody named, which stands for many people
            log.warning("client_began_too_many_drafts", drafts=drafts)
            seconds = max(1, -(-milliseconds // 1000))
            raise Problem("too-many-forms", retry_after=seconds)
