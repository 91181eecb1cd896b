"""A row of the formats has behind it what reads and writes such files."""

from pathlib import Path

import pytest
import pyvips

from shared import formats
from shared.formats import ALL, FORMATS, Format
from worker.formats.detect import detect
from worker.formats.image.load import READERS, Opened
from worker.formats.image.write import write_object
from worker.office.converter import READS_AS

IMAGES = [each for each in FORMATS.values() if each.kind == "image"]
WRITTEN = [each for each in ALL if each.kind == "image" and each.writer]


def test_each_row_is_one_of_all() -> None:
    rows = [each for each in vars(formats).values() if isinstance(each, Format)]
    assert set(rows) == set(ALL), "ALL of shared/formats.py"


@pytest.mark.parametrize("read", [pytest.param(each, id=each.name) for each in IMAGES])
def test_what_an_image_is_read_by_is_there(read: Format) -> None:
    there = read.loader == "heif" or pyvips.type_find("VipsForeignLoad", str(read.loader))
    assert there, "its loader is no operation of libvips"


def test_each_image_that_is_decoded_is_looked_into_first() -> None:
    assert {each.media_type for each in IMAGES} == set(READERS), "READERS of image/load.py"


def test_each_document_is_converted_by_a_filter_of_its_own() -> None:
    documents = {each for each in FORMATS.values() if each.kind == "document"}
    assert documents == set(READS_AS), "READS_AS of worker/office/converter.py"


@pytest.mark.parametrize("made", [pytest.param(each, id=each.name) for each in WRITTEN])
def test_what_is_written_in_a_format_is_of_it(tmp_path: Path, made: Format) -> None:
    image = pyvips.Image.black(30, 20, bands=3).copy(interpretation="srgb")
    facts = write_object(
        Opened(image, (30, 20)), tmp_path, "photo", made.media_type, keep_metadata=False
    )
    (path,) = tmp_path.iterdir()
    assert detect(path) == made.media_type == facts["content_type"], "_write of image/write.py"
