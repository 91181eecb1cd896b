"""A plain form without files, read whole."""

from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from api.receive.body import Body
from api.receive.multipart import MAX_PARTS
from api.receive.sections import SectionBody, TextPart
from api.receive.urlencoded import MAX_URLENCODED, receive_urlencoded
from api.texts.errors import Problem


async def _received(
    raw: bytes,
    *,
    admit: Callable[[bytes | None], Awaitable[None]] | None = None,
    known: Callable[[str], object] = str,
) -> SectionBody:
    class Whole:
        async def read(self) -> bytes:
            return raw

    async def anybody(_: bytes | None) -> None:
        pass

    return await receive_urlencoded(cast("Body", Whole()), admit or anybody, known)


async def test_values_come_in_their_order_empty_and_repeated_ones_too() -> None:
    section = await _received(b"a=1&b=&a=%C3%BC+x&%C3%A9=2")
    assert section.text == [
        TextPart("a", "1"), TextPart("b", ""), TextPart("a", "ü x"), TextPart("é", "2"),
    ]  # fmt: skip # one line
    assert section.unreadable == []


async def test_the_form_says_in_which_charset_its_values_are_and_else_it_is_utf_8() -> None:
    section = await _received(b"_charset_=windows-1252&a=%FC")
    assert section.text == [TextPart("a", "ü")]
    assert (await _received(b"a=%FC")).unreadable == ["a"]


async def test_whose_form_it_is_is_asked_before_its_fields_wherever_the_token_stands() -> None:
    asked: list[Any] = []

    async def admit(token: bytes | None) -> None:
        asked.append(token)

    def known(name: str) -> None:
        asked.append(name)
        if name == "c":
            raise Problem("unknown-field")

    await _received(b"a=1&token=abc&token=x&_charset_=utf-8", admit=admit, known=known)
    assert asked == [b"abc", "a", "token", "token"]
    with pytest.raises(Problem, match="unknown-field"):
        await _received(b"c=1", admit=admit, known=known)
    assert asked[4:] == [None, "c"]


async def test_there_are_so_many_values_and_no_more() -> None:
    assert len((await _received(b"&".join([b"a=1"] * MAX_PARTS))).text) == MAX_PARTS
    with pytest.raises(Problem, match="bad-request"):
        await _received(b"&".join([b"a=1"] * (MAX_PARTS + 1)))
    assert MAX_URLENCODED == 1024 * 1024, "bytes"
