"""Which PDFs are accepted. None is ever changed."""

import time
from pathlib import Path

import pytest

from shared.policy import PdfLimits
from tests.support import images
from worker.errors import FileRejected
from worker.formats.job import Notice
from worker.formats.pdf.check import check_pdf


def check(
    folder: Path, content: bytes, *, max_pages: int = 500, encrypted: bool = False
) -> tuple[int | None, list[Notice]]:
    path = folder / "received"
    path.write_bytes(content)
    checked = check_pdf(path, PdfLimits(max_pages=max_pages, encrypted=encrypted))
    assert path.read_bytes() == content
    return checked


def crafted(pages: bytes, rest: bytes = b"") -> bytes:
    """A document by hand; without a table of objects, as sloppy programs write them."""
    return (
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages"
        + pages
        + b">>endobj\n"
        + rest
        + b"trailer<</Root 1 0 R/Size 9>>\nstartxref\n0\n%%EOF\n"
    )


ONE_PAGE = b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>endobj\n"


def test_pages_are_counted(tmp_path: Path) -> None:
    assert check(tmp_path, images.pdf(3)) == (3, [])


@pytest.mark.parametrize(
    "content",
    [
        b"junk\n" + images.pdf(),
        b"x" * 1000 + images.pdf(),
        images.pdf() + b"\0" * 5000,
        images.pdf().replace(b"startxref\n", b"startxref\n9"),
        images.pdf(linearize=True),
        images.pdf() + b"5 0 R\n" * 300,
        crafted(b"/Kids[3 0 R]/Count 1", ONE_PAGE),
    ],
    ids=[
        "junk before",
        "much before",
        "zeros behind",
        "table off",
        "linear",
        "text behind",
        "none",
    ],
)
def test_odd_documents_are_accepted(tmp_path: Path, content: bytes) -> None:
    pages, notices = check(tmp_path, content)
    assert pages
    assert not notices


@pytest.mark.parametrize("linearize", [False, True])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.97])
def test_a_truncated_document_is_corrupt(tmp_path: Path, share: float, linearize: bool) -> None:  # noqa: FBT001 - a parameter of the test
    whole = images.pdf(20, linearize=linearize)
    with pytest.raises(FileRejected) as verdict:
        check(tmp_path, whole[: int(len(whole) * share)])
    assert verdict.value.code == "file-corrupt"


@pytest.mark.parametrize(
    "content",
    [
        b"%PDF-1.4\n",
        b"%PDF-1.7\n" + b"rubbish " * 500,
        crafted(b"/Kids[2 0 R 2 0 R]/Count 2"),
        crafted(b"/Kids[]/Count 0"),
        crafted(b""),
    ],
    ids=["header only", "rubbish", "pages in a circle", "no page", "no pages at all"],
)
def test_a_broken_document_is_corrupt(tmp_path: Path, content: bytes) -> None:
    started = time.monotonic()
    with pytest.raises(FileRejected) as verdict:
        check(tmp_path, content)
    assert verdict.value.code == "file-corrupt"
    assert time.monotonic() - started < 2


def test_a_count_of_pages_that_lies_is_not_believed(tmp_path: Path) -> None:
    lying = crafted(b"/Kids[3 0 R]/Count 2000000000", ONE_PAGE)
    assert check(tmp_path, lying) == (1, [])


def test_too_many_pages_are_refused_with_both_numbers(tmp_path: Path) -> None:
    assert check(tmp_path, images.pdf(3), max_pages=3) == (3, [])
    with pytest.raises(FileRejected) as verdict:
        check(tmp_path, images.pdf(4), max_pages=3)
    assert verdict.value.code == "file-too-many-pages"
    assert verdict.value.params == {"pages": 4, "max_pages": 3}


@pytest.mark.parametrize("to_open", ["", "secret"])
def test_an_encrypted_document_is_refused(tmp_path: Path, to_open: str) -> None:
    with pytest.raises(FileRejected) as verdict:
        check(tmp_path, images.encrypted_pdf(to_open=to_open))
    assert verdict.value.code == "file-encrypted"


def test_a_document_encrypted_by_certificate_is_refused_as_encrypted(tmp_path: Path) -> None:
    certified = crafted(b"/Kids[3 0 R]/Count 1", ONE_PAGE).replace(
        b"/Root 1 0 R", b"/Root 1 0 R/Encrypt<</Filter/Adobe.PubSec/V 4>>/ID[<00><00>]"
    )
    with pytest.raises(FileRejected) as verdict:
        check(tmp_path, certified)
    assert verdict.value.code == "file-encrypted"


def test_a_field_may_accept_documents_that_need_a_password_to_edit(tmp_path: Path) -> None:
    assert check(tmp_path, images.encrypted_pdf(), encrypted=True) == (2, [])


def test_pages_that_need_a_password_to_be_seen_are_not_counted_and_that_is_said(
    tmp_path: Path,
) -> None:
    pages, notices = check(tmp_path, images.encrypted_pdf(to_open="secret"), encrypted=True)
    assert pages is None
    assert [notice["code"] for notice in notices] == ["pages-not-checked"]
