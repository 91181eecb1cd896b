"""The volume has to be the records' own, and to have room for the file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from shared.volume import MARKER
from tests.support.begun import CONTENT, LEAST, Begun, each_way

pytestmark = pytest.mark.asyncio(loop_scope="module")


@each_way
@pytest.mark.parametrize("marker", [None, "vol_another"], ids=["not mounted", "another's"])
async def test_a_volume_that_is_not_the_records_own_takes_no_file(
    begun: Begun, way: str, marker: str | None
) -> None:
    with _marked(begun, marker):
        answer = await begun.send(way)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert begun.files() == set()


async def test_nor_is_a_file_of_it_used_again(begun: Begun) -> None:
    earlier = await begun.scene.staged()
    with _marked(begun, "vol_another"):
        answer = await begun.reuse(earlier)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert begun.files() == {earlier.id}


@contextmanager
def _marked(begun: Begun, marker: str | None) -> Iterator[None]:
    path = begun.scene.services.staging.root / MARKER
    own = path.read_text()
    path.unlink()
    if marker:
        path.write_text(marker)
    try:
        yield
    finally:
        path.write_text(own)


@each_way
async def test_a_file_for_which_the_volume_has_no_room_is_refused_before_it_comes(
    begun: Begun, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    _leave(monkeypatch, LEAST + len(CONTENT) - 1)

    async def nothing_came() -> None:
        assert begun.files() == set()

    answer = await begun.send(way, midway=nothing_came)
    assert (answer.status_code, answer.json()["code"]) == (507, "storage-full")
    assert int(answer.headers["retry-after"]) > 0
    assert begun.files() == set()


@each_way
async def test_the_room_of_a_file_that_is_under_way_is_nobody_elses(
    begun: Begun, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    space = begun.scene.services.staging.space
    _leave(monkeypatch, LEAST + 2 * len(CONTENT))
    while_under_way = []

    async def look() -> None:
        while_under_way.append(space._promised_bytes >= len(CONTENT) and space._promised_files)

    assert (await begun.send(way, midway=look)).is_success or way == "HTML form"
    assert while_under_way == [1]
    assert (space._promised_bytes, space._promised_files) == (0, 0), "and then it is given back"


async def test_a_file_that_is_used_again_needs_room_too(
    begun: Begun, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = await begun.scene.staged()
    _leave(monkeypatch, LEAST - 1)
    answer = await begun.reuse(earlier)
    assert (answer.status_code, answer.json()["code"]) == (507, "storage-full")
    assert begun.files() == {earlier.id}


def _leave(patch: pytest.MonkeyPatch, free: int) -> None:
    """So many bytes on every volume."""
    fields = list(os.statvfs("/"))[:10]
    fields[1], fields[3], fields[4] = 1, free, free  # size of a fragment; free ones, and available
    patch.setattr(os, "statvfs", lambda _: os.statvfs_result(fields))
