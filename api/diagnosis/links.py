"""Whether the object store honours the links that the api signs. Only `api.check` asks: signing
needs no network, and the store may be one that only browsers reach."""

import asyncio
import re
import urllib.request
from http import HTTPStatus
from urllib.error import HTTPError, URLError

from sqlalchemy.exc import SQLAlchemyError

from api.outside.links import Links
from api.records.database import Database
from api.records.uploads import any_stored
from api.settings.settings import Settings
from api.texts.errors import Problem
from shared.finding import Finding, note, ok, warning, wrong
from shared.reaching import address, why
from shared.store_answers import meaning, means_us

ANSWER_SECONDS = 10.0
NO_OBJECT = "longshore-probe/there-is-none"
ENDPOINT = "S3_PUBLIC_ENDPOINT_URL"
_UNREADABLE: dict[int, tuple[Finding, str]] = {
    HTTPStatus.NOT_FOUND: (
        wrong("S3_BUCKET", "an object that the records know isn't in it; correct the name"),
        "the store honours what it signs",
    ),
    # also the answer about an object that isn't there, to who may not list the bucket
    HTTPStatus.FORBIDDEN: (
        wrong("S3_ACCESS_KEY_ID", "may not read objects; allow it s3:GetObject on the bucket"),
        "the store knows it; whether it may read shows once an object is stored",
    ),
}
"""What it means that an object can't be read by a link; what, when there was none to read."""


async def check_links(links: Links, database: Database, settings: Settings) -> Finding:
    """Fetch the first byte of a stored object by a link, or look how one to none is answered."""
    key = await _stored_key(database)
    url = links.presign(key or NO_OBJECT, filename="probe", content_type="text/plain", inline=False)
    where = address(settings.s3_public_endpoint_url, 443)
    try:
        status, body = await asyncio.to_thread(_get, url)
    except (OSError, ValueError) as error:
        cause = error.reason if isinstance(error, URLError) else error
        away = why(cause, where) if isinstance(cause, BaseException) else None
        away = away or f"{where} can't be reached ({cause})"
        return note(ENDPOINT, f"{away} from here; links are for browsers, try one there")
    code = _code(body)
    if means_us(code):
        bucket, region = settings.s3_bucket, settings.s3_region
        return meaning(code, endpoint=ENDPOINT, bucket=bucket, region=region)
    return _verdict(status, code, has_object=key is not None)


def _verdict(status: int, code: str, *, has_object: bool) -> Finding:
    name = "S3_ACCESS_KEY_ID"
    if status in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
        return ok(name, "a link that it signs opens a stored object")
    if status in _UNREADABLE:
        found, missing = _UNREADABLE[status]
        return found if has_object else ok(name, missing)
    text = f"a link is answered {status} {code}".rstrip()
    return warning(ENDPOINT, f"{text}; look at the store")


async def _stored_key(database: Database) -> str | None:
    try:
        return await database.scan(any_stored)
    except (Problem, SQLAlchemyError):
        return None


def _get(url: str) -> tuple[int, bytes]:
    request = urllib.request.Request(url, headers={"Range": "bytes=0-0"})  # noqa: S310 - the setting is http or https
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=ANSWER_SECONDS) as answer:
            return answer.status, b""
    except HTTPError as error:
        with error:
            return error.code, error.read(10_000)


def _code(body: bytes) -> str:
    found = re.search(rb"<Code>(\w+)</Code>", body)
    return found[1].decode() if found else ""
