"""Hostile and broken documents: named for what they are, and refused with a reason."""

import io
import random
import resource
import struct
import zipfile
from pathlib import Path

import pytest

from shared.formats import DOC, DOCX, ODT, PDF, RTF
from tests.formats.test_honest_documents import check
from tests.support import documents
from tests.support.beginnings import begins_as_told
from tests.support.documents import archive, docx_parts, odt_parts
from worker.errors import FileRejected
from worker.formats.detect import detect

SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def types(main: str) -> str:
    return f'<Types><Override PartName="/x" ContentType="{main}"/></Types>'


def detected(folder: Path, content: bytes) -> str | None:
    (folder / "upl_x").write_bytes(content)
    return detect(folder / "upl_x")


@pytest.mark.parametrize(
    ("media_type", "content"),
    [
        (SHEET, archive({"[Content_Types].xml": types(documents.SHEET_MAIN)})),
        (
            "application/vnd.openxmlformats-officedocument.presentationml.presentation",
            archive(
                {
                    "[Content_Types].xml": types(
                        "application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml"
                    )
                }
            ),
        ),
        (
            "application/vnd.openxmlformats-officedocument.wordprocessingml.template",
            documents.docx(
                main="application/vnd.openxmlformats-officedocument.wordprocessingml.template.main+xml"
            ),
        ),
        (
            "application/vnd.oasis.opendocument.spreadsheet",
            archive({"mimetype": "application/vnd.oasis.opendocument.spreadsheet"}),
        ),
        (
            "application/vnd.oasis.opendocument.text-template",
            archive({"mimetype": f"{documents.ODT_TYPE}-template"}),
        ),
        ("application/epub+zip", archive({"mimetype": "application/epub+zip"})),
        ("application/zip", archive({"mimetype": "image/jpeg"})),
        ("application/zip", archive({"word/document.xml": "no list of types"})),
        ("application/java-archive", archive({"META-INF/MANIFEST.MF": "Manifest-Version: 1.0"})),
        ("application/vnd.ms-excel", documents.compound({"Workbook": b"x"})),
        ("application/vnd.ms-powerpoint", documents.compound({"PowerPoint Document": b"x"})),
        ("application/vnd.ms-outlook", documents.compound({"__properties_version1.0": b"x"})),
        ("application/x-ole-storage", documents.compound({"anything": b"x"})),
        (
            "application/vnd.ms-excel",  # cut off
            documents.compound({"Workbook": b"\x09\x08\x10\0"})[:1500],
        ),
        ("application/zip", archive({"a.pdf": b"%PDF-1.7", **docx_parts()}, stored=True)),
    ],
)
def test_what_is_in_a_container_is_named(tmp_path: Path, media_type: str, content: bytes) -> None:
    assert detected(tmp_path, content) == media_type


CUT = {
    "docx": (DOCX.media_type, documents.docx(20)[:-30]),
    "docx early": (DOCX.media_type, documents.docx(20)[:900]),
    "odt": (ODT.media_type, documents.odt(20)[:-30]),
    "rtf": (RTF.media_type, documents.rtf(5)[:-20]),
    "doc": (DOC.media_type, documents.word_binary()[:3000]),
    "doc whose text isn't its first stream": (
        DOC.media_type,
        documents.compound({"1Table": b"table", "WordDocument": b"\xec\xa5\xc1\0"})[:-2000],
    ),
    "doc cut off before its text": (
        DOC.media_type,
        documents.compound({"1Table": b"table", "WordDocument": b"\xec\xa5\xc1\0"})[:3000],
    ),
    "doc without its end": (DOC.media_type, documents.word_binary()[:-700]),
}


@pytest.mark.parametrize("what", CUT)
def test_a_document_that_is_cut_off_is_corrupt(tmp_path: Path, what: str) -> None:
    media_type, content = CUT[what]
    assert detected(tmp_path, content) == media_type
    with pytest.raises(FileRejected) as verdict:
        check(tmp_path, content)
    assert verdict.value.code == "file-corrupt"


def flipped() -> bytes:
    content = bytearray(archive(docx_parts(), stored=True))
    content[content.find(b"Lebenslauf")] ^= 1
    return bytes(content)


def drawing(entity: str) -> bytes:
    svg = f'<!DOCTYPE svg [<!ENTITY a "http://a.example/"><!ENTITY {entity}>]><svg xmlns="&a;"/>'
    return archive(docx_parts() | {"word/media/image1.svg": svg})


def slipping(name: str) -> bytes:
    return archive(docx_parts() | {name: b"x"})


@pytest.mark.parametrize(
    "content",
    [
        flipped(),
        drawing('b "&a;&a;"'),
        drawing('b SYSTEM "file:///etc/passwd"'),
        drawing('% b "http://a.example/"'),
        slipping("../../etc/cron.d/x"),
        slipping("/etc/passwd"),
        slipping("..\\..\\x"),
        slipping("word/../../x"),
    ],
    ids=[
        "flipped",
        "nested",
        "from a file",
        "of markup",
        "up",
        "absolute",
        "backslashes",
        "within",
    ],
)
def test_a_damaged_archive_or_one_that_leads_out_of_itself_is_corrupt(
    tmp_path: Path, content: bytes
) -> None:
    with pytest.raises(FileRejected) as verdict:
        check(tmp_path, content)
    assert verdict.value.code == "file-corrupt"


def test_a_link_in_an_archive_leads_nowhere(tmp_path: Path) -> None:
    out = io.BytesIO(documents.docx())
    with zipfile.ZipFile(out, "a") as opened:
        link = zipfile.ZipInfo("word/media/image1.png")
        link.external_attr = 0o120777 << 16
        opened.writestr(link, "/etc/passwd")
    assert check(tmp_path, out.getvalue()).object_is_staged
    assert list((tmp_path / "scratch").iterdir()) == []


ENCRYPTED = {
    "docx": documents.compound({"EncryptedPackage": b"x", "EncryptionInfo": b"y"}),
    "docx with an empty doc beside it": documents.compound(
        {"WordDocument": b"", "EncryptedPackage": b"x", "EncryptionInfo": b"y"}
    ),
    "docx by entries": documents.encrypted_entries(documents.docx()),
    "odt": archive(odt_parts() | {"META-INF/manifest.xml": "<manifest:encryption-data/>"}),
    "doc": documents.word_binary(flags=0x0100),
}


@pytest.mark.parametrize("what", ENCRYPTED)
def test_an_encrypted_document_is_the_fields_to_take(tmp_path: Path, what: str) -> None:
    with pytest.raises(FileRejected) as verdict:
        check(tmp_path, ENCRYPTED[what])
    assert verdict.value.code == "file-encrypted"
    made = check(tmp_path, ENCRYPTED[what], document={"encrypted": True})
    assert begins_as_told(made.object["content_type"], ENCRYPTED[what])
    assert [notice["code"] for notice in made.notices] == ["pages-not-checked"]


def related(kind: str, target: str, mode: str = "Internal") -> str:
    kind = f"http://schemas.openxmlformats.org/officeDocument/2006/relationships/{kind}"
    return f'<Relationship Id="rId9" Type="{kind}" Target="{target}" TargetMode="{mode}"/>'


def with_template(target: str) -> bytes:
    return documents.docx(relations=related("attachedTemplate", target, "External"))


def instructed(*pieces: str) -> str:
    texts = "".join(f"<w:r><w:instrText>{piece}</w:instrText></w:r>" for piece in pieces)
    return f'<w:p><w:r><w:fldChar w:fldCharType="begin"/></w:r>{texts}</w:p>'


LISTENER = (
    '<script:event-listener xmlns:script="urn:oasis:names:tc:opendocument:xmlns:script:1.0"'
    ' script:language="ooo:script" script:event-name="dom:load"/>'
)
MACROS = {
    "docx, under another name": archive(
        docx_parts(main=documents.MACRO_MAIN, relations=related("vbaProject", "theme1.bin"))
        | {"word/theme1.bin": b"x"}
    ),
    "docx, in the list of types alone": archive(
        docx_parts()
        | {
            "[Content_Types].xml": types(documents.MAIN).replace(
                "</Types>",
                '<Default Extension="bin" ContentType="application/vnd.ms-office.vbaProject"/></Types>',
            )
        }
    ),
    "docx with one in it": archive(docx_parts() | {"word/embeddings/x.docm": b"x"}),
    "docx with a template of the net": with_template("http://a.example/x.dotm"),
    "docx with a template of another server": with_template(r"file:///\\a.example@SSL\x.dotm"),
    "docx that starts a program": documents.docx(body=instructed(" DDE", "AUTO c:\\cmd.exe")),
    "docx that starts a program, in short": documents.docx(
        body='<w:p><w:fldSimple w:instr="DDEAUTO cmd.exe"/></w:p>'
    ),
    "odt that listens": archive(odt_parts() | {"styles.xml": f"<x>{LISTENER}</x>"}),
    "rtf with numbers": b"{\\rtf1 {\\object\\objautlink0\\objupdate1{\\*\\objdata 0105}}}",
    "rtf with a template of the net": b"{\\rtf1 {\\*\\template \\'68ttp://a.example/x.dotm}}",
    "rtf that starts a program": b"{\\rtf1 {\\field{\\*\\fldinst {\\b DDEAUTO cmd}}}}",
    "docx": archive(docx_parts(main=documents.MACRO_MAIN) | {"word/vbaProject.bin": b"x"}),
    "odt": archive(odt_parts() | {"Basic/Standard/Module1.xml": "<x/>"}),
    "odt with a script": archive(odt_parts() | {"Scripts/python/x.py": "pass"}),
    "doc": documents.word_binary(storages=("Macros", "_VBA_PROJECT")),
    "rtf": b"{\\rtf1 {\\object\\objautlink\\objupdate{\\*\\objdata 0105}}}",
}


@pytest.mark.parametrize("what", MACROS)
def test_macros_are_the_fields_to_take(tmp_path: Path, what: str) -> None:
    with pytest.raises(FileRejected) as verdict:
        check(tmp_path, MACROS[what])
    assert verdict.value.code == "file-has-macros"
    told = check(tmp_path, MACROS[what], document={"macros": "notice"})
    assert [notice["code"] for notice in told.notices] == ["has-macros"]
    assert check(tmp_path, MACROS[what], document={"macros": "allow"}).notices == []


NO_MACROS = {
    "docx with the template of an office": with_template(r"file:///\\fs01\templates\Letter.dotx"),
    "docx with a template on a disk": with_template("file:///C:\\Users\\Ada\\Letter.v2.dotx"),
    "docx that speaks of DDE": documents.docx(body=instructed(" REF DDE ")),
    "odt with lists of nothing": archive(
        odt_parts() | {"Basic/script-lc.xml": "<x/>", "Basic/Standard/script-lb.xml": "<x/>"}
    ),
    "rtf with a template on a disk": b"{\\rtf1 {\\*\\template C:\\\\Letter.dot}DDEAUTO}",
}


@pytest.mark.parametrize("what", NO_MACROS)
def test_what_programs_leave_in_honest_documents_is_no_macro(tmp_path: Path, what: str) -> None:
    assert check(tmp_path, NO_MACROS[what], document={"macros": "reject"}).notices == []


def test_a_bomb_is_refused_before_it_goes_off(tmp_path: Path) -> None:
    """A gigabyte of zeros takes a second to inflate."""
    bomb = io.BytesIO(documents.docx())
    with (
        zipfile.ZipFile(bomb, "a", zipfile.ZIP_DEFLATED) as opened,
        opened.open("word/media/x.bmp", "w") as entry,
    ):
        for _ in range(513):
            entry.write(bytes(1 << 20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    with pytest.raises(FileRejected) as verdict:
        check(tmp_path, bomb.getvalue())
    assert verdict.value.code == "file-too-complex"
    assert set(verdict.value.params) == {"unpacked_bytes", "max_unpacked_bytes"}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 0.5


def test_an_archive_of_much_of_anything_is_too_complex(tmp_path: Path) -> None:
    text = archive(docx_parts() | {"word/styles.xml": bytes(65 << 20)})
    entries = archive(docx_parts() | {f"word/media/{number}": b"" for number in range(10_001)})
    one = documents.docx(body="<w:p " + " ".join(f'a{n}=""' for n in range(1_001)) + "/>")
    svg = '<!DOCTYPE svg [<!ENTITY a "http://a.example/">]><svg>' + "&a;" * (2 << 20)
    large = archive(docx_parts() | {"word/media/image1.svg": svg})
    limits = {"text_bytes": text, "entries": entries, "attributes": one, "drawing_bytes": large}
    for limit, content in limits.items():
        with pytest.raises(FileRejected) as verdict:
            check(tmp_path, content)
        assert verdict.value.code == "file-too-complex"
        assert limit in verdict.value.params


def test_an_entry_that_holds_more_than_it_says_is_corrupt(tmp_path: Path) -> None:
    content = bytearray(archive(docx_parts() | {"word/media/x.bmp": bytes(1 << 20)}))
    at = content.rfind(b"PK\x01\x02")
    struct.pack_into("<I", content, at + 24, 10)
    with pytest.raises(FileRejected) as verdict:
        check(tmp_path, bytes(content))
    assert verdict.value.code == "file-corrupt"


def test_an_archive_with_a_long_list_is_only_an_archive(tmp_path: Path) -> None:
    entries = archive({f"{number:060}": b"" for number in range(40_000)})
    assert detected(tmp_path, entries) == "application/zip"


def nested(depth: int) -> str:
    return "<w:tbl><w:tr><w:tc>" * depth + "<w:p/>" + "</w:tc></w:tr></w:tbl>" * depth


CELLS = "<w:tc><w:p/></w:tc>" * 201


@pytest.mark.parametrize(
    ("what", "content"),
    [
        ("table_depth", documents.docx(body=nested(21))),
        ("table_depth", b"{\\rtf1 \\itap21 in tables\\nestcell}"),
        ("cells", documents.docx(body=f"<w:tbl>{f'<w:tr>{CELLS}</w:tr>' * 100}</w:tbl>")),
        ("cells", b"{\\rtf1 " + b"\\cell" * 20_001 + b"}"),
        ("paragraphs", documents.docx(body="<w:p/>" * 100_001)),
    ],
)
def test_what_takes_too_long_to_lay_out_is_too_complex_where_it_is_laid_out(
    tmp_path: Path, what: str, content: bytes
) -> None:
    assert check(tmp_path, content).notices == []
    with pytest.raises(FileRejected) as verdict:
        check(
            tmp_path,
            content,
            convert={DOCX.media_type: PDF.media_type, RTF.media_type: PDF.media_type},
        )
    assert verdict.value.code == "file-too-complex"
    assert what in verdict.value.params


@pytest.mark.parametrize(
    ("part", "code"),
    [
        ("<x>" * 1_001, "file-too-complex"),
        ('<!DOCTYPE x [<!ENTITY a "lol">]><x/>', "file-corrupt"),
        ("<x>not closed", None),
    ],
    ids=["deep", "entities", "broken"],
)
def test_xml_is_read_whatever_its_part_is_called(
    tmp_path: Path, part: str, code: str | None
) -> None:
    content = archive(docx_parts() | {"word/notes.dat": part})
    if code is None:
        assert check(tmp_path, content).notices == []
        return
    with pytest.raises(FileRejected) as verdict:
        check(tmp_path, content)
    assert verdict.value.code == code


def test_braces_without_an_end_in_sight_are_too_complex(tmp_path: Path) -> None:
    with pytest.raises(FileRejected) as verdict:
        check(tmp_path, b"{\\rtf1 " + b"{" * 2000 + b"}" * 2001)
    assert verdict.value.code == "file-too-complex"


@pytest.mark.parametrize("seed", range(40))
def test_a_mangled_document_is_taken_or_refused_and_nothing_else(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - it is to be the same each time
    made = [
        documents.docx(3),
        documents.odt(3),
        documents.rtf(3),
        documents.word_binary(storages=("Macros",)),
    ]
    content = bytearray(dice.choice(made))
    for _ in range(dice.choice([1, 5, 50])):
        content[dice.randrange(8, len(content))] = dice.randrange(256)
    (tmp_path / "upl_x").write_bytes(content)
    if detect(tmp_path / "upl_x") in (
        DOCX.media_type,
        ODT.media_type,
        RTF.media_type,
        DOC.media_type,
    ):
        try:
            check(tmp_path, bytes(content))
        except FileRejected as verdict:
            assert verdict.code.startswith("file-")  # noqa: PT017 - either is right


def test_streams_that_share_a_long_list_of_sectors_are_too_complex(tmp_path: Path) -> None:
    """Each by itself is as long as it says; all together are many times the file."""
    size = 2 << 20
    names = tuple(f"{number:04}" for number in range(4_000))
    content = bytearray(documents.compound({"WordDocument": bytes(size)}, names))
    for name in names:
        at = content.find(name.encode("utf-16-le"), size)
        content[at + 66] = 2  # no storage, but a stream
        struct.pack_into("<II", content, at + 116, 0, size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    with pytest.raises(FileRejected) as verdict:
        check(tmp_path, bytes(content))
    assert verdict.value.code == "file-too-complex"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 1


def test_a_list_of_sectors_in_a_circle_ends(tmp_path: Path) -> None:
    content = bytearray(documents.word_binary())
    directory, table = 16, 512 * (1 + 17)
    struct.pack_into("<I", content, table + 4 * directory, directory)
    with pytest.raises(FileRejected) as verdict:
        check(tmp_path, bytes(content))
    assert verdict.value.code == "file-corrupt"
