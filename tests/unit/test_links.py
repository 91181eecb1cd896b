"""A link downloads: it never lets a browser run, or take for ours, what a person sent."""

import re
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

import botocore.session
import pytest
from botocore.config import Config
from hypothesis import given
from hypothesis import strategies as st

from api.outside.links import Links, content_disposition, link_of
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


def links_of(folder: Path, endpoint: str = "http://store.example") -> Links:
    settings = Settings(
        environment="dev",
        database_url="sqlite:///records.db",
        redis_url="redis://127.0.0.1:1/0",
        staging_dir=folder,
        forms_dir=folder,
        internal_secrets=("secret",),
        s3_public_endpoint_url=endpoint,
        s3_bucket="bucket",
        s3_access_key_id="key",
        s3_secret_access_key="secret",
        s3_region="eu-central-1",
    )
    return Links(settings)


def answered(
    folder: Path, row: UploadRow, derivative: str | None = None, *, inline: bool = True
) -> tuple[str, str]:
    """The disposition and the type that the store will answer with."""
    url = link_of(links_of(folder), row, derivative, inline=inline)
    asked = parse_qs(urlsplit(url).query)
    (disposition,), (kind,) = (
        asked["response-content-disposition"],
        asked["response-content-type"],
    )
    return disposition, kind


def name_in(disposition: str) -> str:
    return unquote(disposition.rpartition("filename*=UTF-8''")[2])


@pytest.mark.parametrize("method", ["get_object", "head_object"])
@pytest.mark.parametrize(
    "endpoint",
    [
        "http://store.example:9000",
        "https://store.example:443/",
        "https://example.org/store",
        "http://[::1]:80",
    ],
)
def test_a_link_is_signed_as_a_client_of_botocore_signs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, endpoint: str, method: str
) -> None:
    now = datetime(2026, 11, 28, 10, 0, tzinfo=UTC)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: now)
    key = "forms/a (1)!'*~_-./upl_x.1/original.pdf"
    client: Any = botocore.session.get_session().create_client(
        "s3",
        region_name="eu-central-1",
        endpoint_url=endpoint,
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    expected = client.generate_presigned_url(
        method,
        Params={
            "Bucket": "bucket",
            "Key": key,
            "ResponseContentDisposition": content_disposition("é & a+b.pdf", inline=True),
            "ResponseContentType": PDF.media_type,
        },
        ExpiresIn=300,
    )

    signed = links_of(tmp_path, endpoint).presign(
        key,
        filename="é & a+b.pdf",
        content_type=PDF.media_type,
        inline=True,
        head=method == "head_object",
    )

    assert signed == expected


@pytest.mark.parametrize("made", [JPEG, PNG, WEBP, GIF])
def test_an_image_that_we_made_is_shown_when_that_is_asked(tmp_path: Path, made: Any) -> None:
    row = upload("photo.heic", made.media_type)
    disposition, kind = answered(tmp_path, row)
    assert disposition.startswith("inline;")
    assert (name_in(disposition), kind) == (f"photo{made.extensions[0]}", made.media_type)
    disposition, _ = answered(tmp_path, row, inline=False)
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
def test_anything_else_is_a_download_whatever_is_asked(tmp_path: Path, row: UploadRow) -> None:
    disposition, _ = answered(tmp_path, row)
    assert disposition.startswith("attachment;")


@pytest.mark.parametrize(
    "content_type", ["image/svg+xml", "text/html", "application/xhtml+xml", "x/y", "IMAGE/PNG"]
)
def test_a_type_that_isnt_ours_is_any_bytes(tmp_path: Path, content_type: str) -> None:
    disposition, kind = answered(tmp_path, upload("evil.html", content_type))
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
def test_the_name_has_the_extension_of_what_is_stored(
    tmp_path: Path, filename: str, name: str
) -> None:
    disposition, kind = answered(tmp_path, upload(filename, PDF.media_type))
    assert (name_in(disposition), kind) == (name, PDF.media_type)


def test_a_derivative_is_named_after_the_file_and_itself(tmp_path: Path) -> None:
    row = upload("y" * 300 + ".png", JPEG.media_type)
    disposition, _ = answered(tmp_path, row, "thumb")
    assert name_in(disposition) == "y" * 245 + "-thumb.jpg"


HEADER = re.compile(
    r"""attachment; filename="[ !\x23\x24&-\x5b\x5d-~]*"; filename\*=UTF-8''[A-Za-z0-9._~%-]*"""
)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_no_name_ends_the_header_it_stands_in(name: str) -> None:
    assert HEADER.fullmatch(content_disposition(name, inline=False))
