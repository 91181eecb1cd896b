"""PDFs that are odd and honest: viewers open them, and so they are stored, with all their pages."""

import re
from pathlib import Path

import pikepdf
import pytest
from pikepdf import Array, Dictionary, Name, String

from tests.support import images, pdfs
from tests.support.processing import process_bytes

PLAIN = pdfs.plain(3)
PACKED = pdfs.packed(
    {
        1: b"<</Type/Catalog/Pages 2 0 R>>",
        2: b"<</Type/Pages/Count 3/Kids[3 0 R 4 0 R 5 0 R]>>",
        **dict.fromkeys((3, 4, 5), b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 6 0 R>>"),
    },
    {6: b"<</Length 5>>stream\nBT ET\nendstream"},
)
MANY = pdfs.packed(
    {
        1: b"<</Type/Catalog/Pages 2 0 R/Marks[%s]>>"
        % b" ".join(map(b"%d 0 R".__mod__, range(9, 28_000))),
        2: b"<</Type/Pages/Count 1/Kids[3 0 R]>>",
        3: b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>",
        **dict.fromkeys(range(9, 28_000), b"<</Numbers[%s]>>" % (b"1 " * 38)),
    },
    {},
)
"""In one stream, which is read whole: it fits into a document's memory once, and not twice."""
OFF = PLAIN.replace(b"%010d" % PLAIN.index(b"4 0 obj"), b"%010d" % 7)
HIGH = (
    PLAIN.replace(b"1 0 obj", b"9001 0 obj", 1)
    .replace(b"/Root 1 0 R", b"/Root 9001 0 R")
    .replace(b"/Pages 2 0 R", b"/Pages 9002 0 R")
    .replace(b"\n2 0 obj", b"\n9002 0 obj", 1)
    .replace(b"/Parent 2 0 R", b"/Parent 9002 0 R")
)
NEW_PAGE = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>"
PAGES = (
    b"<</Type/Pages/Count 1/Kids[4 0 R]>>",
    b"<</Type/Page/Parent 3 0 R/MediaBox[0 0 9 9]>>",
)
ADDED = {2: b"<</Type/Pages/Count 4/Kids[3 0 R 4 0 R 5 0 R 20 0 R]>>", 20: NEW_PAGE}
DELETED = {2: b"<</Type/Pages/Count 1/Kids[3 0 R]>>"}


def form(document: pikepdf.Pdf) -> None:
    field = Dictionary(FT=Name.Tx, T=String("name"), Subtype=Name.Widget, Rect=Array([0, 0, 9, 9]))
    both = document.make_indirect(field)
    document.pages[0].obj.Annots = Array([both])
    document.Root.AcroForm = Dictionary(Fields=Array([both]), NeedAppearances=True)


def outlines(document: pikepdf.Pdf) -> None:
    with document.open_outline() as outline:
        outline.root.append(pikepdf.OutlineItem("One", 0))


def tall(document: pikepdf.Pdf) -> None:
    document.pages[0].obj.MediaBox = Array([0, 0, 200, 14_400])


def empty_names(document: pikepdf.Pdf) -> None:
    document.Root.Names = Dictionary(EmbeddedFiles=Dictionary(Names=Array([])))


def twice(document: pikepdf.Pdf) -> None:
    kids = document.Root.Pages.Kids
    document.Root.Pages.Kids = Array([kids[0], kids[0], kids[1]])
    document.Root.Pages.Count = 3


def deep(document: pikepdf.Pdf) -> None:
    kids = document.Root.Pages.Kids
    for _ in range(60):
        node = document.make_indirect(Dictionary(Type=Name.Pages, Count=2, Kids=kids))
        kids = Array([node])
    document.Root.Pages.Kids = kids


WHOLE: dict[str, tuple[bytes, int]] = {
    "junk before": (b"junk\n" + images.pdf(), 2),
    "much before": (b"x" * 1000 + images.pdf(), 2),
    "a mail's header before": (b"Content-Type: application/pdf\r\n\r\n" + PLAIN, 3),
    "a byte order mark before": (b"\xef\xbb\xbf" + PLAIN, 3),
    "zeros behind": (images.pdf() + b"\0" * 900, 2),
    "a boundary behind": (PLAIN + b"\r\n--boundary--\r\n", 3),
    "linearized": (images.pdf(20, linearize=True), 20),
    "objects in streams": (images.pdf(object_stream_mode=pikepdf.ObjectStreamMode.generate), 2),
    "objects in a stream, by hand": (PACKED, 3),
    "very many objects in a stream": (MANY, 1),
    "PDF 2.0": (PLAIN.replace(b"%PDF-1.4", b"%PDF-2.0"), 3),
    "no end marker": (PLAIN.removesuffix(b"%%EOF\n"), 3),
    "a page added": (pdfs.updated(PLAIN, ADDED), 4),
    "pages deleted": (pdfs.updated(PLAIN, DELETED), 1),
    "added and deleted": (pdfs.updated(pdfs.updated(PLAIN, ADDED), DELETED), 1),
    "a form": (pdfs.made(form), 2),
    "outlines": (pdfs.made(outlines), 2),
    "very tall": (pdfs.made(tall), 2),
    "no attachments in their tree": (pdfs.made(empty_names), 2),
    "a page listed twice": (pdfs.made(twice), 3),
    "a deep tree": (pdfs.made(deep), 2),
    "an owner's password": (images.encrypted_pdf(), 2),
    "no count": (pdfs.classic([b"<</Pages 2 0 R>>", b"<</Kids[3 0 R]>>", b"<</Parent 2 0 R>>"]), 1),
    "the size inherited": (
        pdfs.classic(
            [
                b"<</Type/Catalog/Pages 2 0 R>>",
                b"<</Type/Pages/Count 1/Kids[3 0 R]/MediaBox[0 0 99 99]>>",
                b"<</Type/Page/Parent 2 0 R>>",
            ]
        ),
        1,
    ),
    "the tree is its only page": (
        pdfs.classic([b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Page/MediaBox[0 0 9 9]>>"]),
        1,
    ),
    "null among the pages": (
        pdfs.classic(
            [
                b"<</Type/Catalog/Pages 2 0 R>>",
                b"<</Type/Pages/Count 2/Kids[null 3 0 R 9 0 R]>>",
                NEW_PAGE,
            ]
        ),
        1,
    ),
}

LOCKED_AND_PACKED = images.pdf(
    encryption=pikepdf.Encryption(user="", owner="secret"),
    object_stream_mode=pikepdf.ObjectStreamMode.generate,
)

CR = re.sub(rb"(?<=[^m])\n", b"\r", PLAIN)

REPAIRED: dict[str, tuple[bytes, int]] = {
    "no table": (pdfs.one_page(), 1),
    "the table is elsewhere": (images.pdf().replace(b"startxref\n", b"startxref\n9"), 2),
    "the table is said to be at 0": (
        re.sub(rb"startxref\s+\d+", b"startxref\n0", PLAIN),
        3,
    ),
    "the table is some bytes off": (PLAIN.replace(b"%PDF-1.4\n", b"%PDF-1.4\n%more\n"), 3),
    "an entry of the table is off": (OFF, 3),
    "a version that isn't": (PLAIN.replace(b"%PDF-1.4", b"%PDF-9.x"), 3),
    "cut after startxref": (PLAIN[: PLAIN.rindex(b"startxref") + 9], 3),
    "cut in the table": (PLAIN[: PLAIN.rindex(b"xref\n0") + 60], 3),
    "cut before the table": (pdfs.without_table(PLAIN), 3),
    "cut after the table, padded": (pdfs.without_table(PLAIN) + bytes(2000), 3),
    "the size counts objects": (HIGH, 3),
    "no marker": (PLAIN.removeprefix(b"%PDF-1.4\n"), 3),
    "half a marker": (b"%\x8c\xdf comment\n" + PLAIN.removeprefix(b"%PDF-1.4\n"), 3),
    "lines end with CR and the table is off": (CR.replace(b"startxref\r", b"startxref\r1"), 3),
    "line ends were changed": (PLAIN.replace(b"\n", b"\r\n"), 3),
    "much text behind": (PLAIN + b"5 0 R\n" * 300, 3),
    "a change without its table": (pdfs.updated(PLAIN, ADDED, finished=False), 4),
    "a change of nothing, cut": (pdfs.updated(PLAIN, {30: b"<<>>"}, finished=False), 3),
    "a change of no page, cut in an object": (PLAIN + b"30 0 obj\n<</Length 99>>stream\nab", 3),
    "a table in a circle": (PLAIN.replace(b"/Root", b"/Prev 417/Root"), 3),
    "a table before is missing": (PLAIN.replace(b"/Root", b"/Prev 99999/Root"), 3),
    "a table that is a stream, damaged": (PACKED.replace(b"/W[1 4 2]", b"/W[9 9 9]"), 3),
    "a table that is a stream, cut": (PACKED[: PACKED.rindex(b"endstream") - 9], 3),
    "a table that is a stream, cut off": (pdfs.without_table(PACKED), 3),
    "nothing says which the catalog is": (
        pdfs.without_table(PLAIN) + b"startxref\n7\n%%EOF\n",
        3,
    ),
    "all in one line, without a table": (
        pdfs.without_table(PLAIN).replace(b"endobj\n", b"endobj ") + b"trailer<</Root 1 0 R>>",
        3,
    ),
    "its last table is that of a change, and wrong": (
        PLAIN
        + b"xref\n1 1\n0000000000 00000 n \ntrailer\n<</Size 9>>\n"
        + b"startxref\n%d\n%%%%EOF\n" % len(PLAIN),
        3,
    ),
    "an owner's password, objects in streams, zeros behind": (LOCKED_AND_PACKED + bytes(3000), 2),
    "an owner's password, objects in streams, a page behind": (
        LOCKED_AND_PACKED + b"<html>404</html>\n" * 200,
        2,
    ),
    "an owner's password, objects in streams, the table is elsewhere": (
        LOCKED_AND_PACKED.replace(b"startxref\n", b"startxref\n9"),
        2,
    ),
    "an owner's password, objects in streams, cut at its end": (LOCKED_AND_PACKED[:-12], 2),
    "the table counts from one": (PLAIN.replace(b"xref\n0 ", b"xref\n1 "), 3),
    "another generation than in the table": (
        PLAIN.replace(b"1 0 obj", b"1 5 obj").replace(b"/Root 1 0 R", b"/Root 1 5 R"),
        3,
    ),
    "the root is a page": (PLAIN.replace(b"/Root 1 0 R", b"/Root 4 0 R"), 3),
    "the root is no catalog, and nothing is where the table says": (
        pdfs.classic([b"<</Producer(x)>>", b"<</Type/Catalog/Pages 3 0 R>>", *PAGES]).replace(
            b"%PDF-1.4\n", b"%PDF-1.4\n%more\n"
        ),
        1,
    ),
    "linearized, cut at its end": (images.pdf(20, linearize=True)[:-20], 20),
}


@pytest.mark.parametrize(("content", "pages"), WHOLE.values(), ids=WHOLE)
def test_an_odd_document_is_stored_as_it_came(tmp_path: Path, content: bytes, pages: int) -> None:
    made = process_bytes(tmp_path, content, "application/pdf")
    assert (made.object["pages"], made.object_is_staged) == (pages, True)
    assert [each["code"] for each in made.notices] == []


@pytest.mark.parametrize(("content", "pages"), REPAIRED.values(), ids=REPAIRED)
def test_a_document_whose_table_is_damaged_is_stored_with_a_notice(
    tmp_path: Path, content: bytes, pages: int
) -> None:
    made = process_bytes(tmp_path, content, "application/pdf")
    assert (made.object["pages"], made.object_is_staged) == (pages, True)
    assert [each["code"] for each in made.notices] == ["repaired"]
