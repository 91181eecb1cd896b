"""What the worker relies on in an object store, on every kind of store we can start."""

import asyncio
import dataclasses
import hashlib
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from email.header import decode_header, make_header
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from botocore.exceptions import ClientError, ConnectionClosedError

from api.openapi.examples import ORDER
from dev.ports import free_port
from shared.internal_api import WorkOrder
from shared.status import StoreState
from tests.support.hashes import count_hashed
from tests.support.s3 import BUCKET, HOST, S3Endpoint
from worker.breaker import Breaker
from worker.errors import SourceChanged, TransientError
from worker.hashed import hash_file
from worker.object_store import (
    ObjectGone,
    ObjectStore,
    StoreSettings,
    metadata_of,
    open_object_store,
)

# one client for all: it takes longer to make than most tests
pytestmark = pytest.mark.asyncio(loop_scope="module")

MIB = 1024 * 1024
LARGE = 6 * MIB  # two parts
PNG = "image/png"


@dataclasses.dataclass(frozen=True)
class Staged:
    """A file, and what the record says of it."""

    path: Path
    content: bytes

    @property
    def facts(self) -> dict[str, Any]:
        digest = hashlib.sha256(self.content).hexdigest()
        return {"content_type": PNG, "size": len(self.content), "sha256": digest}


def stage(folder: Path, size: int, *, name: str = "staged", seed: int = 1) -> Staged:
    block = hashlib.shake_256(bytes([seed])).digest(MIB)
    content = (block * (size // MIB + 1))[:size]
    path = folder / name
    path.write_bytes(content)
    return Staged(path, content)


@pytest.fixture
def prefix() -> str:
    return f"{uuid.uuid4().hex}/upl_1.1/"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def store(endpoint: S3Endpoint) -> AsyncIterator[ObjectStore]:
    async with open_object_store(endpoint.settings()) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def strict_store(seaweedfs: S3Endpoint) -> AsyncIterator[ObjectStore]:
    """The store that looks at checksums, for what depends on that and for answers made up here."""
    async with open_object_store(seaweedfs.settings()) as opened:
        yield opened


class Client:
    """The store's own client, with some calls answered by the test."""

    def __init__(self, client: Any, **calls: Callable[..., Awaitable[Any]]) -> None:
        self._client = client
        self.__dict__.update(calls)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def with_calls(
    store: ObjectStore, endpoint: S3Endpoint, **calls: Callable[..., Awaitable[Any]]
) -> ObjectStore:
    client: Any = Client(store._client, **calls)
    return ObjectStore(client, dataclasses.replace(endpoint.settings(), put_concurrency=1))


def keys_under(endpoint: S3Endpoint, prefix: str) -> list[str]:
    listed = endpoint.client.list_objects_v2(Bucket=BUCKET, Prefix=prefix)
    return [found["Key"] for found in listed.get("Contents", [])]


def multiparts_under(endpoint: S3Endpoint, prefix: str) -> list[str]:
    listed = endpoint.client.list_multipart_uploads(Bucket=BUCKET, Prefix=prefix)
    return [upload["Key"] for upload in listed.get("Uploads", [])]


def content_of(endpoint: S3Endpoint, key: str) -> bytes:
    content: bytes = endpoint.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    return content


def refusal(operation: str, status: int, code: str) -> ClientError:
    answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, operation)


async def test_a_small_file_is_stored_with_its_type(
    store: ObjectStore, endpoint: S3Endpoint, prefix: str, tmp_path: Path
) -> None:
    staged = stage(tmp_path, 70_000)
    await store.put(staged.path, prefix + "a.png", **staged.facts)
    head = endpoint.client.head_object(Bucket=BUCKET, Key=prefix + "a.png")
    assert head["ContentType"] == PNG
    assert content_of(endpoint, prefix + "a.png") == staged.content


async def test_a_put_that_succeeds_lets_the_others_go_on(
    strict_store: ObjectStore, seaweedfs: S3Endpoint, prefix: str, tmp_path: Path
) -> None:
    breaker = Breaker()
    breaker.trip(StoreState.AWAY, "it was, a moment ago")
    staged = stage(tmp_path, 100)
    store = ObjectStore(strict_store._client, seaweedfs.settings(), breaker)
    await store.put(staged.path, prefix + "a.png", **staged.facts)
    assert not breaker.is_open


@pytest.mark.parametrize("size", [5 * MIB - 1, 10 * MIB, 20 * MIB + 1])
async def test_a_large_file_is_stored_whole_and_leaves_no_multipart(
    store: ObjectStore, endpoint: S3Endpoint, prefix: str, tmp_path: Path, size: int
) -> None:
    staged = stage(tmp_path, size)
    await store.put(staged.path, prefix + "a.png", **staged.facts)
    head = endpoint.client.head_object(Bucket=BUCKET, Key=prefix + "a.png")
    assert (head["ContentType"], head["ContentLength"]) == (PNG, size)
    assert content_of(endpoint, prefix + "a.png") == staged.content
    assert multiparts_under(endpoint, prefix) == []


@pytest.mark.parametrize("size", [1_000, LARGE])
@pytest.mark.parametrize(
    "filename",
    [
        "plain name.pdf",
        "Zoë's “licence” №1.jpg",
        "👩🏽‍⚕️ 🪪.png",
        "é" * 125 + "1.jpg",
        "two\r\nlines: x.jpg",
        " two  spaces .pdf",
        "=?UTF-8?Q?an=20encoded_word?=.pdf",
    ],
)
async def test_an_object_says_of_which_upload_it_is_and_what_the_person_called_it(
    store: ObjectStore,
    endpoint: S3Endpoint,
    prefix: str,
    tmp_path: Path,
    filename: str,
    size: int,
) -> None:
    order = WorkOrder.model_validate({**ORDER, "filename": filename})
    staged = stage(tmp_path, size)
    metadata = metadata_of(order, PNG)
    await store.put(staged.path, prefix + "a.png", **staged.facts, metadata=metadata)
    head = endpoint.client.head_object(Bucket=BUCKET, Key=prefix + "a.png")
    read = {
        name: str(make_header(decode_header(value))) for name, value in head["Metadata"].items()
    }
    assert read == {"upload-id": order.upload_id, "filename": filename, "detected-type": PNG}


@pytest.mark.parametrize("size", [1, 100_000, LARGE])
async def test_putting_the_same_bytes_again_is_fine(
    store: ObjectStore, prefix: str, tmp_path: Path, size: int
) -> None:
    staged = stage(tmp_path, size)
    await store.put(staged.path, prefix + "a.png", **staged.facts)
    await store.put(staged.path, prefix + "a.png", **staged.facts)


@pytest.mark.parametrize("size", [100_000, LARGE])
async def test_other_bytes_never_replace_an_object(
    store: ObjectStore, endpoint: S3Endpoint, prefix: str, tmp_path: Path, size: int
) -> None:
    first, second = (stage(tmp_path, size, name=f"file{seed}", seed=seed) for seed in (1, 2))
    await store.put(first.path, prefix + "a.png", **first.facts)
    with pytest.raises(TransientError) as failure:
        await store.put(second.path, prefix + "a.png", **second.facts)
    assert (failure.value.cause, failure.value.counted) == ("store", False)
    assert content_of(endpoint, prefix + "a.png") == first.content
    assert multiparts_under(endpoint, prefix) == []


async def test_bytes_put_in_other_parts_before_are_recognised(
    store: ObjectStore, endpoint: S3Endpoint, prefix: str, tmp_path: Path
) -> None:
    staged = stage(tmp_path, 11 * MIB)
    await store.put(staged.path, prefix + "a.png", **staged.facts)
    settings = dataclasses.replace(endpoint.settings(), part_bytes=6 * MIB)
    await ObjectStore(store._client, settings).put(staged.path, prefix + "a.png", **staged.facts)


async def test_at_most_the_agreed_number_of_parts_is_in_memory(
    strict_store: ObjectStore, seaweedfs: S3Endpoint, prefix: str, tmp_path: Path
) -> None:
    staged = stage(tmp_path, 20 * MIB)
    under_way = most = 0

    async def upload_part(**part: Any) -> Any:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.1)
        try:
            return await strict_store._client.upload_part(**part)
        finally:
            under_way -= 1

    client: Any = Client(strict_store._client, upload_part=upload_part)
    settings = dataclasses.replace(seaweedfs.settings(), put_concurrency=2)
    await ObjectStore(client, settings).put(staged.path, prefix + "a.png", **staged.facts)
    assert most == 2


@pytest.mark.parametrize("call", ["create_multipart_upload", "upload_part"])
async def test_a_cancelled_put_leaves_no_multipart(
    store: ObjectStore, endpoint: S3Endpoint, prefix: str, tmp_path: Path, call: str
) -> None:
    staged = stage(tmp_path, LARGE)
    reached = asyncio.Event()

    async def slow(**arguments: Any) -> Any:
        answer = await getattr(store._client, call)(**arguments)
        reached.set()
        await asyncio.sleep(0.3)
        return answer

    slowed = with_calls(store, endpoint, **{call: slow})
    putting = asyncio.create_task(slowed.put(staged.path, prefix + "a.png", **staged.facts))
    await reached.wait()
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    assert multiparts_under(endpoint, prefix) == []
    assert keys_under(endpoint, prefix) == []


async def test_the_callers_deadline_ends_a_put_to_a_store_that_never_answers(
    tmp_path: Path,
) -> None:
    staged = stage(tmp_path, 100_000)
    async with await asyncio.start_server(_never_answer, HOST, 0) as server:
        port = server.sockets[0].getsockname()[1]
        started = time.monotonic()
        async with open_object_store(settings_of(port)) as silent:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await silent.put(staged.path, "a/upl_1.1/a.png", **staged.facts)
        assert time.monotonic() - started < 3


async def _never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(MIB):
        pass
    writer.close()


@pytest.mark.parametrize("size", [100_000, LARGE])
async def test_a_file_that_shrank_is_never_stored(
    store: ObjectStore, endpoint: S3Endpoint, prefix: str, tmp_path: Path, size: int
) -> None:
    staged = stage(tmp_path, size)
    staged.path.write_bytes(staged.content[:-1])
    with pytest.raises(SourceChanged):
        await store.put(staged.path, prefix + "a.png", **staged.facts)
    assert keys_under(endpoint, prefix) == []
    assert multiparts_under(endpoint, prefix) == []


async def test_a_file_that_shrinks_while_it_is_put_is_never_stored(
    strict_store: ObjectStore, seaweedfs: S3Endpoint, prefix: str, tmp_path: Path
) -> None:
    staged = stage(tmp_path, LARGE)

    async def upload_part(**part: Any) -> Any:
        staged.path.write_bytes(staged.content[: 5 * MIB + 1])
        return await strict_store._client.upload_part(**part)

    shrinking = with_calls(strict_store, seaweedfs, upload_part=upload_part)
    with pytest.raises(SourceChanged):
        await shrinking.put(staged.path, prefix + "a.png", **staged.facts)
    assert keys_under(seaweedfs, prefix) == []
    assert multiparts_under(seaweedfs, prefix) == []


@pytest.mark.parametrize("size", [100_000, LARGE])
@pytest.mark.parametrize(
    "change", ["another byte", "another byte first", "one more byte", "one byte less", "no bytes"]
)
async def test_a_file_with_another_digest_or_length_is_never_stored(
    strict_store: ObjectStore,
    seaweedfs: S3Endpoint,
    prefix: str,
    tmp_path: Path,
    size: int,
    change: str,
) -> None:
    staged = stage(tmp_path, size)
    changed = {
        "another byte": staged.content[:-1] + bytes([staged.content[-1] ^ 1]),
        "another byte first": bytes([staged.content[0] ^ 1]) + staged.content[1:],
        "one more byte": staged.content + b"!",
        "one byte less": staged.content[:-1],
        "no bytes": b"",
    }
    staged.path.write_bytes(changed[change])
    with pytest.raises(SourceChanged) as failure:
        await strict_store.put(staged.path, prefix + "a.png", **staged.facts)
    assert (failure.value.cause, failure.value.counted) == ("volume", False)
    assert keys_under(seaweedfs, prefix) == []
    assert multiparts_under(seaweedfs, prefix) == []


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def trusted_store(seaweedfs: S3Endpoint) -> AsyncIterator[ObjectStore]:
    """One that was seen to refuse bytes that aren't those of their SHA-256."""
    async with open_object_store(seaweedfs.settings()) as opened:
        await opened.self_test()
        yield opened


@pytest.mark.parametrize("size", [100_000, LARGE])
async def test_what_was_hashed_before_is_put_without_hashing_it_again(
    trusted_store: ObjectStore,
    seaweedfs: S3Endpoint,
    prefix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    size: int,
) -> None:
    staged = stage(tmp_path, size)
    hashed, facts = hash_file(staged.path, trusted_store.part_bytes), staged.facts
    count = count_hashed(monkeypatch)
    await trusted_store.put(staged.path, prefix + "a.png", hashed=hashed, **facts)
    assert count() < 1000, "the digests of parts are hashed, and no bytes of the file"
    assert content_of(seaweedfs, prefix + "a.png") == staged.content
    await trusted_store.put(staged.path, prefix + "b.png", **facts)
    assert count() >= size


@pytest.mark.parametrize("size", [100_000, LARGE])
@pytest.mark.parametrize("how", ["in place", "by another file"])
async def test_what_changed_since_it_was_hashed_is_never_stored(
    trusted_store: ObjectStore,
    seaweedfs: S3Endpoint,
    prefix: str,
    tmp_path: Path,
    size: int,
    how: str,
) -> None:
    staged = stage(tmp_path, size)
    hashed = hash_file(staged.path, trusted_store.part_bytes)
    changed = bytes([staged.content[0] ^ 1]) + staged.content[1:]
    if how == "in place":
        with staged.path.open("r+b") as file:
            file.write(changed[:1])
    else:
        (tmp_path / "other").write_bytes(changed)
        (tmp_path / "other").replace(staged.path)
    with pytest.raises(SourceChanged):
        await trusted_store.put(staged.path, prefix + "a.png", hashed=hashed, **staged.facts)
    assert keys_under(seaweedfs, prefix) == []
    assert multiparts_under(seaweedfs, prefix) == []


@pytest.mark.parametrize("size", [100_000, LARGE])
@pytest.mark.parametrize("tested", [True, False])
async def test_bytes_that_a_disk_changed_unseen_since_they_were_hashed_are_never_stored(
    seaweedfs: S3Endpoint, prefix: str, tmp_path: Path, size: int, *, tested: bool
) -> None:
    """Whether the store was seen to notice them or not."""
    staged = stage(tmp_path, size)
    before = hash_file(staged.path, seaweedfs.settings().part_bytes)
    staged.path.write_bytes(bytes([staged.content[0] ^ 1]) + staged.content[1:])
    hashed = before._replace(state=hash_file(staged.path, MIB).state)  # as if nobody had written
    async with open_object_store(seaweedfs.settings()) as store:
        if tested:
            await store.self_test()
        with pytest.raises(SourceChanged):
            await store.put(staged.path, prefix + "a.png", hashed=hashed, **staged.facts)
    assert keys_under(seaweedfs, prefix) == []
    assert multiparts_under(seaweedfs, prefix) == []


async def test_a_missing_file_is_the_volumes_fault(
    strict_store: ObjectStore, prefix: str, tmp_path: Path
) -> None:
    staged = stage(tmp_path, 100)
    staged.path.unlink()
    with pytest.raises(TransientError) as failure:
        await strict_store.put(staged.path, prefix + "a.png", **staged.facts)
    assert (failure.value.cause, failure.value.counted) == ("volume", False)


@pytest.mark.parametrize("size", [100_000, LARGE])
async def test_a_byte_flipped_on_the_way_is_noticed(
    strict_store: ObjectStore, seaweedfs: S3Endpoint, prefix: str, tmp_path: Path, size: int
) -> None:
    staged = stage(tmp_path, size)

    def flipped(call: str) -> Callable[..., Awaitable[Any]]:
        async def send(**arguments: Any) -> Any:
            body = arguments["Body"]
            arguments["Body"] = bytes([body[0] ^ 1]) + body[1:]
            return await getattr(strict_store._client, call)(**arguments)

        return send

    noisy = with_calls(
        strict_store,
        seaweedfs,
        put_object=flipped("put_object"),
        upload_part=flipped("upload_part"),
    )
    with pytest.raises(TransientError):
        await noisy.put(staged.path, prefix + "a.png", **staged.facts)
    assert keys_under(seaweedfs, prefix) == []
    assert multiparts_under(seaweedfs, prefix) == []


@pytest.mark.parametrize("size", [100_000, LARGE])
async def test_a_store_that_keeps_no_checksums_is_read_back(
    strict_store: ObjectStore, seaweedfs: S3Endpoint, prefix: str, tmp_path: Path, size: int
) -> None:
    staged, other = (stage(tmp_path, size, name=f"file{seed}", seed=seed) for seed in (1, 2))

    async def head_object(**arguments: Any) -> Any:
        head = await strict_store._client.head_object(**arguments)
        return {name: value for name, value in head.items() if name != "ChecksumSHA256"}

    forgetful = with_calls(strict_store, seaweedfs, head_object=head_object)
    await forgetful.put(staged.path, prefix + "a.png", **staged.facts)
    with pytest.raises(TransientError):
        await forgetful.put(other.path, prefix + "a.png", **other.facts)


async def test_a_lost_answer_to_the_last_call_is_no_failure(
    strict_store: ObjectStore, seaweedfs: S3Endpoint, prefix: str, tmp_path: Path
) -> None:
    staged = stage(tmp_path, LARGE)

    async def complete(**arguments: Any) -> Any:
        await strict_store._client.complete_multipart_upload(**arguments)
        raise ConnectionClosedError(endpoint_url=seaweedfs.url)

    losing = with_calls(strict_store, seaweedfs, complete_multipart_upload=complete)
    await losing.put(staged.path, prefix + "a.png", **staged.facts)
    assert content_of(seaweedfs, prefix + "a.png") == staged.content


async def test_a_last_call_that_did_nothing_leaves_no_multipart(
    strict_store: ObjectStore, seaweedfs: S3Endpoint, prefix: str, tmp_path: Path
) -> None:
    staged = stage(tmp_path, LARGE)

    async def complete(**_: Any) -> Any:
        raise refusal("CompleteMultipartUpload", 500, "InternalError")

    failing = with_calls(strict_store, seaweedfs, complete_multipart_upload=complete)
    with pytest.raises(TransientError) as failure:
        await failing.put(staged.path, prefix + "a.png", **staged.facts)
    assert failure.value.cause == "store"
    assert multiparts_under(seaweedfs, prefix) == []


@pytest.mark.parametrize(
    ("call", "size"), [("put_object", 100_000), ("complete_multipart_upload", LARGE)]
)
async def test_a_conflict_is_tried_again_from_the_start(
    strict_store: ObjectStore,
    seaweedfs: S3Endpoint,
    prefix: str,
    tmp_path: Path,
    call: str,
    size: int,
) -> None:
    staged = stage(tmp_path, size)
    tries = 0

    async def conflicting(**arguments: Any) -> Any:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise refusal(call, 409, "ConditionalRequestConflict")
        return await getattr(strict_store._client, call)(**arguments)

    busy = with_calls(strict_store, seaweedfs, **{call: conflicting})
    await busy.put(staged.path, prefix + "a.png", **staged.facts)
    assert content_of(seaweedfs, prefix + "a.png") == staged.content
    assert multiparts_under(seaweedfs, prefix) == []


async def test_endless_conflicts_give_up(
    strict_store: ObjectStore, seaweedfs: S3Endpoint, prefix: str, tmp_path: Path
) -> None:
    staged = stage(tmp_path, 100)

    async def put_object(**_: Any) -> Any:
        raise refusal("PutObject", 409, "ConditionalRequestConflict")

    with pytest.raises(TransientError):
        await with_calls(strict_store, seaweedfs, put_object=put_object).put(
            staged.path, prefix + "a.png", **staged.facts
        )


@pytest.mark.parametrize(
    ("call", "size"), [("put_object", 100_000), ("complete_multipart_upload", LARGE)]
)
async def test_a_store_without_conditional_writes_is_written_without_them(
    strict_store: ObjectStore,
    seaweedfs: S3Endpoint,
    prefix: str,
    tmp_path: Path,
    call: str,
    size: int,
) -> None:
    staged = stage(tmp_path, size)

    async def unconditional(**arguments: Any) -> Any:
        if "IfNoneMatch" in arguments:
            raise refusal(call, 501, "NotImplemented")
        return await getattr(strict_store._client, call)(**arguments)

    simple = with_calls(strict_store, seaweedfs, **{call: unconditional})
    await simple.put(staged.path, prefix + "a.png", **staged.facts)
    assert content_of(seaweedfs, prefix + "a.png") == staged.content


@pytest.mark.parametrize("size", [1, 20 * MIB + 1])
async def test_an_object_is_fetched_whole_and_held_to_what_is_known_of_it(
    store: ObjectStore, prefix: str, tmp_path: Path, size: int
) -> None:
    staged = stage(tmp_path, size)
    known = {"size": size, "sha256": staged.facts["sha256"]}
    await store.put(staged.path, prefix + "a.png", **staged.facts)
    await store.fetch(prefix + "a.png", tmp_path / "fetched", **known)
    assert (tmp_path / "fetched").read_bytes() == staged.content
    for wrong in ({"size": size + 1}, {"size": max(size - 1, 0)}, {"sha256": "0" * 64}):
        path, asked = tmp_path / str(wrong), known | wrong
        with pytest.raises(TransientError, match="other bytes") as caught:
            await store.fetch(prefix + "a.png", path, **asked)
        assert caught.value.counted, "it may be so for ever"
        assert path.stat().st_size <= asked["size"], "no more than there is room for"
    with pytest.raises(ObjectGone):
        await store.fetch(prefix + "b.png", tmp_path / "none", **known)


async def test_an_object_that_cant_be_written_is_the_scratchs_fault(
    strict_store: ObjectStore, prefix: str, tmp_path: Path
) -> None:
    staged = stage(tmp_path, 10)
    await strict_store.put(staged.path, prefix + "a.png", **staged.facts)
    with pytest.raises(TransientError, match="scratch"):
        await strict_store.fetch(
            prefix + "a.png",
            tmp_path / "no folder" / "a",
            size=10,
            sha256=staged.facts["sha256"],
        )


async def test_clean_removes_objects_and_multiparts_and_nothing_beside_the_prefix(
    store: ObjectStore, endpoint: S3Endpoint, prefix: str, tmp_path: Path
) -> None:
    staged = stage(tmp_path, 100)
    beside = prefix.removesuffix("/") + "0/"
    s3 = endpoint.client
    for folder in (prefix, beside):
        for name in ("a.png", "a-thumb.jpg", "original.png"):
            await store.put(staged.path, folder + name, **staged.facts)
        s3.create_multipart_upload(Bucket=BUCKET, Key=folder + "b.png")

    assert await store.clean(prefix) == 3
    assert (keys_under(endpoint, prefix), multiparts_under(endpoint, prefix)) == ([], [])
    assert len(keys_under(endpoint, beside)) == 3
    assert multiparts_under(endpoint, beside) == [beside + "b.png"]
    assert await store.clean(prefix) == 0


async def test_of_a_store_that_lists_everybodys_multiparts_only_its_own_are_aborted(
    strict_store: ObjectStore, seaweedfs: S3Endpoint, prefix: str
) -> None:
    beside = f"{uuid.uuid4().hex}/upl_2.1/"
    for folder in (prefix, beside):
        seaweedfs.client.create_multipart_upload(Bucket=BUCKET, Key=folder + "a.png")

    real: Any = strict_store._client

    def lists_all(name: str) -> Any:
        pages = real.get_paginator(name)
        if name != "list_multipart_uploads":
            return pages
        return SimpleNamespace(paginate=lambda Bucket, **_: pages.paginate(Bucket=Bucket))  # noqa: N803 - S3's

    client: Any = Client(real, get_paginator=lists_all)
    await ObjectStore(client, seaweedfs.settings()).clean(prefix)
    assert multiparts_under(seaweedfs, prefix) == []
    assert multiparts_under(seaweedfs, beside) == [beside + "a.png"]


@pytest.mark.parametrize("prefix", ["", "/", "a", "a/upl_1.1"])
async def test_clean_refuses_what_is_not_a_folder(strict_store: ObjectStore, prefix: str) -> None:
    with pytest.raises(ValueError, match="not the folder"):
        await strict_store.clean(prefix)


@pytest.mark.parametrize(
    "wrong", [{"access_key_id": "AKIANOBODY"}, {"secret_access_key": "x"}, {"bucket": "no-such"}]
)
async def test_a_store_that_refuses_us_is_told_from_one_that_fails(
    seaweedfs: S3Endpoint, prefix: str, tmp_path: Path, wrong: dict[str, Any]
) -> None:
    staged, large = stage(tmp_path, 100), stage(tmp_path, LARGE, name="large")
    async with open_object_store(dataclasses.replace(seaweedfs.settings(), **wrong)) as refusing:
        for call in (
            refusing.put(staged.path, prefix + "a.png", **staged.facts),
            refusing.put(large.path, prefix + "b.png", **large.facts),
            refusing.clean(prefix),
        ):
            with pytest.raises(TransientError) as failure:
                await call
            assert (failure.value.cause, failure.value.counted) == ("store-refused", False)


async def test_a_store_that_is_down_is_noticed_in_seconds(tmp_path: Path) -> None:
    staged = stage(tmp_path, 100)
    started = time.monotonic()
    async with open_object_store(settings_of(free_port())) as down:
        for call in (
            down.put(staged.path, "a/upl_1.1/a.png", **staged.facts),
            down.clean("a/upl_1.1/"),
        ):
            with pytest.raises(TransientError) as failure:
                await call
            assert (failure.value.cause, failure.value.counted) == ("store", False)
    assert time.monotonic() - started < 10


def settings_of(port: int) -> StoreSettings:
    return StoreSettings(
        bucket=BUCKET,
        region="us-east-1",
        access_key_id="x",
        secret_access_key="y",
        endpoint_url=f"http://{HOST}:{port}",
    )
