"""Whether the api's internal listener is where `INTERNAL_URL` says, and lets us in."""

from http import HTTPStatus

import httpx

from shared.finding import Finding, ok, wrong
from shared.reaching import address, why
from worker.records_client import RecordsClient
from worker.settings import Settings


async def check_records(records: RecordsClient, settings: Settings) -> Finding:
    where = ", ".join(address(each, 80) for each in settings.internal_urls)
    try:
        status = await records.knock()
    except httpx.HTTPError as error:
        away = why(error, where) or f"{where} doesn't answer ({type(error).__name__})"
        return wrong("INTERNAL_URL", f"{away}; start the api, or correct the address")
    if status == HTTPStatus.UNAUTHORIZED:
        text = "the api doesn't take it; it has to be one of the api's INTERNAL_SECRETS"
        return wrong("INTERNAL_SECRET", text)
    if status != HTTPStatus.UNPROCESSABLE_ENTITY:
        text = f"{where} is not the api's internal listener (it answers {status}); correct it"
        return wrong("INTERNAL_URL", text)
    return ok("INTERNAL_SECRET", f"the api at {where} takes it")
