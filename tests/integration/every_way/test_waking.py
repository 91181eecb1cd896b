"""A worker is woken for a file by the request itself: nothing sweeps here."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from redis import Redis
from redis.exceptions import RedisError

from api.access.tokens import PERSON
from api.records.rows import UploadRow
from api.services import Services
from api.uploads.retry_or_remove import retry
from shared.internal_api import Retry
from shared.jobs import QUEUE_NAME, promote_job_id
from tests.support.begun import PATIENCE, begin, each_way, services_in
from tests.support.compose import run_redis

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with run_redis(tmp_path_factory.mktemp("redis")) as (env, _, port):
        client = Redis("127.0.0.1", port, password=env["REDISCLI_AUTH"])
        while True:
            try:
                client.ping()
                break
            except RedisError:
                continue
        yield client
        client.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def waking(tmp_path_factory: pytest.TempPathFactory, redis: Redis) -> AsyncIterator[Services]:
    named = redis.connection_pool.connection_kwargs
    url = f"redis://:{named['password']}@127.0.0.1:{named['port']}/0"
    async with services_in(tmp_path_factory.mktemp("waking"), redis_url=url) as services:
        yield services


async def _is_woken(redis: Redis, row: UploadRow) -> None:
    async with asyncio.timeout(PATIENCE):
        while redis.zscore(QUEUE_NAME, promote_job_id(row.id, row.wake)) is None:  # noqa: ASYNC110 - Redis sets no event
            await asyncio.sleep(0.01)


@each_way
async def test_a_worker_is_woken_for_a_file_at_once(
    waking: Services, redis: Redis, way: str
) -> None:
    async with begin(waking) as begun:
        assert (await begun.send(way)).status_code in (201, 202, 303)
        (upload_id,) = begun.files()
        await _is_woken(redis, await begun.row(upload_id))


async def test_and_so_it_is_for_one_that_is_used_again_or_handed_on_or_tried_again(
    waking: Services, redis: Redis
) -> None:
    async with begin(waking) as begun:
        scene = begun.scene
        first = await scene.staged("pair")
        again = (await begun.reuse(first)).json()
        await _is_woken(redis, await begun.row(again["id"]))
        order = await scene.claimed(first)
        ids = {"upload_id": first.id, "generation": order.generation}
        await _is_woken(redis, await scene.report(Retry(**ids, cause="shutdown", counted=False)))
        await scene.set_all(status="failed", error={"code": "deadline-passed", "retryable": True})
        await _is_woken(redis, await retry(waking, first, by=PERSON))
