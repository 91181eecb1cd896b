"""Make the documents that word processors, converters and attackers send, by hand."""

import io
import shutil
import struct
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from worker.office.program import find_program

SOFFICE = find_program(None)
needs_office = pytest.mark.skipif(SOFFICE is None, reason="LibreOffice is not installed")

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_OFFICE_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_TYPES = "application/vnd.openxmlformats-officedocument.wordprocessingml"
MAIN = f"{_TYPES}.document.main+xml"
MACRO_MAIN = "application/vnd.ms-word.document.macroEnabled.main+xml"
SHEET_MAIN = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"
ODT_TYPE = "application/vnd.oasis.opendocument.text"
_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'

Parts = dict[str, bytes | str]


def page(number: int) -> str:
    return f"Seite {number}: Lebenslauf von Jörg Müßig"


def docx_parts(pages: int = 1, *, main: str = MAIN, body: str = "", relations: str = "") -> Parts:
    """`body` follows the pages; `relations` are further ones of the document."""
    texts = [f"<w:p><w:r><w:t>{page(number + 1)}</w:t></w:r></w:p>" for number in range(pages)]
    between = '<w:p><w:r><w:br w:type="page"/></w:r></w:p>'
    return {
        "[Content_Types].xml": f'{_XML}<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/word/document.xml" ContentType="{main}"/></Types>',
        "_rels/.rels": f'{_XML}<Relationships xmlns="{_RELATIONS}"><Relationship Id="rId1"'
        f' Type="{_OFFICE_RELATIONS}/officeDocument" Target="word/document.xml"/></Relationships>',
        "word/document.xml": f'{_XML}<w:document xmlns:w="{WORD}" xmlns:r="{_OFFICE_RELATIONS}">'
        f"<w:body>{between.join(texts)}{body}</w:body></w:document>",
        "word/_rels/document.xml.rels": f'{_XML}<Relationships xmlns="{_RELATIONS}">{relations}</Relationships>',
    }


def odt_parts(pages: int = 1, listed: tuple[str, ...] = ()) -> Parts:
    """`listed` are further entries of its manifest."""
    names = "".join(
        f' xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{long}:1.0"'
        for short, long in (
            ("office", "office"),
            ("text", "text"),
            ("style", "style"),
            ("fo", "xsl-fo-compatible"),
        )
    )
    texts = "".join(
        f'<text:p text:style-name="{"new" if number else "first"}">{page(number + 1)}</text:p>'
        for number in range(pages)
    )
    return {
        "mimetype": ODT_TYPE,
        "content.xml": f'{_XML}<office:document-content{names} office:version="1.3"><office:automatic-styles>'
        '<style:style style:name="first" style:family="paragraph"/>'
        '<style:style style:name="new" style:family="paragraph"><style:paragraph-properties fo:break-before="page"/></style:style>'
        f"</office:automatic-styles><office:body><office:text>{texts}</office:text></office:body></office:document-content>",
        "META-INF/manifest.xml": f'{_XML}<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
        f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{ODT_TYPE}"/>'
        '<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml"/>'
        + "".join(
            f'<manifest:file-entry manifest:full-path="{name}" manifest:media-type="text/xml"/>'
            for name in listed
        )
        + "</manifest:manifest>",
    }


class _Pipe(io.BytesIO):
    """Can't be sought in: what is written to it has its sizes behind each entry."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: Any) -> int:
        raise io.UnsupportedOperation


def archive(parts: Parts, *, stored: bool = False, streamed: bool = False) -> bytes:
    out = _Pipe() if streamed else io.BytesIO()
    method = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(out, "w", method) as opened:
        for name, content in parts.items():
            first = name == "mimetype"
            opened.writestr(name, content, zipfile.ZIP_STORED if first else None)
    return out.getvalue()


def docx(pages: int = 1, **more: Any) -> bytes:
    return archive(docx_parts(pages, **more))


def odt(pages: int = 1) -> bytes:
    return archive(odt_parts(pages))


def rtf(pages: int = 1) -> bytes:
    texts = [
        "".join(letter if letter.isascii() else f"\\u{ord(letter)}?" for letter in page(number + 1))
        for number in range(pages)
    ]
    return (
        "{\\rtf1\\ansi\\deff0{\\fonttbl{\\f0 Liberation Serif;}}\\f0 "
        + "\\page ".join(texts)
        + "\\par}"
    ).encode()


def encrypted_entries(content: bytes) -> bytes:
    """The archive, every entry of which says that it is encrypted."""
    out = bytearray(content)
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = out.find(magic)
        while at >= 0:
            out[at + offset] |= 1
            at = out.find(magic, at + 4)
    return bytes(out)


def compound(streams: dict[str, bytes], storages: tuple[str, ...] = ()) -> bytes:
    """A compound file with sectors of 512 bytes, every stream of them of at least 4096 bytes."""
    chains: list[tuple[int, int]] = []
    sectors: list[bytes] = []
    for content in streams.values():
        padded = content.ljust(max(4096, -(-len(content) // 512) * 512), b"\0")
        chains.append((len(sectors), len(padded)))
        sectors += [padded[at : at + 512] for at in range(0, len(padded), 512)]
    entries = [("Root Entry", 5, 0xFFFFFFFE, 0)]
    entries += [(name, 2, *chain) for name, chain in zip(streams, chains, strict=True)]
    entries += [(name, 1, 0, 0) for name in storages]
    raw = b""
    for number, (name, kind, start, size) in enumerate(entries):
        right = number + 1 if 0 < number < len(entries) - 1 else 0xFFFFFFFF
        child = 1 if number == 0 else 0xFFFFFFFF
        text = name.encode("utf-16-le")
        raw += struct.pack(
            "<64sHBBIII36xII4x", text, len(text) + 2, kind, 1, 0xFFFFFFFF, right, child, start, size
        )
    raw = raw.ljust(-(-len(raw) // 512) * 512, b"\0")
    directory = len(sectors)
    sectors += [raw[at : at + 512] for at in range(0, len(raw), 512)]
    table = [at + 1 for at in range(len(sectors))]
    ends = [start + size // 512 - 1 for start, size in chains] + [len(sectors) - 1]
    for end in ends:
        table[end] = 0xFFFFFFFE
    count = -(-(len(table) + 8) // 128)
    table += [0xFFFFFFFD] * count
    first = len(sectors)
    packed = struct.pack(f"<{len(table)}I", *table).ljust(count * 512, b"\xff")
    sectors += [packed[at : at + 512] for at in range(0, len(packed), 512)]
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    header += struct.pack(
        "<5H6x9I", 0x3E, 3, 0xFFFE, 9, 6, 0, count, directory, 0, 4096, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0
    )
    header += struct.pack(
        "<109I", *(list(range(first, first + count)) + [0xFFFFFFFF] * (109 - count))
    )
    return header + b"".join(sectors)


def word_binary(
    *,
    magic: int = 0xA5EC,
    flags: int = 0,
    storages: tuple[str, ...] = (),
    text: str = "WordDocument",
) -> bytes:
    """What looks like a DOC, and has no text that a program could show. `text` names the stream
    that would have it."""
    head = struct.pack("<H8xH", magic, flags)
    return compound({text: head, "1Table": b"table"}, storages)


def word_6(text: str) -> bytes:
    """A DOC of 1993: a header that says where its text is, and the text."""
    start, packed = 0x300, text.encode("cp1252") + b"\r"
    head = bytearray(struct.pack("<7H", 0xA5DC, 101, 0, 0x0409, 0, 0, 101).ljust(start, b"\0"))
    struct.pack_into("<3I", head, 0x18, start, start + len(packed), start + len(packed))
    struct.pack_into("<I", head, 0x34, len(packed))
    return compound({"WordDocument": bytes(head) + packed})


def converted(content: bytes, suffix: str, folder: Path, into: str) -> bytes:
    """What LibreOffice itself makes of a document: `into` is a suffix, with a filter if need be."""
    assert SOFFICE
    source = folder / f"source{suffix}"
    source.write_bytes(content)
    profile = (folder / "own-profile").as_uri()
    command = [
        str(SOFFICE),
        f"-env:UserInstallation={profile}",
        "--headless",
        "--convert-to",
        into,
        "--outdir",
        str(folder / "out"),
        str(source),
    ]
    for _ in range(3):  # a first start makes the profile, and ends
        if subprocess.run(command, check=False, capture_output=True, timeout=120).returncode == 0:
            break
    made = next((folder / "out").glob("source.*")).read_bytes()
    shutil.rmtree(folder / "out")
    return made
