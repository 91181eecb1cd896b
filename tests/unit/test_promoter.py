"""A job ends well, whatever it meets: the queue's library would drop one that raises."""

import asyncio
import json
from pathlib import Path
from typing import cast

import httpx
import pytest

from api.openapi.examples import APPLIED, FORM_ID, ORDER, UPLOAD_ID
from worker.main import storing_for
from worker.object_store import Breaker, ObjectStore
from worker.pipeline import Promoter
from worker.records_client import RecordsClient
from worker.settings import Settings


class SlowApi:
    """Grants a claim when it is let, and keeps the outcomes it is told."""

    def __init__(self) -> None:
        self.asked, self.granted = asyncio.Event(), asyncio.Event()
        self.outcomes: list[dict[str, object]] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/heartbeat"):
            return httpx.Response(204)
        if request.url.path.endswith("/claim"):
            self.asked.set()
            await self.granted.wait()
            return httpx.Response(200, json=ORDER)
        assert request.url.path == f"/internal/forms/{FORM_ID}"
        self.outcomes.append(json.loads(request.content))
        return httpx.Response(200, json=APPLIED)


def settings(folder: Path) -> Settings:
    return Settings(
        environment="dev",
        redis_url="redis://127.0.0.1:1/0",
        staging_dir=folder,
        scratch_dir=folder,
        internal_url="http://api",
        internal_secret="change-me",
        s3_bucket="bucket",
        s3_access_key_id="key",
        s3_secret_access_key="secret",
    )


def promoter_of(http: httpx.AsyncClient, folder: Path) -> Promoter:
    own = settings(folder)
    storing = storing_for(own, Breaker())
    return Promoter(RecordsClient(http), cast("ObjectStore", None), storing, own)


async def test_a_claim_that_is_granted_to_a_stopping_worker_is_handed_on(tmp_path: Path) -> None:
    api = SlowApi()
    transport = httpx.MockTransport(api)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as http:
        promoter = promoter_of(http, tmp_path)
        promoting = asyncio.create_task(promoter.promote(UPLOAD_ID))
        await api.asked.wait()
        promoting.cancel()
        await asyncio.sleep(0)
        api.granted.set()
        await asyncio.wait([promoting])
    assert promoting.cancelled()
    (outcome,) = api.outcomes
    assert (outcome["outcome"], outcome["cause"]) == ("retry", "shutdown")
    assert not outcome["counted"]


async def test_an_error_nobody_knows_is_an_attempt_and_ends_no_job_by_an_exception(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("nobody knows it")

    monkeypatch.setattr("worker.pipeline.verified", broken)
    api = SlowApi()
    api.granted.set()
    transport = httpx.MockTransport(api)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as http:
        promoter = promoter_of(http, tmp_path)
        await promoter.promote(UPLOAD_ID)
    (outcome,) = api.outcomes
    assert (outcome["outcome"], outcome["cause"]) == ("retry", "unexpected")
    assert outcome["counted"]
