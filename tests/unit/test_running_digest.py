"""SHA-256 beside what is written: of any beginning, whatever comes behind it."""

import hashlib
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from api.staging.digest import Batch, Digest, Hash, of_nothing
from api.staging.space import Space
from api.staging.staging import Staging

BATCHES: list[Batch] = [[os.urandom(number), memoryview(os.urandom(9))] for number in range(1, 6)]
WHOLE = [b"".join(batch) for batch in BATCHES]


@pytest.fixture
async def staging(tmp_path: Path) -> AsyncIterator[Staging]:
    opened = Staging(tmp_path, Space(tmp_path, min_free_bytes=0, min_free_inodes=0))
    yield opened
    opened.close()


async def _hex(digest: Digest) -> str:
    hash_ = await digest.value()
    assert hash_ is not None
    return hash_.hexdigest()


async def test_each_is_of_what_came_up_to_it(staging: Staging) -> None:
    digests = [of_nothing()]
    for batch in BATCHES:
        digests.append(digests[-1].after(staging, batch))
    told = [await _hex(each) for each in digests]
    assert told == [hashlib.sha256(b"".join(WHOLE[:end])).hexdigest() for end in range(6)]


async def test_what_is_gone_on_with_twice_has_two_digests(staging: Staging) -> None:
    """A request that broke off leaves one that is further than what was acknowledged."""
    first = of_nothing().after(staging, BATCHES[0])
    second, other = first.after(staging, BATCHES[1]), first.after(staging, BATCHES[2])
    assert await _hex(other) == hashlib.sha256(WHOLE[0] + WHOLE[2]).hexdigest()
    assert await _hex(second) == hashlib.sha256(WHOLE[0] + WHOLE[1]).hexdigest()


async def test_what_lies_between_is_read_first(staging: Staging) -> None:
    digest = of_nothing().after(staging, BATCHES[0], lambda hash_: hash_.update(b"read"))
    assert await _hex(digest) == hashlib.sha256(b"read" + WHOLE[0]).hexdigest()


async def test_what_cant_be_read_leaves_none_and_says_so(staging: Staging) -> None:
    def read(_: Hash) -> None:
        raise OSError

    with capture_logs() as logs:
        failed = of_nothing().after(staging, BATCHES[0], read)
        after = failed.after(staging, BATCHES[1])
        assert await failed.value() is await after.value() is None
    assert [each["event"] for each in logs] == ["digest_failed"]


@pytest.mark.parametrize("fails", [False, True], ids=["", "though something couldn't be read"])
async def test_a_batch_is_given_back_when_it_is_hashed(staging: Staging, *, fails: bool) -> None:
    go_on, given_back = threading.Event(), list[str]()

    def read(_: Hash) -> None:
        go_on.wait()
        if fails:
            raise OSError

    digest = of_nothing().after(staging, BATCHES[0], read, lambda: given_back.append("batch"))
    before = (list(given_back), digest.at_once)
    go_on.set()
    await digest.value()
    assert before == ([], None)
    assert given_back == ["batch"]
