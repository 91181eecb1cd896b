"""Which PDFs are accepted, what is said of them, and what is made of them."""

import contextlib
import io
import zlib
from pathlib import Path
from typing import Any

import pikepdf
import pytest
import pyvips
from pikepdf import Array, Dictionary, Name, String

from tests.support import images, pdfs
from tests.support.processing import process_bytes
from worker.errors import FileRejected
from worker.formats.job import Made
from worker.formats.pdf import preview

TYPE = "application/pdf"


def process(folder: Path, content: bytes, policy: dict[str, Any] | None = None, **pdf: Any) -> Made:
    return process_bytes(folder, content, TYPE, **(policy or {}), pdf=pdf)


def rejection(folder: Path, content: bytes, **pdf: Any) -> FileRejected:
    with pytest.raises(FileRejected) as verdict:
        process(folder, content, **pdf)
    return verdict.value


def codes(made: Made) -> list[str]:
    return [notice["code"] for notice in made.notices]


# --- pages


def test_pages_are_counted(tmp_path: Path) -> None:
    made = process(tmp_path, images.pdf(3))
    assert (made.object["pages"], made.notices, made.object_is_staged) == (3, [], True)


@pytest.mark.parametrize(
    "content",
    [
        b"%PDF-1.4\n",
        b"%PDF-1.7\n" + b"rubbish " * 500,
        pdfs.crafted(b"/Kids[2 0 R 2 0 R]/Count 2"),
        pdfs.crafted(b"/Kids[]/Count 0"),
        pdfs.crafted(b""),
        pdfs.crafted(b"/Kids 7/Count(x)"),
        pdfs.crafted(b"/Kids[(a) 7 /Name [3 0 R]]"),
    ],
    ids=["header", "rubbish", "in a circle", "no page", "no pages at all", "odd", "odd kids"],
)
def test_a_broken_document_is_corrupt(tmp_path: Path, content: bytes) -> None:
    assert rejection(tmp_path, content).code == "file-corrupt"


def test_a_count_of_pages_that_lies_is_not_believed(tmp_path: Path) -> None:
    lying = pdfs.crafted(b"/Kids[3 0 R]/Count 2000000000", pdfs.ONE_PAGE)
    assert process(tmp_path, lying).object["pages"] == 1


def test_too_many_pages_are_refused_with_both_numbers(tmp_path: Path) -> None:
    assert process(tmp_path, images.pdf(3), max_pages=3).object["pages"] == 3
    verdict = rejection(tmp_path, images.pdf(4), max_pages=3)
    assert verdict.code == "file-too-many-pages"
    assert verdict.params == {"pages": 4, "max_pages": 3}


def test_more_pages_than_recommended_are_noticed(tmp_path: Path) -> None:
    assert process(tmp_path, images.pdf(2), recommended_pages=2).notices == []
    made = process(tmp_path, images.pdf(3), recommended_pages=2)
    assert made.notices == [{"code": "many-pages", "params": {"pages": 3, "recommended_pages": 2}}]


# --- passwords


@pytest.mark.parametrize("strength", [2, 3, 4, 6])
def test_what_opens_without_a_password_is_not_encrypted(tmp_path: Path, strength: Any) -> None:
    content = images.pdf(
        encryption=pikepdf.Encryption(user="", owner="secret", R=strength, aes=strength >= 4,
                                      metadata=strength >= 4)
    )  # fmt: skip
    assert (process(tmp_path, content).object["pages"], codes(process(tmp_path, content))) == (
        2,
        [],
    )
    assert codes(process(tmp_path, content, owner_password="notice")) == ["owner-password"]
    assert rejection(tmp_path, content, owner_password="reject").code == "file-encrypted"


def test_a_document_that_needs_a_password_to_open_is_refused(tmp_path: Path) -> None:
    assert rejection(tmp_path, images.encrypted_pdf(to_open="secret")).code == "file-encrypted"
    far_from_its_table = images.encrypted_pdf(to_open="secret") + b"\n%" + b"x" * 60_000
    assert rejection(tmp_path, far_from_its_table).code == "file-encrypted"


def test_pages_that_need_a_password_to_be_seen_are_not_counted_and_that_is_said(
    tmp_path: Path,
) -> None:
    thumb = {"derivatives": {"thumb": {"size": 100}}}
    made = process(tmp_path, images.encrypted_pdf(to_open="secret"), thumb, encrypted=True)
    assert made.object["pages"] is None
    assert codes(made) == ["pages-not-checked"]
    assert made.derivatives == {}


CERTIFIED = pdfs.one_page().replace(
    b"/Root 1 0 R", b"/Root 1 0 R/Encrypt<</Filter/Adobe.PubSec/V 4>>/ID[<00><00>]"
)
ATTACHMENTS_ALONE = pdfs.one_page().replace(
    b"/Root 1 0 R",
    b"/Root 1 0 R/Encrypt<</Filter/Standard/V 4/R 4/Length 128/P -4/O<%s>/U<%s>"
    b"/CF<</StdCF<</AuthEvent/EFOpen/CFM/AESV2/Length 16>>>>"
    b"/StmF/Identity/StrF/Identity/EFF/StdCF>>/ID[<00><00>]" % (b"5a" * 32, b"a5" * 32),
)


def test_a_document_encrypted_by_certificate_is_refused_as_encrypted(tmp_path: Path) -> None:
    assert rejection(tmp_path, CERTIFIED).code == "file-encrypted"
    assert codes(process(tmp_path, CERTIFIED, encrypted=True)) == ["pages-not-checked"]


def test_a_document_of_which_the_attachments_alone_are_encrypted_is_not_encrypted(
    tmp_path: Path,
) -> None:
    assert process(tmp_path, ATTACHMENTS_ALONE, owner_password="reject").object["pages"] == 1


# --- damage


@pytest.mark.parametrize("linearize", [False, True])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_a_truncated_document_is_corrupt(tmp_path: Path, share: float, linearize: bool) -> None:  # noqa: FBT001 - a parameter of the test
    whole = images.pdf(20, linearize=linearize)
    assert rejection(tmp_path, whole[: int(len(whole) * share)]).code == "file-corrupt"


def test_a_document_is_accepted_wherever_it_is_cut_only_with_everything_its_pages_show(
    tmp_path: Path,
) -> None:
    whole = pdfs.plain(3)
    last_drawn = whole.rindex(b"endstream")
    accepted = {}
    for length in range(0, len(whole), 7):
        with contextlib.suppress(FileRejected):
            accepted[length] = process(tmp_path, whole[:length]).object["pages"]
    assert set(accepted.values()) == {3}
    assert min(accepted) > last_drawn
    ends = last_drawn + len(b"endstream\nendobj\nxref")
    assert set(accepted).issuperset(length for length in range(0, len(whole), 7) if length > ends)


def test_a_font_that_was_cut_off_is_missed(tmp_path: Path) -> None:
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Resources<</Font 4 0 R>>>>"
    kinds = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>", page]
    whole = pdfs.classic([*kinds, b"<</F<</Type/Font>>>>"])
    assert process(tmp_path, whole).object["pages"] == 1
    assert rejection(tmp_path, whole[: whole.index(b"4 0 obj")]).code == "file-corrupt"


def test_a_page_that_was_added_and_cut_off_from_its_tree_is_missed(tmp_path: Path) -> None:
    page = {20: b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>"}
    cut = pdfs.updated(pdfs.plain(2), page, finished=False)
    assert rejection(tmp_path, cut).code == "file-corrupt"


# --- active content, attachments, forms of a kind of their own


def javascript_tree(document: pikepdf.Pdf) -> None:
    document.Root.Names = Dictionary(JavaScript=Dictionary(Names=Array([String("a"), pdfs.SCRIPT])))


def page_opens(document: pikepdf.Pdf) -> None:
    document.pages[1].obj.AA = Dictionary(O=Dictionary(S=Name.URI, URI=String("https://a.example")))


def chained(document: pikepdf.Pdf) -> None:
    document.Root.OpenAction = Dictionary(S=Name.GoTo, D=String("a"), Next=Array([pdfs.SCRIPT]))


def launches(document: pikepdf.Pdf) -> None:
    pdfs.with_annotation(document, Subtype=Name.Link, A=Dictionary(S=Name.Launch, F=String("a")))


def calculates(document: pikepdf.Pdf) -> None:
    field = Dictionary(FT=Name.Tx, T=String("sum"), AA=Dictionary(C=pdfs.SCRIPT))
    document.Root.AcroForm = Dictionary(Fields=Array([document.make_indirect(field)]))


def film(document: pikepdf.Pdf) -> None:
    pdfs.with_annotation(document, Subtype=Name.RichMedia, RichMediaContent=Dictionary())


def bookmark(document: pikepdf.Pdf) -> None:
    title = document.make_indirect(Dictionary(Title=String("a"), A=pdfs.SCRIPT))
    document.Root.Outlines = Dictionary(First=title, Last=title)


def stream_for_a_dictionary(document: pikepdf.Pdf) -> None:
    document.Root.OpenAction = document.make_stream(
        b"", S=Name.JavaScript, JS=String("app.alert(1)")
    )


def names_in_a_stream(document: pikepdf.Pdf) -> None:
    names = Dictionary(Names=Array([String("a"), pdfs.SCRIPT]))
    document.Root.Names = document.make_stream(b"", JavaScript=names)


def hidden_page(document: pikepdf.Pdf) -> None:
    action = Dictionary(S=Name.URI, URI=String("https://a.example"))
    page = document.make_indirect(Dictionary(Type=Name.Template, AA=Dictionary(O=action)))
    document.Root.Names = Dictionary(Templates=Dictionary(Names=Array([String("a"), page])))


def kind_elsewhere(document: pikepdf.Pdf) -> None:
    action = Dictionary(S=document.make_indirect(Name.Launch), F=String("a"))
    pdfs.with_annotation(document, Subtype=Name.Link, A=document.make_indirect(action))


ACTIVE = {
    "JavaScript": [
        javascript_tree,
        pdfs.with_script,
        chained,
        calculates,
        bookmark,
        stream_for_a_dictionary,
        names_in_a_stream,
    ],
    "URI": [page_opens, hidden_page],
    "Launch": [launches, kind_elsewhere],
    "RichMedia": [film],
}


@pytest.mark.parametrize(("what", "change"), [(w, c) for w, each in ACTIVE.items() for c in each])
def test_active_content_is_done_with_as_the_field_says(
    tmp_path: Path, what: str, change: Any
) -> None:
    content = pdfs.made(change)
    assert process(tmp_path, content, active_content="allow").notices == []
    assert process(tmp_path, content).notices == [
        {"code": "active-content", "params": {"found": what}}
    ]
    verdict = rejection(tmp_path, content, active_content="reject")
    assert (verdict.code, verdict.params) == ("file-has-active-content", {"found": what})
    made = process(tmp_path, content, {"keep_original": True}, active_content="strip")
    assert codes(made) == ["active-content-removed"]
    assert (made.object_is_staged, made.object["pages"]) == (False, 2)
    assert made.original is not None
    stripped = (tmp_path / "scratch" / "document.pdf").read_bytes()
    assert process(tmp_path, stripped, active_content="reject").notices == []


def link(document: pikepdf.Pdf) -> None:
    pdfs.with_annotation(
        document, Subtype=Name.Link, A=Dictionary(S=Name.URI, URI=String("https://a.example"))
    )


def opens_on_a_page(document: pikepdf.Pdf) -> None:
    document.Root.OpenAction = Array([document.pages[0].obj, Name.Fit])


def no_scripts(document: pikepdf.Pdf) -> None:
    """As programs leave it behind that took them out."""
    document.Root.Names = Dictionary(JavaScript=Dictionary(Names=Array([])))


@pytest.mark.parametrize("change", [link, opens_on_a_page, no_scripts])
def test_what_people_expect_of_a_document_is_no_active_content(tmp_path: Path, change: Any) -> None:
    assert process(tmp_path, pdfs.made(change), active_content="reject").notices == []


def attached_note(document: pikepdf.Pdf) -> None:
    pdfs.with_annotation(document, Subtype=Name.FileAttachment, FS=Dictionary(F=String("a.exe")))


def attached_to_structure(document: pikepdf.Pdf) -> None:
    element = Dictionary(S=Name.P, AF=Array([pdfs.attached(document)]))
    document.Root.StructTreeRoot = Dictionary(K=document.make_indirect(element))


def note_in_a_stream(document: pikepdf.Pdf) -> None:
    note = document.make_stream(b"", Subtype=Name.FileAttachment, FS=pdfs.attached(document))
    document.pages[0].obj.Annots = Array([note])


def leads_into_a_file(document: pikepdf.Pdf) -> None:
    action = Dictionary(S=Name.GoToE, F=pdfs.attached(document))
    pdfs.with_annotation(document, Subtype=Name.Link, A=action)


@pytest.mark.parametrize(
    ("change", "key", "rejected", "noticed", "removed"),
    [
        (attached_to_structure, "attachments", "file-has-attachments", "attachments",
         "attachments-removed"),
        (note_in_a_stream, "attachments", "file-has-attachments", "attachments",
         "attachments-removed"),
        (leads_into_a_file, "attachments", "file-has-attachments", "attachments",
         "attachments-removed"),
        (pdfs.with_attachment, "attachments", "file-has-attachments", "attachments",
         "attachments-removed"),
        (attached_note, "attachments", "file-has-attachments", "attachments",
         "attachments-removed"),
        (pdfs.with_xfa, "xfa", "file-has-forms", "xfa", "xfa-removed"),
    ],
)  # fmt: skip
def test_attachments_and_xfa_are_done_with_as_the_field_says(
    tmp_path: Path, change: Any, key: str, rejected: str, noticed: str, removed: str
) -> None:
    content = pdfs.made(change)

    def as_policy(value: str) -> dict[str, Any]:
        return {key: value}

    assert codes(process(tmp_path, content, **as_policy("allow"))) == []
    assert codes(process(tmp_path, content)) == [noticed]
    assert rejection(tmp_path, content, **as_policy("reject")).code == rejected
    assert codes(process(tmp_path, content, **as_policy("strip"))) == [removed]
    stripped = (tmp_path / "scratch" / "document.pdf").read_bytes()
    assert codes(process(tmp_path, stripped, **as_policy("reject"))) == []


def test_what_an_owner_restricted_stays_restricted_when_something_is_taken_out(
    tmp_path: Path,
) -> None:
    content = pdfs.made(
        pdfs.with_script,
        encryption=pikepdf.Encryption(user="", owner="x", allow=pikepdf.Permissions(extract=False)),
    )
    assert codes(process(tmp_path, content, active_content="strip")) == ["active-content-removed"]
    with pikepdf.open(tmp_path / "scratch" / "document.pdf") as stripped:
        assert stripped.is_encrypted
        assert not stripped.allow.extract
        assert "/OpenAction" not in stripped.Root


@pytest.mark.parametrize(
    ("flag", "code"),
    [
        (["file-encrypted"], "file-has-active-content"),
        (["file-has-active-content"], "file-encrypted"),
        (["file-encrypted", "file-has-active-content"], "file-encrypted"),
    ],
)
def test_a_finding_that_the_field_refuses_wins_over_one_that_it_keeps(
    tmp_path: Path, flag: list[str], code: str
) -> None:
    content = pdfs.made(pdfs.with_script, encryption=pikepdf.Encryption(user="", owner="x"))
    rules: dict[str, Any] = {"owner_password": "reject", "active_content": "reject"}
    with pytest.raises(FileRejected) as verdict:
        process(tmp_path, content, {"flag": flag}, **rules)
    assert verdict.value.code == code


def test_a_signature_is_not_broken_to_take_something_out(tmp_path: Path) -> None:
    def signed(document: pikepdf.Pdf) -> None:
        pdfs.with_script(document)
        document.Root.AcroForm = Dictionary(Fields=Array([]), SigFlags=3)

    content = pdfs.made(signed)
    assert rejection(tmp_path, content, active_content="strip").code == "file-has-active-content"
    assert codes(process(tmp_path, content)) == ["active-content"]


# --- the picture of the first page

THUMB = {"derivatives": {"thumb": {"size": 100, "format": "png"}}}


def thumb_of(folder: Path) -> pyvips.Image:
    return pyvips.Image.new_from_file(str(folder / "scratch" / "document-thumb.png"))


def test_the_first_page_is_drawn_as_viewers_show_it(tmp_path: Path) -> None:
    made = process(tmp_path, pdfs.made(lambda _: None), THUMB)
    assert (made.derivatives["thumb"]["width"], made.derivatives["thumb"]["height"]) == (100, 50)
    thumb = thumb_of(tmp_path)
    assert thumb.bands == 3
    assert thumb(10, 40) == [255, 0, 0]
    assert thumb(90, 10) == [255, 255, 255]


def test_a_page_that_is_turned_is_drawn_turned(tmp_path: Path) -> None:
    def turn(document: pikepdf.Pdf) -> None:
        document.pages[0].obj.Rotate = 90

    made = process(tmp_path, pdfs.made(turn), THUMB)
    assert (made.derivatives["thumb"]["width"], made.derivatives["thumb"]["height"]) == (50, 100)
    assert thumb_of(tmp_path)(10, 10) == [255, 0, 0]


def test_a_picture_may_be_cut_to_a_square_and_be_of_any_kind(tmp_path: Path) -> None:
    wanted = {
        "large": {"size": 1000, "format": "webp"},
        "square": {"size": 300, "fit": "cover", "format": "jpeg", "quality": 50},
    }
    made = process(tmp_path, pdfs.made(lambda _: None), {"derivatives": wanted})
    sizes = {name: (facts["width"], facts["height"]) for name, facts in made.derivatives.items()}
    assert sizes == {"large": (1000, 500), "square": (300, 300)}


@pytest.mark.parametrize("box", [b"[0 0 14400000 14400000]", b"[0 0 1 9999999]", b"[0 0 .001 .001]",
                                 b"[0 0 0 0]", b"[9 9 1 1]", b"[(a) 0 0 1]", b"7"])  # fmt: skip
def test_a_page_of_any_size_is_drawn_within_bounds(tmp_path: Path, box: bytes) -> None:
    content = pdfs.one_page().replace(b"[0 0 9 9]", box)
    made = process(tmp_path, content, THUMB)
    facts = made.derivatives["thumb"]
    assert min(facts["width"] or 0, facts["height"] or 0) >= 1
    assert max(facts["width"] or 0, facts["height"] or 0) <= 100


def test_a_document_that_had_to_be_mended_is_drawn_too(tmp_path: Path) -> None:
    content = pdfs.plain(1).removeprefix(b"%PDF-1.4\n")
    made = process(tmp_path, content, THUMB)
    assert codes(made) == ["repaired"]
    assert thumb_of(tmp_path)(20, 20) == [255, 0, 0]


def test_what_cannot_be_drawn_in_time_is_stored_without_a_picture_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview, "CPU_SECONDS", 0)
    made = process(tmp_path, pdfs.made(lambda _: None), THUMB)
    assert (codes(made), made.derivatives, made.object["pages"]) == (["no-preview"], {}, 2)


def test_an_image_far_larger_than_its_page_is_drawn(tmp_path: Path) -> None:
    process(tmp_path, pdfs.made(huge_image), THUMB)
    assert thumb_of(tmp_path)(10, 10) == [128, 16, 16]


def huge_image(document: pikepdf.Pdf) -> None:
    side = 12_000
    image = document.make_stream(
        b"", Type=Name.XObject, Subtype=Name.Image, Width=side, Height=side,
        BitsPerComponent=8, ColorSpace=Name.DeviceRGB,
    )  # fmt: skip
    packer = zlib.compressobj()
    rows = b"".join(packer.compress(b"\x80\x10\x10" * side) for _ in range(side))
    image.write(rows + packer.flush(), filter=Name.FlateDecode)
    document.pages[0].obj.Resources = Dictionary(XObject=Dictionary(I=image))
    document.pages[0].Contents = document.make_stream(b"q 200 0 0 100 0 0 cm /I Do Q")


def test_a_picture_is_made_of_a_restricted_document(tmp_path: Path) -> None:
    content = pdfs.made(lambda _: None, encryption=pikepdf.Encryption(user="", owner="secret"))
    process(tmp_path, content, THUMB)
    assert thumb_of(tmp_path)(10, 40) == [255, 0, 0]


def test_a_picture_is_made_of_what_is_stored(tmp_path: Path) -> None:
    made = process(tmp_path, pdfs.made(pdfs.with_script), THUMB, active_content="strip")
    assert set(made.derivatives) == {"thumb"}
    assert pikepdf.open(io.BytesIO((tmp_path / "scratch" / "document.pdf").read_bytes())).pages
