"""The worker's self-test says in words what a store can't do, on every kind that we can start."""

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from botocore.exceptions import ClientError

from dev.ports import free_port
from shared.status import StoreState
from tests.support.s3 import BUCKET, HOST, ROOT, S3Endpoint, key_without
from worker.breaker import Breaker
from worker.object_store import ObjectStore, StoreSettings, open_object_store
from worker.object_store import self_test as under_test
from worker.object_store.self_test import PREFIX, SelfTest

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def strict_store(seaweedfs: S3Endpoint) -> AsyncIterator[ObjectStore]:
    async with open_object_store(seaweedfs.settings()) as opened:
        yield opened


async def found_with(settings: StoreSettings) -> list[str]:
    async with open_object_store(settings) as store:
        return [f"{each.level} {each}" for each in (await store.self_test()).findings]


def left(endpoint: S3Endpoint) -> list[Any]:
    objects = endpoint.client.list_objects_v2(Bucket=BUCKET, Prefix=PREFIX).get("Contents", [])
    parts = endpoint.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
    return [*objects, *(begun for begun in parts if begun["Key"].startswith(PREFIX))]


class Answered:
    """The store's own client, with some calls answered by the test."""

    def __init__(self, store: ObjectStore, **calls: Callable[..., Any]) -> None:
        self._client = store._client
        self.__dict__.update(calls)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def refusing(name: str, code: str, status: int) -> Callable[..., Any]:
    async def refuse(**_: Any) -> Any:
        answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
        raise ClientError(answer, name)

    return refuse


async def found_by(endpoint: S3Endpoint, client: Any) -> list[str]:
    tested = await SelfTest(client, endpoint.settings()).run()
    return [f"{each.level} {each}" for each in tested.findings]


async def test_a_store_that_does_all_is_one_line_and_nothing_stays_in_the_bucket(
    seaweedfs: S3Endpoint,
) -> None:
    assert await found_with(seaweedfs.settings()) == [
        f"ok S3_ENDPOINT_URL: {seaweedfs.url} does all that is asked of bucket {BUCKET!r}"
    ]
    assert left(seaweedfs) == []


async def test_a_store_that_lists_everybodys_multiparts_loses_none_of_others(
    strict_store: ObjectStore, seaweedfs: S3Endpoint
) -> None:
    async def list_multipart_uploads(**arguments: Any) -> Any:
        arguments.pop("Prefix")
        return await strict_store._client.list_multipart_uploads(**arguments)

    theirs = {"Bucket": BUCKET, "Key": "others/a.png"}
    begun = seaweedfs.client.create_multipart_upload(**theirs)["UploadId"]
    await found_by(seaweedfs, Answered(strict_store, list_multipart_uploads=list_multipart_uploads))
    assert left(seaweedfs) == []
    seaweedfs.client.abort_multipart_upload(**theirs, UploadId=begun)  # raises for one that is gone


async def test_a_store_that_looks_at_nothing_is_told_by_what_it_lacks(moto: S3Endpoint) -> None:
    found = await found_with(moto.settings())
    assert all(line.startswith("warning ") for line in found), found
    assert any("aren't those of their SHA-256" in line for line in found)
    assert left(moto) == []


async def test_objects_that_anybody_may_read_are_a_warning(
    strict_store: ObjectStore, seaweedfs: S3Endpoint
) -> None:
    async def give(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(give, HOST, 0) as server:
        url = f"http://{HOST}:{server.sockets[0].getsockname()[1]}/object?signature"

        async def generate_presigned_url(*_: Any, **__: Any) -> str:
            return url

        public = Answered(strict_store, generate_presigned_url=generate_presigned_url)
        (line,) = await found_by(seaweedfs, public)
    assert line.startswith("warning S3_BUCKET: anybody may read its objects without a link")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bucket": "nowhere", **ROOT}, "S3_BUCKET: there is no bucket 'nowhere'; make it"),
        (
            {
                "bucket": "nowhere"
            },  # of which the worker's key may not even know that it isn't there
            "S3_ACCESS_KEY_ID: the store refuses PutObject in bucket 'nowhere' (AccessDenied); allow",
        ),
        ({"bucket": "No Bucket"}, "S3_BUCKET: 'No Bucket' is no name of a bucket"),
        ({"access_key_id": "AKIANOBODY"}, "S3_ACCESS_KEY_ID: the store doesn't know this key"),
        ({"secret_access_key": "no"}, "S3_SECRET_ACCESS_KEY: isn't that of S3_ACCESS_KEY_ID"),
    ],
)
async def test_what_is_wrong_with_a_setting_is_one_line_that_names_it(
    change: dict[str, Any], said: str, seaweedfs: S3Endpoint
) -> None:
    (line,) = await found_with(dataclasses.replace(seaweedfs.settings(), **change))
    assert line.startswith(f"wrong {said}")


@pytest.mark.parametrize("host", [HOST, "nowhere.invalid"])
async def test_a_store_that_is_away_is_named_by_its_address(
    host: str, seaweedfs: S3Endpoint
) -> None:
    port = free_port()
    url = f"http://{host}:{port}"
    (line,) = await found_with(dataclasses.replace(seaweedfs.settings(), endpoint_url=url))
    assert line.startswith("wrong S3_ENDPOINT_URL: ")
    assert f"{host}:{port}" in line


async def test_a_store_that_never_answers_is_given_a_bounded_time(
    seaweedfs: S3Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            pass
        writer.close()

    monkeypatch.setattr(under_test, "SECONDS", 0.5)
    async with await asyncio.start_server(never_answer, HOST, 0) as server:
        url = f"http://{HOST}:{server.sockets[0].getsockname()[1]}"
        began = time.monotonic()
        (line,) = await found_with(dataclasses.replace(seaweedfs.settings(), endpoint_url=url))
    assert "doesn't answer in time" in line
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("call", "permission"),
    [
        ("s3:PutObject", "s3:PutObject on its objects"),
        ("s3:GetObject", "s3:GetObject on its objects"),
        ("s3:ListBucket", "s3:ListBucket on the bucket"),
        ("s3:DeleteObject", "s3:DeleteObject on its objects"),
    ],
)
async def test_a_permission_that_is_missing_is_named(
    call: str, permission: str, seaweedfs: S3Endpoint
) -> None:
    lacking: Any = key_without(call)
    found = await found_with(dataclasses.replace(seaweedfs.settings(), **lacking))
    assert any(
        line.startswith("wrong S3_ACCESS_KEY_ID: the store refuses")
        and line.endswith(f"; allow {permission}")
        for line in found
    ), found
    seaweedfs.empty(PREFIX)


async def test_a_store_without_conditional_writes_will_do_with_a_warning(
    strict_store: ObjectStore, seaweedfs: S3Endpoint
) -> None:
    async def put_object(**arguments: Any) -> Any:
        if "IfNoneMatch" in arguments:
            await refusing("PutObject", "NotImplemented", 501)()
        return await strict_store._client.put_object(**arguments)

    found = await found_by(seaweedfs, Answered(strict_store, put_object=put_object))
    (line,) = found
    assert line.startswith("warning S3_ENDPOINT_URL: the store knows no conditional writes")


async def test_a_store_that_keeps_no_metadata_is_a_warning(
    strict_store: ObjectStore, seaweedfs: S3Endpoint
) -> None:
    async def head_object(**arguments: Any) -> Any:
        return {**await strict_store._client.head_object(**arguments), "Metadata": {}}

    (line,) = await found_by(seaweedfs, Answered(strict_store, head_object=head_object))
    assert line.startswith("warning S3_ENDPOINT_URL: the store keeps no metadata")


async def test_a_store_without_multiparts_is_named_by_the_call(
    strict_store: ObjectStore, seaweedfs: S3Endpoint
) -> None:
    unable = refusing("CreateMultipartUpload", "NotImplemented", 501)
    (line,) = await found_by(seaweedfs, Answered(strict_store, create_multipart_upload=unable))
    assert line.startswith("wrong S3_ENDPOINT_URL: the store fails at CreateMultipartUpload (501 ")
    assert left(seaweedfs) == []


async def test_a_refused_call_opens_the_breaker(seaweedfs: S3Endpoint) -> None:
    breaker = Breaker()
    nowhere = dataclasses.replace(seaweedfs.settings(), bucket="nowhere")
    async with open_object_store(nowhere, breaker) as store:
        with pytest.raises(Exception, match="store-refused"):
            await store.clean("a/upl_1.1/")
    assert breaker.state is StoreState.REFUSED


async def test_whatever_a_store_answers_is_a_sign_of_life_and_a_failure_is_none(
    seaweedfs: S3Endpoint,
) -> None:
    ours = seaweedfs.settings()
    strangers = dataclasses.replace(ours, access_key_id="AKIANOBODY")
    for settings in (ours, dataclasses.replace(ours, bucket="nowhere"), strangers):
        now = [0.0]
        breaker = Breaker(lambda: now[0])  # noqa: B023 - used within this turn
        async with open_object_store(settings, breaker) as store:
            now[0] = 9
            assert await store.knock(10) is None
            assert breaker.silent_seconds == 0
        away = dataclasses.replace(settings, endpoint_url=f"http://{HOST}:{free_port()}")
        async with open_object_store(away, breaker) as store:
            now[0] = 20
            found = await store.knock(10)
            assert "nothing listens" in str(found)
            assert breaker.silent_seconds == 11


async def test_a_knock_at_a_store_that_never_answers_takes_a_bounded_time(
    seaweedfs: S3Endpoint,
) -> None:
    async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            pass
        writer.close()

    async with await asyncio.start_server(never_answer, HOST, 0) as server:
        url = f"http://{HOST}:{server.sockets[0].getsockname()[1]}"
        settings = dataclasses.replace(seaweedfs.settings(), endpoint_url=url)
        async with open_object_store(settings) as store:
            began = time.monotonic()
            found = await store.knock(0.5)
    assert "doesn't answer in time" in str(found)
    assert time.monotonic() - began < 5
