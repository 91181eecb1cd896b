"""Odd and honest documents are taken for what they are, and found whole."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared.formats import DOC, DOCX, FORMATS, ODT, RTF
from shared.policy import FilePolicy
from tests.support import documents
from tests.support.beginnings import begins_as_told
from tests.support.documents import Parts, archive, docx_parts, odt_parts
from worker.formats.detect import detect
from worker.formats.families import process
from worker.formats.job import Job, Made

ACCEPT = (DOCX.media_type, ODT.media_type, RTF.media_type, DOC.media_type)


def check(folder: Path, content: bytes, **rules: Any) -> Made:
    """What a field that takes every kind of document makes of it. Raises `FileRejected`."""
    staged, scratch = folder / "upl_x", folder / "scratch"
    staged.write_bytes(content)
    scratch.mkdir(exist_ok=True)
    policy = FilePolicy.model_validate({"accept": ACCEPT, "max_bytes": 10**8} | rules)
    detected = detect(staged)
    assert detected in ACCEPT
    return process(Job(staged, scratch, "cv", policy, FORMATS[detected], begin=lambda _: None))


def with_parts(parts: Parts, **more: bytes | str) -> bytes:
    return archive(parts | {name.replace("__", "/"): part for name, part in more.items()})


def in_utf_16(parts: Parts) -> bytes:
    text = str(parts["[Content_Types].xml"]).replace("UTF-8", "UTF-16")
    return archive(parts | {"[Content_Types].xml": text.encode("utf-16")})


def in_another_order(parts: Parts) -> bytes:
    return archive(dict(reversed(parts.items())))


def without(parts: Parts, name: str) -> bytes:
    return archive({each: part for each, part in parts.items() if each != name})


def with_comment(content: bytes) -> bytes:
    comment = b"made by a converter"
    return content[:-2] + struct.pack("<H", len(comment)) + comment


def renamed_main_part() -> bytes:
    parts = {
        name: str(part).replace("document.xml", "document2.xml")
        for name, part in docx_parts().items()
    }
    return archive(
        {name.replace("document.xml", "document2.xml"): part for name, part in parts.items()}
    )


def many_pictures() -> bytes:
    return archive(
        docx_parts() | {f"word/media/image{number}.png": b"\x89PNG" for number in range(2000)}
    )


def nested_groups() -> bytes:
    return b"{\\rtf1 " + b"{\\b " * 200 + b"deep" + b"}" * 201


DRAWING = """<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd" [
<!ENTITY ns_svg "http://www.w3.org/2000/svg">
<!ENTITY ns_extend "http://ns.adobe.com/Extensibility/1.0/">
]><svg xmlns="&ns_svg;" xmlns:x="&ns_extend;"/>"""

ROWS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "a plain docx": (DOCX.media_type, documents.docx),
    "a docx with data descriptors": (DOCX.media_type, lambda: archive(docx_parts(), streamed=True)),
    "a docx that is not compressed": (DOCX.media_type, lambda: archive(docx_parts(), stored=True)),
    "a docx with its list of types last": (DOCX.media_type, lambda: in_another_order(docx_parts())),
    "a docx with types in UTF-16": (DOCX.media_type, lambda: in_utf_16(docx_parts())),
    "a docx with a comment": (DOCX.media_type, lambda: with_comment(documents.docx())),
    "a docx with bytes before its end": (DOCX.media_type, lambda: documents.docx() + b"\0" * 100),
    "a docx of Office 365": (DOCX.media_type, renamed_main_part),
    "a docx with a spreadsheet in it": (
        DOCX.media_type,
        lambda: with_parts(
            docx_parts(), word__embeddings__sheet1_xlsx=archive({"[Content_Types].xml": "x"})
        ),
    ),
    "a docx with an object in it": (
        DOCX.media_type,
        lambda: with_parts(
            docx_parts(), word__embeddings__oleObject1_bin=documents.compound({"Workbook": b"x"})
        ),
    ),
    "a docx with 2000 pictures": (DOCX.media_type, many_pictures),
    "a docx with a folder as an entry": (
        DOCX.media_type,
        lambda: archive(docx_parts() | {"word/media/": b""}),
    ),
    "a docx with an umlaut in a name": (
        DOCX.media_type,
        lambda: archive(docx_parts() | {"word/media/Müßig.png": b"x"}),
    ),
    "a docx with a drawing of Illustrator's": (
        DOCX.media_type,
        lambda: archive(docx_parts() | {"word/media/image1.svg": DRAWING}),
    ),
    "a docx with a macro's content type and no macro": (
        DOCX.media_type,
        lambda: documents.docx(main=documents.MACRO_MAIN),
    ),
    "a plain odt": (ODT.media_type, documents.odt),
    "an odt without its mimetype": (ODT.media_type, lambda: without(odt_parts(), "mimetype")),
    "an odt with its mimetype last": (ODT.media_type, lambda: in_another_order(odt_parts())),
    "an odt with a line end in its mimetype": (
        ODT.media_type,
        lambda: archive(odt_parts() | {"mimetype": f"{documents.ODT_TYPE}\r\n"}),
    ),
    "a plain rtf": (RTF.media_type, documents.rtf),
    "an rtf with a byte order mark": (RTF.media_type, lambda: b"\xef\xbb\xbf" + documents.rtf()),
    "an rtf with lines before it": (RTF.media_type, lambda: b"\r\n \t" + documents.rtf()),
    "an rtf with zeros behind it": (RTF.media_type, lambda: documents.rtf() + b"\r\n\0\0\0"),
    "an rtf with braces in its text": (RTF.media_type, lambda: b"{\\rtf1 a \\} b \\{ c \\\\}"),
    "an rtf with bytes in it": (RTF.media_type, lambda: b"{\\rtf1 {\\pict\\bin5 {{{{{} text}"),
    "an rtf with deep groups": (RTF.media_type, nested_groups),
    "an rtf with an object in it": (
        RTF.media_type,
        lambda: b"{\\rtf1 {\\object\\objemb{\\*\\objdata 0105}} text}",
    ),
    "a plain doc": (DOC.media_type, documents.word_binary),
    "a doc whose last sector is short": (DOC.media_type, lambda: documents.word_binary()[:-200]),
    "a doc of Word 95": (DOC.media_type, lambda: documents.word_binary(magic=0xA5DC)),
    "a doc of Word 95 for Taiwan": (DOC.media_type, lambda: documents.word_binary(magic=0xA699)),
    "a doc whose names are in capitals": (
        DOC.media_type,
        lambda: documents.word_binary(text="WORDDOCUMENT"),
    ),
    "a doc with a spreadsheet in it": (
        DOC.media_type,
        lambda: documents.word_binary(storages=("ObjectPool",)),
    ),
}


@pytest.mark.parametrize("what", ROWS)
def test_an_odd_and_honest_document_is_taken_for_what_it_is(tmp_path: Path, what: str) -> None:
    media_type, make = ROWS[what]
    content = make()
    made = check(tmp_path, content)
    assert begins_as_told(media_type, content)
    assert made.object["content_type"] == media_type
    assert made.notices == []
    assert made.object_is_staged
