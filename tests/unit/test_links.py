"""A link downloads: it never lets a browser run, or take for ours, what a person sent."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.outside.links import content_disposition, link_of, open_links
from api.records.rows import UploadRow
from api.settings.settings import Settings
from shared.formats import DOC, DOCX, FORMATS, GIF, HEIC, JPEG, PDF, PNG, WEBP
from shared.status import UploadStatus

RECEIVED, MADE = "a" * 64, "b" * 64


def upload(filename: str, content_type: str, *, sha256: str = MADE, **values: Any) -> UploadRow:
    described = {"key": "k/object", "content_type": content_type, "size": 1, "sha256": sha256}
    known: dict[str, Any] = {
        "status": UploadStatus.STORED,
        "filename": filename,
        "sha256": RECEIVED,
        "object": described,
        "derivatives": {"thumb": described},
        "flags": [],
        "withheld": False,
        **values,
    }
    return cast("UploadRow", SimpleNamespace(**known))


async def answered(
    folder: Path, row: UploadRow, derivative: str | None = None, *, inline: bool = True
) -> tuple[str, str]:
    """The disposition and the type that the store will answer with."""
    settings = Settings(
        environment="dev",
        database_url="sqlite:///records.db",
        redis_url="redis://127.0.0.1:1/0",
        staging_dir=folder,
        forms_dir=folder,
        internal_secrets=("secret",),
        s3_public_endpoint_url="http://store.example",
        s3_bucket="bucket",
        s3_access_key_id="key",
        s3_secret_access_key="secret",
    )
    async with open_links(settings) as links:
        url = await link_of(links, row, derivative, inline=inline)
    asked = parse_qs(urlsplit(url).query)
    (disposition,), (kind,) = (
        asked["response-content-disposition"],
        asked["response-content-type"],
    )
    return disposition, kind


def name_in(disposition: str) -> str:
    return unquote(disposition.rpartition("filename*=UTF-8''")[2])


@pytest.mark.parametrize("made", [JPEG, PNG, WEBP, GIF])
async def test_an_image_that_we_made_is_shown_when_that_is_asked(tmp_path: Path, made: Any) -> None:
    row = upload("photo.heic", made.media_type)
    disposition, kind = await answered(tmp_path, row)
    assert disposition.startswith("inline;")
    assert (name_in(disposition), kind) == (f"photo{made.extensions[0]}", made.media_type)
    disposition, _ = await answered(tmp_path, row, inline=False)
    assert disposition.startswith("attachment;")


@pytest.mark.parametrize(
    "row",
    [
        upload("licence.pdf", PDF.media_type),
        upload("cv.docx", DOCX.media_type, sha256=RECEIVED),
        upload("cv.doc", DOC.media_type, sha256=RECEIVED),
        upload("photo.heic", HEIC.media_type),
        upload("as it came.png", PNG.media_type, sha256=RECEIVED),
        upload("kept.png", PNG.media_type, flags=[{"code": "file-infected"}]),
        upload("a.svg", "image/svg+xml"),
        upload("a.html", "text/html"),
    ],
    ids=lambda row: row.filename,
)
async def test_anything_else_is_a_download_whatever_is_asked(
    tmp_path: Path, row: UploadRow
) -> None:
    disposition, _ = await answered(tmp_path, row)
    assert disposition.startswith("attachment;")


@pytest.mark.parametrize(
    "content_type", ["image/svg+xml", "text/html", "application/xhtml+xml", "x/y", "IMAGE/PNG"]
)
async def test_a_type_that_isnt_ours_is_any_bytes(tmp_path: Path, content_type: str) -> None:
    disposition, kind = await answered(tmp_path, upload("evil.html", content_type))
    assert kind == "application/octet-stream"
    assert name_in(disposition) == "evil.bin"
    assert content_type not in FORMATS


@pytest.mark.parametrize(
    ("filename", "name"),
    [
        ("licence.pdf.html", "licence.pdf.pdf"),
        ("licence.html.pdf", "licence.html.pdf"),
        ("LICENCE.PDF", "LICENCE.PDF"),
        (".htaccess", ".htaccess.pdf"),
        ("invoice\u202efdp.exe", "invoicefdp.pdf"),
        ("../../a\\b.js", "b.pdf"),
        ("a.webmanifest", "a.webmanifest.pdf"),
        ("no extension", "no extension.pdf"),
        ("\u202e\r\n", "file.pdf"),
        ("x" * 300 + ".exe", "x" * 251 + ".pdf"),
        ("é" * 130 + ".exe", "é" * 125 + ".pdf"),
    ],
)
async def test_the_name_has_the_extension_of_what_is_stored(
    tmp_path: Path, filename: str, name: str
) -> None:
    disposition, kind = await answered(tmp_path, upload(filename, PDF.media_type))
    assert (name_in(disposition), kind) == (name, PDF.media_type)


async def test_a_derivative_is_named_after_the_file_and_itself(tmp_path: Path) -> None:
    row = upload("y" * 300 + ".png", JPEG.media_type)
    disposition, _ = await answered(tmp_path, row, "thumb")
    assert name_in(disposition) == "y" * 245 + "-thumb.jpg"


HEADER = re.compile(
    r"""attachment; filename="[ !\x23\x24&-\x5b\x5d-~]*"; filename\*=UTF-8''[A-Za-z0-9._~%-]*"""
)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_no_name_ends_the_header_it_stands_in(name: str) -> None:
    assert HEADER.fullmatch(content_disposition(name, inline=False))
