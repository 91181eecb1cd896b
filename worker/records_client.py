"""The worker's way to the record: the only caller of the internal listener."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import httpx
import structlog

from shared.internal_api import (
    ClaimRequest,
    Cleaning,
    CleaningClaim,
    CleaningOrders,
    CleaningReport,
    Heartbeat,
    Outcome,
    WorkOrder,
)
from shared.status import Stage
from worker.settings import Settings

log = structlog.get_logger()

CALL_SECONDS = 10.0
FIRST_PAUSE, LAST_PAUSE = 0.2, 5.0
_OVER = {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.GONE}
"""The answers that end a worker's business with an upload (protocol P3)."""


class RecordsUnavailable(Exception):  # noqa: N818 - what is, not who erred
    """The api didn't answer in time; it may have done what it was asked."""


class RecordsClient:
    """Calls are repeated on 401 (a rotation), 5xx and timeouts; all of them bear repetition."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def claim(self, upload_id: str, claim_id: str, *, seconds: float) -> WorkOrder | None:
        """The work order; None when the upload is another's, not due, final or gone."""
        answer = await self._repeat(
            "POST",
            f"/internal/uploads/{upload_id}/claim",
            ClaimRequest(claim_id=claim_id).model_dump(),
            seconds,
        )
        return None if answer is None else WorkOrder.model_validate(answer.json())

    async def heartbeat(self, order: WorkOrder, stage: Stage) -> bool:
        """Renew the lease, once. False when the upload is no longer ours; a call that didn't get
        through says nothing either way."""
        body = Heartbeat(generation=order.generation, stage=stage).model_dump(mode="json")
        try:
            answer = await self._http.post(
                f"/internal/uploads/{order.upload_id}/heartbeat", json=body
            )
        except httpx.HTTPError as error:
            log.warning("heartbeat_lost", error=type(error).__name__)
            return True
        return answer.status_code not in _OVER

    async def report(self, order: WorkOrder, outcome: Outcome, *, seconds: float) -> bool:
        """Patch the form record with the outcome. False when the generation is stale: what it put
        is to be deleted. Raises `RecordsUnavailable`: then the lease will run out."""
        path = f"/internal/forms/{order.form_id}"
        return (
            await self._repeat("PATCH", path, outcome.model_dump(mode="json"), seconds)
        ) is not None

    async def claim_cleanings(self) -> list[Cleaning]:
        answer = await self._repeat(
            "POST", "/internal/cleanings/claim", CleaningClaim().model_dump(), CALL_SECONDS
        )
        return CleaningOrders.model_validate(answer.json()).cleanings if answer else []

    async def confirm_cleaning(self, cleaning: Cleaning, deleted: int) -> None:
        report = CleaningReport(deleted=deleted).model_dump()
        await self._repeat("PATCH", f"/internal/cleanings/{cleaning.id}", report, CALL_SECONDS)

    async def _repeat(
        self, method: str, path: str, body: dict[str, Any], seconds: float
    ) -> httpx.Response | None:
        """The answer; None for one that ends our business. Any other refusal is a bug of ours and
        repeated too: a deploy may mend it within the time."""
        deadline = asyncio.get_running_loop().time() + seconds
        pause = FIRST_PAUSE
        while True:
            try:
                answer = await self._http.request(method, path, json=body)
                if answer.is_success:
                    return answer
                if answer.status_code in _OVER:
                    log.info("claim_over", path=path, answer=answer.json().get("code"))
                    return None
                reason = f"{answer.status_code} {answer.text[:200]}"
            except httpx.HTTPError as error:
                reason = type(error).__name__
            if asyncio.get_running_loop().time() + pause > deadline:
                raise RecordsUnavailable(f"{method} {path}: {reason}")
            log.warning("records_call_repeated", method=method, path=path, reason=reason)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LAST_PAUSE)


@asynccontextmanager
async def open_records(settings: Settings) -> AsyncIterator[RecordsClient]:
    secret = settings.internal_secret.get_secret_value()
    async with httpx.AsyncClient(
        base_url=settings.internal_url,
        headers={"Authorization": f"Bearer {secret}"},
        timeout=CALL_SECONDS,
        trust_env=False,
    ) as http:
        yield RecordsClient(http)
