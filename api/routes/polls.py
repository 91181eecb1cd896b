"""Reads that clients poll with, at once or after a wait (RFC 7240, `Prefer: wait`)."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from starlette.requests import Request

from api.access import reach
from api.forms.sections import etag as form_etag
from api.http.client_address import address_of
from api.http.preferences import matches, wait_seconds
from api.receive.body import gone
from api.records import forms, polled, uploads
from api.records.polled import PolledForm, PolledUpload
from api.records.rows import CountedUpload, ShownUpload
from api.routes.answers import upload_etag
from api.routes.deps import credential_or_page
from api.services import Services
from api.texts.errors import Problem
from shared.status import PENDING

T = TypeVar("T")


async def poll_upload(request: Request, services: Services, upload_id: str) -> PolledUpload:
    """The upload of that id, if the caller may read it: at once, or as long as the client is ready
    to wait once it differs from what it has, or is final."""
    asking = await credential_or_page(request, services)
    first = await reach.polled_upload(services, asking, upload_id)
    conditional = "if-none-match" in request.headers

    async def read() -> tuple[PolledUpload, int]:
        found = await services.database.read(polled.upload, upload_id)
        if found is None or found.form_status == forms.PURGING:
            raise Problem("not-found")
        return found, found.form_version

    def done(found: PolledUpload) -> bool:
        if conditional:
            return not matches(request, upload_etag(found))
        return found.status not in PENDING

    return await _wait(request, services, first.form_id, first, read, done)


async def poll_form(
    request: Request, services: Services, form_id: str, *, kept: Callable[[PolledForm], bool]
) -> tuple[PolledForm, list[ShownUpload]]:
    """The form of that id, if the caller may read it, and its uploads, unless the client has them:
    at once, or as long as it is ready to wait once they differ, or nothing of it is pending.
    `kept` says whether its answer is there already: then who doesn't wait needn't read them."""
    conditional, waits = "if-none-match" in request.headers, wait_seconds(request) > 0

    def differs(form: PolledForm) -> bool:
        return not conditional or not matches(request, form_etag(form))

    async def read() -> tuple[tuple[PolledForm, list[ShownUpload]], int]:
        form, rows = await services.database.read(polled.form, form_id, shown=differs)
        if form is None or form.status == forms.PURGING:
            raise Problem("not-found")
        return (form, rows), form.version

    def done(found: tuple[PolledForm, list[ShownUpload]]) -> bool:
        if conditional:
            return differs(found[0])
        return not any(row.status in PENDING for row in found[1])

    def asks(form: PolledForm) -> bool:
        return differs(form) and (waits or not kept(form))

    asking = await credential_or_page(request, services)
    first = await reach.polled_form(services, asking, form_id, asks)
    return await _wait(request, services, form_id, first, read, done)


async def wait_until_settled(request: Request, services: Services, form_id: str) -> None:
    """Wait until nothing of the form is pending, as long as the client asked for, if it did."""

    async def read() -> tuple[list[CountedUpload], int]:
        return await services.database.read(uploads.counted_at, form_id)

    def done(rows: list[CountedUpload]) -> bool:
        return not any(row.status in PENDING for row in rows)

    rows, _ = await read()
    await _wait(request, services, form_id, rows, read, done)


async def _wait(
    request: Request,
    services: Services,
    form_id: str,
    first: T,
    read: Callable[[], Awaitable[tuple[T, int]]],
    done: Callable[[T], bool],
) -> T:
    """As long as the client asked for, and no longer than it stays."""
    seconds = wait_seconds(request)
    if not seconds or done(first):
        return first
    del first  # which may be much, for as long as it waits
    return await services.waiters.wait_until(
        form_id,
        read,
        done,
        seconds,
        client=address_of(request.scope),
        left=lambda: gone(request),
    )
