"""The worker's way to the record: the only caller of the internal listener."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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
    Limits,
    OfficeNeeds,
    Outcome,
    WorkerReport,
    WorkOrder,
)
from shared.status import Stage
from worker.http_transport import AiohttpTransport
from worker.replicas import Replica, Replicas
from worker.settings import Settings

log = structlog.get_logger()

CALL_SECONDS = 10.0
"""For one call, whichever addresses it tries."""
LEAST_SECONDS = 0.5
"""For one address, however many there are: those behind it come first the next time."""
FIRST_PAUSE, LAST_PAUSE = 0.2, 5.0
STALE = "stale-generation"
_OVER = {STALE, "not-found", "upload-final", "upload-held", "upload-not-due"}
"""The api's own codes that end a worker's business with an upload (protocol P3). A bare status
ends nothing: whatever stands between the two may say 404 as well."""
_REFUSED = "invalid-request"


class Over(Exception):  # noqa: N818 - what is, not who erred
    """The upload is no longer, or not yet, this worker's; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class OutcomeRefused(Exception):  # noqa: N818 - what happened
    """The api understands the outcome and won't have it: repeating it is no use."""


class RecordsUnavailable(Exception):  # noqa: N818 - what is, not who erred
    """The api didn't answer in time; it may have done what it was asked."""


class RecordsClient:
    """Calls are repeated on 401 (a rotation), 5xx and timeouts; all of them bear repetition, by
    the next replica too."""

    def __init__(self, http: httpx.AsyncClient, replicas: Replicas | None = None) -> None:
        """Without `replicas`, the client's own base URL is all there is."""
        self._http = http
        self._replicas = replicas or Replicas([http.base_url], resolve=_as_it_is)

    async def knock(self) -> int:
        """The status of a claim that asks for nothing: 422 says that we are let in. Raises
        `httpx.HTTPError` when there is no answer."""
        answer = await self._call("POST", "/internal/uploads/none/claim", {})
        return answer.status_code

    async def claim(self, upload_id: str, claim_id: str, *, seconds: float) -> WorkOrder:
        """The work order. Raises `Over` when the upload is another's, not due, final or gone."""
        path = f"/internal/uploads/{upload_id}/claim"
        body = ClaimRequest(claim_id=claim_id).model_dump()
        answer = await self._repeat("POST", path, body, seconds)
        return WorkOrder.model_validate(answer.json())

    async def heartbeat(self, order: WorkOrder, stage: Stage) -> bool:
        """Renew the lease, once. False when the upload is no longer ours; a call that didn't get
        through says nothing either way.

        Every address is tried within half a lease, so that a living one hears of us in time.
        """
        seconds = min(CALL_SECONDS, order.lease_seconds / 2)
        body = Heartbeat(generation=order.generation, stage=stage).model_dump(mode="json")
        try:
            answer = await self._call(
                "POST", f"/internal/uploads/{order.upload_id}/heartbeat", body, seconds
            )
        except httpx.HTTPError as error:
            log.warning("heartbeat_lost", error=type(error).__name__)
            return True
        return _code(answer) not in _OVER

    async def report(self, order: WorkOrder, outcome: Outcome, *, seconds: float) -> None:
        """Patch the form record with the outcome.

        Raises `Over` when the generation is no longer the upload's, `OutcomeRefused`, and
        `RecordsUnavailable` when it didn't get through: then the lease will run out.
        """
        path = f"/internal/forms/{order.form_id}"
        await self._repeat("PATCH", path, outcome.model_dump(mode="json"), seconds)

    async def tell_of_worker(self, worker_id: str, report: WorkerReport) -> None:
        """Say how the worker is, once: the next report is never far."""
        body = report.model_dump(mode="json")
        try:
            await self._call("PUT", f"/internal/workers/{worker_id}", body)
        except httpx.HTTPError as error:
            log.debug("worker_report_lost", error=type(error).__name__)

    async def largest_scanned_bytes(self) -> int | None:
        """The most bytes that a file may have which is to be scanned; 0 when none is, and None
        when no api says."""
        try:
            answer = await self._call("GET", "/internal/limits", None)
            return Limits.model_validate(answer.json()).largest_scanned_bytes
        except (httpx.HTTPError, ValueError) as error:  # an api of an older version says nothing
            log.debug("limits_not_known", error=type(error).__name__)
            return None

    async def office_needs(self) -> list[str]:
        """The fields that can't do without LibreOffice. Raises `httpx.HTTPError` without an answer;
        an api that knows no such question has no such fields."""
        answer = await self._call("GET", "/internal/office-needs", None)
        return OfficeNeeds.model_validate(answer.json()).fields if answer.is_success else []

    async def claim_cleanings(self) -> list[Cleaning]:
        answer = await self._repeat(
            "POST", "/internal/cleanings/claim", CleaningClaim().model_dump(), CALL_SECONDS
        )
        return CleaningOrders.model_validate(answer.json()).cleanings

    async def confirm_cleaning(self, cleaning: Cleaning) -> None:
        report = CleaningReport(passes=cleaning.passes).model_dump()
        await self._repeat("PATCH", f"/internal/cleanings/{cleaning.id}", report, CALL_SECONDS)

    async def _repeat(
        self, method: str, path: str, body: dict[str, Any], seconds: float
    ) -> httpx.Response:
        """The answer of a call that succeeded, repeated for up to `seconds`."""
        pause, reason = FIRST_PAUSE, "no answer"
        try:
            async with asyncio.timeout(seconds):
                while True:
                    try:
                        answer = await self._call(method, path, body, min(seconds, CALL_SECONDS))
                    except httpx.HTTPError as error:
                        reason = type(error).__name__
                    else:
                        if answer.is_success:
                            return answer
                        _raise_final(answer)
                        reason = f"{answer.status_code} {answer.text[:200]}"
                    log.warning("records_call_repeated", method=method, path=path, reason=reason)
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, LAST_PAUSE)
        except TimeoutError as error:
            raise RecordsUnavailable(f"{method} {path}: {reason}") from error

    async def _call(
        self, method: str, path: str, body: dict[str, Any] | None, seconds: float = CALL_SECONDS
    ) -> httpx.Response:
        """One call, by the first replica that answers and isn't in trouble itself. Raises
        `httpx.HTTPError` for whatever keeps its answer away."""
        replicas = await self._replicas.in_turn()
        share = max(seconds / len(replicas), LEAST_SECONDS)
        answer: httpx.Response | None = None
        failure: httpx.HTTPError = httpx.ConnectError("no address")
        for replica in replicas:
            try:
                async with asyncio.timeout(share):
                    answer = await self._ask(replica, method, path, body)
            except httpx.HTTPError as error:
                failure = error
            except TimeoutError as error:
                failure = httpx.ReadTimeout(f"no answer in {share:g} s")
                failure.__cause__ = error
            else:
                if not answer.is_server_error:
                    self._replicas.answered(replica)
                    return answer
            self._replicas.silent(replica)
        if answer is None:
            raise failure
        return answer

    async def _ask(
        self, replica: Replica, method: str, path: str, body: dict[str, Any] | None
    ) -> httpx.Response:
        try:
            return await self._http.request(
                method,
                replica.url.copy_with(raw_path=f"{replica.url.path.rstrip('/')}{path}".encode()),
                json=body,
                headers={"Host": replica.host},
                extensions={"sni_hostname": replica.name},
            )
        except httpx.HTTPError:
            raise
        except Exception as error:
            # what a connection that breaks makes of an event loop: the api's answer is missing
            raise httpx.NetworkError(f"{type(error).__name__}: {error}") from error


def _raise_final(answer: httpx.Response) -> None:
    code = _code(answer)
    if code in _OVER:
        raise Over(code)
    if code == _REFUSED:
        raise OutcomeRefused(answer.text[:500])


def _code(answer: httpx.Response) -> str:
    """The code of a problem of the api's; empty for anything else that answers in its place."""
    try:
        body = answer.json() if answer.content else {}
    except ValueError:
        return ""
    return str(body.get("code", "")) if isinstance(body, dict) else ""


@asynccontextmanager
async def open_records(settings: Settings) -> AsyncIterator[RecordsClient]:
    secret = settings.internal_secret.get_secret_value()
    replicas = Replicas([httpx.URL(each) for each in settings.internal_urls])
    async with httpx.AsyncClient(
        headers={"Authorization": f"Bearer {secret}"},
        transport=AiohttpTransport(),
        trust_env=False,
    ) as http:
        yield RecordsClient(http, replicas)


async def _as_it_is(host: str, _port: int) -> list[str]:
    return [host]
