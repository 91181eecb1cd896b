"""A received byte is hashed once on its way from the volume to the bucket, in whichever process."""

import asyncio
import hashlib
import json
import os
import sys
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.openapi.examples import APPLIED, ORDER, UPLOAD_ID
from shared.volume import MARKER
from tests.support import images
from tests.support.hashes import count_hashed
from tests.support.s3 import BUCKET, S3Endpoint
from tests.unit.test_promoter import settings as worker_settings
from worker.breaker import Breaker
from worker.children import Children, Commands
from worker.main import storing_for
from worker.object_store import open_object_store
from worker.pipeline import Pipeline
from worker.promoter import Promoter
from worker.records_client import RecordsClient
from worker.sandbox import Decoder

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="nothing is forked elsewhere")

HASHES_NOTHING = """
import hashlib, sys
from worker.decoder import zygote
def work(parent_pid):
    hashlib.sha256 = hashlib.file_digest = None
    zygote.decode(parent_pid)
zygote.main(int(sys.argv[1]), zygote.Life(work, zygote.rehearse))
"""


@pytest.mark.parametrize(
    ("padding", "times"),
    [(100_000, 1), (6_000_000, 2)],
    ids=["put whole: once", "put in parts: once for all of it, and once for its part"],
)
async def test_a_file_that_is_stored_as_it_came_is_hashed_when_it_is_verified_and_not_again(
    tmp_path: Path,
    seaweedfs: S3Endpoint,
    monkeypatch: pytest.MonkeyPatch,
    padding: int,
    times: int,
) -> None:
    content = images.pdf(3)
    content = content.replace(
        b"\n1 0 obj", b"\n%" + os.urandom(padding).hex().encode() + b"\n1 0 obj"
    )
    digest = hashlib.sha256(content).hexdigest()
    order = ORDER | {
        "size": len(content),
        "sha256": digest,
        "key_prefix": f"{uuid.uuid4().hex}/",
        "policy": {"accept": ["application/pdf"], "max_bytes": 10**8},
    }
    (tmp_path / MARKER).write_text(order["volume_id"])
    (tmp_path / order["staged_path"]).parent.mkdir()
    (tmp_path / order["staged_path"]).write_bytes(content)
    counted, stored = await promoted(tmp_path, order, seaweedfs, monkeypatch)
    assert (stored["outcome"], stored["object"]["sha256"]) == ("stored", digest)
    assert counted // len(content) == times
    found = seaweedfs.client.get_object(Bucket=BUCKET, Key=stored["object"]["key"])
    assert found["Body"].read() == content


async def promoted(
    folder: Path,
    order: dict[str, Any],
    endpoint: S3Endpoint,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[int, dict[str, Any]]:
    """The bytes that were hashed for it, and its outcome."""
    told: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    async def api(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/claim"):
            return httpx.Response(200, json=order)
        if request.method == "PATCH":
            told.set_result(json.loads(request.content))
        return httpx.Response(200, json=APPLIED)

    settings = worker_settings(folder)
    zygote = (sys.executable, "-P", "-s", "-c", HASHES_NOTHING)
    children = Children(commands=Commands(zygote=zygote, fresh=("/nowhere/python",)))
    transport = httpx.MockTransport(api)
    async with (
        httpx.AsyncClient(transport=transport, base_url="http://api") as http,
        open_object_store(endpoint.settings()) as store,
        Decoder(children) as decoder,
    ):
        await store.self_test()
        storing = storing_for(settings, Breaker())
        promoter = Promoter(RecordsClient(http), Pipeline(store, storing, decoder, settings))
        count = count_hashed(monkeypatch)
        await promoter.promote(UPLOAD_ID)
        async with asyncio.timeout(20):
            outcome = await told
        promoter.stop(0)
        await promoter.end(5)
        return count(), outcome
