"""What is read of a multipart body before anything behind it."""

from collections.abc import AsyncIterator

import pytest

from api.receive.first_part import first_text
from api.receive.multipart import Event, PartData, PartEnd, PartStart

TEXT = PartStart("token", None, None)


def _data(content: bytes) -> PartData:
    return PartData(memoryview(content))


async def _of(*events: Event) -> AsyncIterator[Event]:
    for each in events:
        yield each


@pytest.mark.parametrize(
    ("events", "value"),
    [
        ([TEXT, _data(b"a"), _data(b"b"), PartEnd()], b"ab"),
        ([TEXT, PartEnd()], b""),
        ([TEXT, _data(b"x" * 200), PartEnd()], b"x" * 200),
        ([TEXT, _data(b"x" * 200), _data(b"x"), PartEnd()], None),
        ([TEXT, _data(b"a")], None),
        ([PartStart("other", None, None), _data(b"a"), PartEnd()], None),
        ([PartStart("token", "a.png", None), _data(b"a"), PartEnd()], None),
        ([PartEnd()], None),
        ([], None),
    ],
)
async def test_it_is_the_text_of_that_name_if_one_comes_first(
    events: list[Event], value: bytes | None
) -> None:
    assert await first_text(_of(*events), "token") == value


async def test_what_comes_behind_it_is_left() -> None:
    events = _of(TEXT, _data(b"a"), PartEnd(), PartStart("file", "a.png", None))
    assert await first_text(events, "token") == b"a"
    assert [each async for each in events] == [PartStart("file", "a.png", None)]
