"""A piece of a file is told by what its uploader says beside it, and is never taken for a file."""

from collections.abc import AsyncIterator
from typing import cast

import pytest

from api.receive.fragments import refuse_by_field, refuse_by_headers, says_of_pieces
from api.receive.multipart import Event, PartData, PartEnd, PartStart
from api.receive.sections import receive_section
from api.staging.staging import Staging
from api.texts.errors import Problem


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dzchunkindex", "1"),
        ("dztotalchunkcount", "3"),
        ("dzchunkbyteoffset", "1048576"),
        ("resumableChunkNumber", "2"),
        ("resumableTotalChunks", "3"),
        ("flowChunkNumber", "2"),
        ("chunk", "1"),
        ("chunks", "2"),
        ("chunks", "many"),
        ("qqpartindex", "1"),
        ("qqtotalparts", "2"),
        ("upload_chunk_index", "2"),
        ("chunkMetadata", '{"Index": 1, "TotalCount": 3}'),
        ("metadata", '{"chunkIndex": 2, "totalChunks": 3}'),
    ],
)
def test_a_field_that_tells_of_pieces_is_refused(name: str, value: str) -> None:
    assert says_of_pieces(name)
    with pytest.raises(Problem, match="fragment-not-supported"):
        refuse_by_field(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dzchunkindex", "0"),
        ("dztotalchunkcount", "1"),
        ("resumableChunkNumber", "1"),
        ("resumableTotalChunks", "1"),
        ("resumableChunkSize", "1048576"),
        ("chunk", "0"),
        ("chunks", "1"),
        ("chunkMetadata", '{"Index": 0, "TotalCount": 1}'),
        ("metadata", '{"total": 3, "index": 2}'),
        ("metadata", "no JSON"),
        ("note", "3"),
    ],
)
def test_a_file_in_one_piece_passes_whatever_its_uploader_says(name: str, value: str) -> None:
    refuse_by_field(name, value)


@pytest.mark.parametrize(
    "header",
    [
        ("content-range", "bytes 0-1/2"),
        ("tus-resumable", "1.0.0"),
        ("upload-offset", "0"),
        ("upload-complete", "?0"),
        ("upload-incomplete", "?1"),
        ("x-chunk-index", "2"),
        ("upload-length", "9"),
    ],
)
def test_a_header_that_tells_of_pieces_is_refused(header: tuple[str, str]) -> None:
    with pytest.raises(Problem, match="fragment-not-supported"):
        refuse_by_headers(dict([header]))


def test_a_whole_file_may_say_so_in_its_headers() -> None:
    whole = {"upload-complete": "?1", "x-chunk-index": "0", "content-length": "9"}
    refuse_by_headers(whole)
    refuse_by_headers({**whole, "upload-length": "9"})


@pytest.mark.parametrize(
    "header", [("upload-length", "10"), ("upload-offset", "0"), ("upload-complete", "?0")]
)
def test_a_whole_file_is_as_long_as_its_body(header: tuple[str, str]) -> None:
    said = {"upload-complete": "?1", "upload-length": "9", "content-length": "9"}
    with pytest.raises(Problem, match="fragment-not-supported"):
        refuse_by_headers({**said, **dict([header])})


async def test_a_section_is_refused_for_what_tells_of_pieces_and_for_nothing_else() -> None:
    async def text(name: str) -> AsyncIterator[Event]:
        yield PartStart(name, None, None)
        yield PartData(memoryview(b"2"))
        yield PartEnd()

    no_file = cast("Staging", None)
    with pytest.raises(Problem, match="fragment-not-supported"):
        await receive_section(no_file, text("chunks"), lambda _: 0, 0)
    section = await receive_section(no_file, text("note"), lambda _: 0, 0)
    assert [(each.name, each.value) for each in section.text] == [("note", "2")]
