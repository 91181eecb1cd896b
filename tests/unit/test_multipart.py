"""multipart/form-data as it streams by."""

import asyncio
import unicodedata
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.receive.body import Body
from api.receive.multipart import (
    PartData,
    PartStart,
    boundary_of,
    filename_of,
    read_parts,
)
from api.receive.names import clean_filename
from api.texts.errors import Problem


class Chunks(Body):
    """A body that comes in given pieces."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


async def parts_of(pieces: list[bytes], boundary: bytes = b"b") -> list[tuple[PartStart, bytes]]:
    found: list[tuple[PartStart, bytes]] = []
    async for event in read_parts(Chunks(pieces), boundary):
        if isinstance(event, PartStart):
            found.append((event, b""))
        elif isinstance(event, PartData):
            found[-1] = (found[-1][0], found[-1][1] + bytes(event.data))
    return found


CONTENT = b"line\r\n--b\r--bb\r\n-" + bytes(range(256))
BODY = (
    b"preamble, --b too\r\n--bb\r\n--b \t\r\n"
    b'Content-Disposition: form-data; name="text"\r\n\r\nvalue\r\n'
    b'--b\r\nContent-Type: image/png\r\ncontent-disposition: form-data; name="f"; '
    b'filename="n.png"\r\n\r\n' + CONTENT + b"\r\n--b  \r\n"
    b'Content-Disposition: form-data; name="last"\r\n\r\nend\r\n--b-- \t\r\nepilogue --b'
)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 11])
async def test_a_body_that_comes_in_small_pieces_is_the_same_body(size: int) -> None:
    pieces = [BODY[start : start + size] for start in range(0, len(BODY), size)]
    assert await parts_of(pieces) == PARTS


async def test_many_small_parts_leave_turns_to_others() -> None:
    small = b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n.\r\n'
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as both:
        other = both.create_task(others())
        assert len(await parts_of([small * 300] * 3 + [b"--b--"])) == 900
        other.cancel()
    assert turns >= 3


async def test_a_body_may_be_cut_at_any_place() -> None:
    for cut in range(len(BODY)):
        assert await parts_of([BODY[:cut], BODY[cut:]]) == PARTS, cut


PARTS = [
    (PartStart("text", None, None), b"value"),
    (PartStart("f", "n.png", "image/png"), CONTENT),
    (PartStart("last", None, None), b"end"),
]


DISPOSITION = 'Content-Disposition: form-data; name="f"; filename="n.png"'


@pytest.mark.parametrize(
    "headers",
    [
        f"{DISPOSITION}\r\n{DISPOSITION}",
        f"{DISPOSITION}\r\nContent-Type: image/png\r\ncontent-disposition: form-data; name=g",
        f"{DISPOSITION}\r\nContent-Type: image/png\r\nContent-Type: image/png",
        f"{DISPOSITION}; name=f",
        f"{DISPOSITION}; NAME=g",
        f"{DISPOSITION}; filename=n.png",
        f"{DISPOSITION}; FileName=m.png",
        DISPOSITION.replace("form-data", "attachment"),
        DISPOSITION.replace('name="f"; ', ""),
        DISPOSITION.replace('name="f"', f'name="{"f" * 201}"'),
        "Content-Type: image/png",
    ],
)
async def test_a_part_that_can_be_read_in_two_ways_or_has_no_name_is_refused(headers: str) -> None:
    def body(headers: str) -> bytes:
        return f"--b\r\n{headers}\r\n\r\nabc\r\n--b--\r\n".encode()

    assert await parts_of([body(DISPOSITION)]) == [(PartStart("f", "n.png", None), b"abc")]
    with pytest.raises(Problem, match="malformed-multipart"):
        await parts_of([body(headers)])


async def test_more_space_behind_a_boundary_than_anybody_sends_is_refused() -> None:
    with pytest.raises(Problem, match="malformed-multipart"):
        await parts_of([b"--b" + b" " * 500, b" " * 600, b"\r\n"])


@given(st.lists(st.integers(0, len(BODY)), max_size=8))
async def test_it_doesnt_matter_where_the_network_cuts(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(BODY)]
    pieces = [BODY[start:end] for start, end in pairwise(edges)]
    assert await parts_of(pieces) == PARTS


@given(st.integers(0, BODY.rindex(b"--b--") + 3))
async def test_a_truncated_body_is_never_taken_for_a_whole_one(length: int) -> None:
    with pytest.raises(Problem, match="malformed-multipart"):
        await parts_of([BODY[:length]])


@given(st.binary(max_size=300))
async def test_any_bytes_are_parts_or_a_clear_refusal(body: bytes) -> None:
    try:
        await parts_of([b"--b\r\n" + body])
    except Problem as problem:
        assert problem.status == 400  # noqa: PT017 - either way is fine


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "unsupported-media-type"),
        ("application/json", "unsupported-media-type"),
        ("multipart/mixed; boundary=b", "unsupported-media-type"),
        ("multipart/form-data", "malformed-multipart"),
        ("multipart/form-data; boundary=", "malformed-multipart"),
        (f"multipart/form-data; boundary={'b' * 71}", "malformed-multipart"),
    ],
)
def test_a_media_type_without_a_usable_boundary_is_refused(header: str | None, code: str) -> None:
    with pytest.raises(Problem, match=code):
        boundary_of(header)


@pytest.mark.parametrize(
    ("given_name", "shown"),
    [
        ("photo.jpg", "photo.jpg"),
        ("/a/b\\c.png", "c.png"),
        ("..", ""),
        ("a\u202eb\x00\x07.png", "ab.png"),
        ("  spaced  ", "spaced"),
        ("é" * 200, "é" * 127),
        ("", ""),
    ],
)
def test_a_file_name_is_for_showing_only(given_name: str, shown: str) -> None:
    assert clean_filename(given_name) == shown


@given(st.text())
def test_a_cleaned_file_name_names_no_path_and_fits_its_column(name: str) -> None:
    cleaned = clean_filename(name)
    assert "/" not in cleaned
    assert "\\" not in cleaned
    assert len(cleaned.encode()) <= 255
    assert not {unicodedata.category(char) for char in cleaned} & {"Cc", "Cs", "Zl", "Zp", "Co"}
    assert {char for char in cleaned if unicodedata.category(char) == "Cf"} <= {"\u200c", "\u200d"}


def test_a_requests_own_disposition_may_name_its_file() -> None:
    assert filename_of('attachment; filename="a b.png"') == "a b.png"
    assert filename_of("attachment; filename=\"x\"; filename*=UTF-8''na%C3%AFve.png") == "naïve.png"
    assert filename_of('attachment; filename="Ã©.png"') == "é.png"
    assert filename_of(None) == ""
    assert filename_of("inline") == ""


@pytest.mark.parametrize(
    "odd",
    [
        "attachment; filename*=utf-8''a; filename*0=b",
        "attachment; filename*=idna''a%C3",
        "attachment; filename*=undefined''a",
        f"attachment; filename*{'9' * 4400}=a",
    ],
)
def test_of_a_disposition_that_makes_little_sense_something_is_shown(odd: str) -> None:
    assert filename_of(odd).startswith("a")
