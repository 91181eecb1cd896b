"""What browsers read of a form type, and the form type of the tests that uses every key."""

import string
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from api.texts.errors import ERRORS
from api.texts.rejections import NOTICE_TEXTS, texts, upload_error, upload_notice
from api.texts.sizes import size
from api.views.form_types import FileFieldView, form_type_view
from shared.codes import NOTICES, PLACEHOLDERS, POLICY_PLACEHOLDERS, REJECTIONS
from shared.form_definition import (
    CheckboxField,
    ChoiceField,
    FileField,
    FormType,
    Section,
    TextField,
    load_form_types,
)
from shared.formats import FORMATS
from shared.policy import Derivative, DocumentLimits, FilePolicy, ImageLimits, PdfLimits

FORMS = Path(__file__).parents[1] / "forms"
MODELS: dict[str, type[BaseModel]] = {
    "image": ImageLimits,
    "pdf": PdfLimits,
    "document": DocumentLimits,
    "derivatives": Derivative,
}
OUTER: tuple[type[BaseModel], ...] = (FormType, Section, *MODELS.values())
FIELDS: tuple[type[BaseModel], ...] = (TextField, ChoiceField, CheckboxField, FileField)


def every_key() -> FormType:
    return load_form_types(FORMS)["every_key"]


def used(field: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Model and key, for all that a field's definition says."""
    model = next(
        m.__name__ for m in FIELDS if field["kind"] in get_args(m.model_fields["kind"].annotation)
    )
    for key, value in field.items():
        yield model, key
        inner = value.values() if key == "derivatives" else [value] if key in MODELS else []
        for each in inner:
            yield from ((MODELS[key].__name__, inner_key) for inner_key in each)


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (1, "1 byte"),
        (999, "999 bytes"),
        (1_000, "1 KB"),
        (1_150, "1.2 KB"),
        (1_250, "1.3 KB"),
        (999_949, "999.9 KB"),
        (999_950, "1 MB"),
        (15_000_000, "15 MB"),
        (2_200_000_000, "2.2 GB"),
    ],
)
def test_a_size_is_written_as_people_read_it(count: int, said: str) -> None:
    assert size(count) == said


def test_one_form_type_of_the_tests_uses_every_key() -> None:
    defined = tomllib.loads((FORMS / "every_key.toml").read_text("utf-8"))
    found = {("FormType", key) for key in defined}
    found |= {("Section", key) for section in defined["sections"] for key in section}
    found |= {each for s in defined["sections"] for field in s["fields"] for each in used(field)}
    bases = {*TextField.model_fields} - {"kind", "max_length"}
    told = {(model, key) for model, key in found if model not in {m.__name__ for m in FIELDS}}
    told |= {("field", key) if key in bases else (m, key) for m, key in found - told}
    wanted = {(model.__name__, key) for model in OUTER for key in model.model_fields}
    wanted |= {
        ("field", key) if key in bases else (model.__name__, key)
        for model in FIELDS
        for key in model.model_fields
    }
    assert wanted - told == {("field", "section")}, "all but this, which is filled in"
    assert told <= wanted


def test_every_key_says_what_it_means() -> None:
    models = (*OUTER, *FIELDS)
    silent = [
        f"{model.__name__}.{key}"
        for model in models
        for key, field in model.model_fields.items()
        if not field.description
    ]
    assert silent == [], "say what it means in a docstring below the key"


def test_a_file_field_tells_browsers_how_its_formats_begin() -> None:
    view = form_type_view(every_key())
    fields = {each.name: each for section in view.sections for each in section.fields}
    papers = fields["papers"]
    assert isinstance(papers, FileFieldView)
    shown = [each.model_dump() for each in papers.formats]
    assert shown[0] == {
        "type": "application/pdf",
        "name": "PDF",
        "extensions": [".pdf"],
        "signatures": [[{"offset": 0, "bytes": b"%PDF-".hex()}]],
        "starts_within": 1024,
    }
    assert [each["type"] for each in shown] == list(papers.accepted_types)
    begins = [[piece["bytes"] for piece in each] for each in shown[1]["signatures"]]
    assert begins == [[b"PK\x03\x04".hex()], [b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".hex()]]
    text = fields["full_name"].model_dump(exclude_none=True)
    assert "formats" not in text
    assert text["hint"] == "As it stands in your passport"


def test_a_file_field_tells_browsers_a_text_for_every_code() -> None:
    portrait = every_key().file_fields["portrait"]
    told = texts(portrait)
    assert set(told) == {*REJECTIONS, *NOTICES, "file-empty"}
    assert told["file-too-large"] == "The selected file must be smaller than 200 KB"
    assert told["image-too-small"] == "At least 40 × 30, please: this is {width} × {height}"
    assert told["file-too-small"] == "That can't be a photo"
    assert told["too-many-files"] == "You can only select up to 2 files"
    assert (
        texts(every_key().file_fields["papers"])["too-many-files"] == "You can only select one file"
    )
    assert told["converted"] == "We converted it from {from_name} to {to_name}"


@pytest.mark.parametrize("code", sorted(REJECTIONS | NOTICES))
def test_a_built_in_text_can_be_filled_in(code: str) -> None:
    text = NOTICE_TEXTS.get(code) or ERRORS[code].detail
    names = {name for _, name, _, _ in string.Formatter().parse(text) if name}
    assert names <= PLACEHOLDERS[code], "what a text can tell: shared/codes.py"
    assert text == text.strip(" .")


def test_texts_that_the_definition_gives_take_the_place_of_the_built_in_ones() -> None:
    portrait = every_key().file_fields["portrait"]
    seen = {"width": 39, "height": 90}
    assert upload_error("image-too-small", seen, portrait) == {
        "code": "image-too-small",
        "detail": "At least 40 × 30, please: this is 39 × 90",
        "params": seen,
        "retryable": False,
    }
    assert upload_notice("low-resolution", seen, portrait) == {
        "code": "low-resolution",
        "detail": "Only 39 × 90, but it will do",
        "params": seen,
    }
    papers = every_key().file_fields["papers"]
    assert upload_notice("many-pages", {"pages": 3}, papers)["detail"] == (
        "The document is longer than we recommend: it has 3 pages"
    )
    assert upload_error("newer", {}, papers)["detail"].startswith("The selected file can't be")


@pytest.mark.parametrize(
    ("code", "params", "said"),
    [
        ("too-many-files", {}, "You can only select one file"),
        ("file-too-many-pages", {"pages": 2, "max_pages": 1}, "must have one page only"),
        ("image-too-small", {"width": 2, "height": 3}, "has too few pixels (2 × 3)"),
    ],
)
def test_a_limit_of_one_isnt_told_as_if_it_were_many(
    code: str, params: dict[str, int], said: str
) -> None:
    policy = FilePolicy(accept=("image/png",), max_bytes=1)
    assert said in upload_error(code, params, policy)["detail"]


@pytest.mark.parametrize(
    ("limits", "seen", "said"),
    [
        ({"min_width": 400, "min_height": 400}, (399, 500), "be at least 400 × 400 pixels"),
        ({"min_width": 400}, (399, 500), "be at least 400 pixels wide"),
        ({"min_height": 300}, (399, 299), "be at least 300 pixels high"),
        (
            {"min_width": 400, "min_height": 400, "min_pixels": 1_000_000},
            (500, 500),
            "have at least 1000000 pixels (500 × 500 are too few)",
        ),
        (
            {"min_width": 400, "min_pixels": 1_000_000},
            (300, 500),
            "be at least 400 pixels wide and have at least 1000000 pixels (300 × 500 are too few)",
        ),
    ],
)
def test_an_image_that_is_too_small_is_told_what_it_misses(
    limits: dict[str, int], seen: tuple[int, int], said: str
) -> None:
    policy = FilePolicy.model_validate({"accept": ["image/png"], "max_bytes": 1, "image": limits})
    params = dict(zip(("width", "height"), seen, strict=True)) | limits
    detail = upload_error("image-too-small", params, policy)["detail"]
    assert detail == f"The selected image must {said}"
    first = "be at least" if len(limits) == 1 else ""
    assert f"The selected image must {first}" in texts(policy)["image-too-small"]


def test_an_animation_that_is_too_long_is_told_so() -> None:
    policy = FilePolicy(accept=("image/gif",), max_bytes=1)
    params = {"frames": 4, "max_frames": 3}
    assert upload_error("file-too-complex", params, policy)["detail"] == (
        "The selected image has 4 frames: choose one with 3 or fewer"
    )


DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
TO_PDF = {"convert": {DOCX: "application/pdf"}, "document": {"max_pages": 20}}


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"accept": ["application/pdf"]}, "must have 500 pages or fewer"),
        ({"accept": [DOCX], **TO_PDF}, "must have 20 pages or fewer"),
        ({"accept": ["image/tiff"], "image": {"pages": "all", "max_pages": 5}}, "must have 5 pages"),
        ({"accept": ["image/tiff"], "image": {"pages": "reject"}}, "must have one page only"),
        ({"accept": ["application/pdf", DOCX], **TO_PDF}, "must have {max_pages} pages or fewer"),
    ],
)  # fmt: skip
def test_how_many_pages_there_may_be_is_told_by_what_is_accepted(
    rules: dict[str, Any], said: str
) -> None:
    policy = FilePolicy.model_validate({"max_bytes": 1} | rules)
    assert said in texts(policy)["file-too-many-pages"]
    told = upload_error("file-too-many-pages", {"pages": 99, "max_pages": 20}, policy)["detail"]
    assert "20 pages" in told or "{" not in said


@pytest.mark.parametrize(
    ("accept", "said"),
    [
        (["image/jpeg"], "a JPG"),
        (["application/pdf", "image/png"], "a PDF or PNG"),
        (["image/avif", "image/heic", "image/gif"], "an AVIF, HEIC or GIF"),
        (["application/vnd.oasis.opendocument.text"], "an ODT"),
        (["application/rtf"], "an RTF"),
    ],
)
def test_what_is_accepted_is_told_as_it_is_spoken(accept: list[str], said: str) -> None:
    policy = FilePolicy(accept=tuple(accept), max_bytes=1)
    assert upload_error("file-invalid-type", {}, policy)["detail"] == (
        f"The selected file must be {said}"
    )


def test_every_placeholder_of_a_field_is_filled_in() -> None:
    text = " ".join(f"{{{name}}}" for name in POLICY_PLACEHOLDERS)
    policy = FilePolicy(
        accept=tuple(FORMATS), max_bytes=9, messages=dict.fromkeys(PLACEHOLDERS, text)
    )
    assert not {"?", "{"} & set(upload_error("file-corrupt", {}, policy)["detail"])


@pytest.mark.parametrize(
    "code",
    [
        "active-content-removed", "attachments-removed", "macros-removed", "metadata-removed",
        "xfa-removed",
    ],
)  # fmt: skip
def test_what_was_taken_out_is_not_said_to_be_gone_where_the_original_is_kept(code: str) -> None:
    rules: dict[str, Any] = {"accept": ["application/pdf"], "max_bytes": 9}
    kept, gone = FilePolicy(**rules, keep_original=True), FilePolicy(**rules)
    for said in (upload_notice(code, {}, kept)["detail"], texts(kept)[code]):
        assert said.endswith("We keep the file as you sent it too")
    assert upload_notice(code, {}, gone)["detail"] == NOTICE_TEXTS[code]


def test_a_document_that_asks_for_no_password_is_not_said_to_be_protected_by_one() -> None:
    policy = FilePolicy(accept=("application/pdf",), max_bytes=9)
    told = upload_error("file-encrypted", {"restricts": "printing or editing"}, policy)
    assert told["detail"] == (
        "The selected file restricts printing or editing: save it without restrictions"
    )
    assert "password" in upload_error("file-encrypted", {}, policy)["detail"]
