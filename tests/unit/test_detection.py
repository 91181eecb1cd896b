"""What a file is, by its bytes."""

import io
import time
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from shared.formats import FORMATS
from tests.support import images
from worker.formats.detect import detect


def archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as opened:
        opened.writestr("a.txt", "text")
    return out.getvalue()


def detected(folder: Path, content: bytes) -> str | None:
    path = folder / "picture.jpg"
    path.write_bytes(content)
    return detect(path)


@pytest.mark.parametrize(
    ("media_type", "content"),
    [
        ("image/jpeg", images.jpeg()),
        ("image/jpeg", images.camera_jpeg(6)),
        ("image/jpeg", images.jpeg(mode="CMYK", subsampling=-1)),
        ("image/png", images.png()),
        ("image/webp", images.webp()),
        ("image/webp", images.webp(lossless=True)),
        ("image/webp", images.animated_webp()),
        ("application/pdf", images.pdf()),
    ],
)
def test_what_we_process_is_recognised_whatever_its_name(
    tmp_path: Path, media_type: str, content: bytes
) -> None:
    assert detected(tmp_path, content) == media_type


@pytest.mark.parametrize(
    "junk",
    [
        b"\n",
        b"\xef\xbb\xbf",
        b"x" * 1018 + b"\n",
        b"\x1b%-12345X@PJL ENTER LANGUAGE=PDF\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        bytes(128),
    ],
    ids=["newline", "bom", "1019 bytes", "printer", "http", "macbinary"],
)
def test_a_pdf_may_have_junk_before_it(tmp_path: Path, junk: bytes) -> None:
    assert detected(tmp_path, junk + images.pdf()) == "application/pdf"


def test_a_pdf_marker_further_in_is_none(tmp_path: Path) -> None:
    assert detected(tmp_path, b"x" * 1024 + images.pdf()) is None


def test_a_pdf_may_have_junk_after_it(tmp_path: Path) -> None:
    assert detected(tmp_path, images.pdf() + b"\0" * 3000) == "application/pdf"


@pytest.mark.parametrize(
    ("media_type", "content"),
    [
        ("text/html", b"<!DOCTYPE html><html><body><script>alert(1)</script></body></html>"),
        ("text/html", b"\n  <html>"),
        ("text/html", b"<?php system($_GET['c']); ?>"),
        ("image/svg+xml", b'<svg xmlns="http://www.w3.org/2000/svg"/>'),
        ("image/svg+xml", b'<?xml version="1.0"?>\n<!-- -->\n<svg/>'),
        ("application/xml", b'<?xml version="1.0"?><a/>'),
        ("image/vnd.adobe.photoshop", b"8BPS\x00\x01" + bytes(100)),
        ("application/postscript", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n"),
        ("application/zip", archive()),
        ("image/gif", images.encode(images.picture(mode="P"), "GIF")),
        ("image/tiff", images.encode(images.picture(), "TIFF")),
        ("image/heic", b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(50)),
        ("image/heic", b"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1heic" + bytes(50)),
        ("image/heic", b"\x00\x00\x00\x18ftyphevs\x00\x00\x00\x00hevsheic" + bytes(50)),
        ("image/avif", b"\x00\x00\x00\x1cftypavif\x00\x00\x00\x00avifmif1" + bytes(50)),
        ("video/mp4", b"\x00\x00\x00\x18ftypisom\x00\x00\x00\x00isom" + bytes(50)),
    ],
)
def test_it_is_named_by_its_bytes(tmp_path: Path, media_type: str, content: bytes) -> None:
    assert detected(tmp_path, content) == media_type


def test_each_format_of_images_has_a_row() -> None:
    tables = (test_what_we_process_is_recognised_whatever_its_name, test_it_is_named_by_its_bytes)
    rows = {row[0] for each in tables for mark in each.pytestmark for row in mark.args[1]}  # type: ignore[attr-defined] # pytest's
    assert {each.media_type for each in FORMATS.values() if each.kind == "image"} - rows == set()


@pytest.mark.parametrize(
    "content",
    [
        b"% " * 26 + b"x\nstartxref",
        b"%\n" * 2000 + b"x\nstartxref",
        b" " * 4000 + b"x\nstartxref",
        b"PK\x03\x04" * 16_000,
    ],
    ids=["comments", "lines", "spaces", "entries"],
)
def test_what_is_no_file_costs_nothing(tmp_path: Path, content: bytes) -> None:
    tracemalloc.start()
    begun = time.process_time()
    assert detected(tmp_path, content) in {None, "application/zip"}
    assert time.process_time() - begun < 0.5
    assert tracemalloc.get_traced_memory()[1] < 32 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("content", [b"", b"x", b"hello world", bytes(5000), b"RIFF", b"%PDF"])
def test_what_nobody_knows_has_no_name(tmp_path: Path, content: bytes) -> None:
    assert detected(tmp_path, content) is None


def test_a_document_older_than_its_format_is_no_document_of_that_format(tmp_path: Path) -> None:
    """Word's files of before 1995 begin in a way of their own."""
    assert detected(tmp_path, b"\xdb\xa5\x2d\x00\x31\x40\x09\x04" + bytes(500)) is None


@pytest.mark.parametrize(
    ("media_type", "content"),
    [
        ("application/zip", images.pdf() + archive()),
        ("application/zip", archive() + images.pdf()),
        ("text/html", b"<html><script>alert(1)</script>" + images.pdf()),
        ("image/gif", b"GIF89a" + bytes(20) + images.pdf()),
        (
            "application/vnd.microsoft.portable-executable",
            b"MZ\x90" + bytes(61) + images.pdf(),
        ),
        ("text/x-shellscript", b"#!/bin/sh\nexit\n" + images.pdf()),
    ],
    ids=[
        "zip behind",
        "zip before",
        "html before",
        "gif before",
        "program before",
        "script before",
    ],
)
def test_a_pdf_that_is_something_else_too_is_that_something(
    tmp_path: Path, media_type: str, content: bytes
) -> None:
    assert detected(tmp_path, content) == media_type


def test_an_archive_in_an_archives_comment_cant_hide_behind_a_pdf(tmp_path: Path) -> None:
    document = images.pdf()
    head, tail = document[:20], document[20:]
    comment = archive()[:-2] + len(tail).to_bytes(2, "little") + tail
    assert detected(tmp_path, head + comment) == "application/zip"


def test_a_pdf_with_an_archive_attached_is_a_pdf(tmp_path: Path) -> None:
    document = images.pdf()
    assert detected(tmp_path, document[:20] + archive() + document[20:]) == "application/pdf"


def test_a_jpeg_with_something_behind_it_is_a_jpeg(tmp_path: Path) -> None:
    assert detected(tmp_path, images.jpeg() + archive()) == "image/jpeg"
    assert detected(tmp_path, images.jpeg() + images.pdf()) == "image/jpeg"
