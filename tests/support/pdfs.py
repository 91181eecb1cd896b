"""Make the PDFs that people, printers, programs and attackers send."""

import io
import re
import struct
import zlib
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

import pikepdf
from pikepdf import Array, Dictionary, Name, String

ONE_PAGE = b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>endobj\n"


def crafted(pages: bytes, rest: bytes = b"", catalog: bytes = b"") -> bytes:
    """A document by hand; without a table of objects, as sloppy programs write them."""
    return (
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R"
        + catalog
        + b">>endobj\n2 0 obj<</Type/Pages"
        + pages
        + b">>endobj\n"
        + rest
        + b"trailer<</Root 1 0 R/Size 9>>\nstartxref\n0\n%%EOF\n"
    )


def one_page(catalog: bytes = b"", rest: bytes = b"") -> bytes:
    return crafted(b"/Kids[3 0 R]/Count 1", ONE_PAGE + rest, catalog)


def classic(objects: Sequence[bytes], trailer: bytes = b"", header: bytes = b"%PDF-1.4\n") -> bytes:
    """`objects` from number 1 on, the first one the catalog, with a right table."""
    out = header
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    table += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    end = b"trailer\n<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF\n" % (
        size,
        trailer,
        len(out),
    )
    return out + table + end


def plain(pages: int = 3) -> bytes:
    """As a report generator writes it: the tree first, what is drawn last."""
    kids = b" ".join(b"%d 0 R" % (3 + n) for n in range(pages))
    drawn = b"<</Length 27>>stream\n1 0 0 rg 20 20 60 60 re f \nendstream"
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]/Contents %d 0 R>>"
    return classic(
        [
            b"<</Type/Catalog/Pages 2 0 R>>",
            b"<</Type/Pages/Count %d/Kids[%s]>>" % (pages, kids),
            *(page % (3 + pages + n) for n in range(pages)),
            *[drawn] * pages,
        ]
    )


def packed(objects: dict[int, bytes], rest: dict[int, bytes], filters: int = 1) -> bytes:
    """With `objects` in a stream, and a table that is a stream; object 1 is the catalog."""
    ends = accumulate((len(text) + 1 for text in objects.values()), initial=0)
    heads = b"".join(b"%d %d " % each for each in zip(objects, ends, strict=False))
    text = heads + b"".join(text + b"\n" for text in objects.values())
    for _ in range(filters):
        text = zlib.compress(text, 9)
    holder = max((*objects, *rest)) + 1
    out = b"%PDF-1.5\n"
    rows = {number: (2, holder, index) for index, number in enumerate(objects)}
    described = b"<</Type/ObjStm/N %d/First %d/Filter[%s]/Length %d>>" % (
        len(objects),
        len(heads),
        b"/FlateDecode" * filters,
        len(text),
    )
    stream = b"%s\nstream\n%s\nendstream" % (described, text)
    for number, content in {**rest, holder: stream}.items():
        rows[number] = (1, len(out), 0)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(out)
    rows[holder + 1] = (1, start, 0)
    table = zlib.compress(
        b"".join(struct.pack(">BIH", *rows.get(n, (0, 0, 0))) for n in range(holder + 2))
    )
    out += b"%d 0 obj\n<</Type/XRef/Size %d/Root 1 0 R/W[1 4 2]/Filter/FlateDecode" % (
        holder + 1,
        holder + 2,
    )
    out += b"/Length %d>>\nstream\n%s\nendstream\nendobj\n" % (len(table), table)
    return out + b"startxref\n%d\n%%%%EOF\n" % start


def kids_listed(times: int, filters: int = 2) -> bytes:
    """One page, listed so often, in a stream that is next to nothing."""
    kids = b"<</Type/Pages/Count %d/Kids[%s]>>" % (times, b"3 0 R " * times)
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]>>"
    return packed({1: b"<</Type/Catalog/Pages 2 0 R>>", 2: kids}, {3: page}, filters)


def made(change: Callable[[pikepdf.Pdf], object], pages: int = 2, **options: Any) -> bytes:
    """A document of `pages` pages, after `change`."""
    document = pikepdf.new()
    for _ in range(pages):
        document.add_blank_page(page_size=(200, 100))
        document.pages[-1].Contents = document.make_stream(b"1 0 0 rg 0 0 100 50 re f")
    change(document)
    out = io.BytesIO()
    document.save(out, **options)
    return out.getvalue()


SCRIPT = Dictionary(S=Name.JavaScript, JS=String("app.alert(1)"))


def with_script(document: pikepdf.Pdf) -> None:
    document.Root.OpenAction = SCRIPT


def with_attachment(document: pikepdf.Pdf) -> None:
    document.attachments["list.txt"] = b"a,b,c"


def with_xfa(document: pikepdf.Pdf) -> None:
    document.Root.AcroForm = Dictionary(
        Fields=Array([]), XFA=document.make_stream(b"<xdp:xdp xmlns:xdp='x'/>")
    )


def attached(document: pikepdf.Pdf) -> pikepdf.Object:
    """A file in the document, to be attached to something."""
    content = document.make_stream(b"a program")
    spec = Dictionary(Type=Name.Filespec, F=String("a.exe"), EF=Dictionary(F=content))
    return document.make_indirect(spec)


def with_annotation(document: pikepdf.Pdf, **entries: Any) -> None:
    annotation = Dictionary(Type=Name.Annot, Rect=Array([0, 0, 9, 9]), **entries)
    document.pages[0].obj.Annots = Array([document.make_indirect(annotation)])


def without_table(content: bytes) -> bytes:
    """Cut where the last table begins."""
    return content[: int(re.findall(rb"startxref\s+(\d+)", content)[-1])]


def updated(content: bytes, objects: dict[int, bytes], *, finished: bool = True) -> bytes:
    """With a change behind it, as programs save one; cut off before its table if not `finished`."""
    previous = int(re.findall(rb"startxref\s+(\d+)", content)[-1])
    out, table = content, b""
    for number, body in objects.items():
        table += b"%d 1\n%010d 00000 n \n" % (number, len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    if not finished:
        return out
    size = max(*objects, 20) + 1
    return out + b"xref\n%strailer\n<</Size %d/Root 1 0 R/Prev %d>>\nstartxref\n%d\n%%%%EOF\n" % (
        table,
        size,
        previous,
        len(out),
    )
