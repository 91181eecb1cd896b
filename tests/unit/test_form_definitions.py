"""Form definitions: what is wrong in one is named by file, place, key and reason, all at once."""

import subprocess
import sys
from pathlib import Path

import pytest

from api.texts.rejections import accepted
from api.texts.sizes import size
from shared.codes import FLAGS
from shared.form_definition import FormDefinitionError, FormType, load_form_types
from shared.policy import FilePolicy

CHECKOUT = Path(__file__).parents[2]
FORM = """
type = "x"
title = "X"
[[sections]]
name = "s"
title = "S"
[[sections.fields]]
name = "f"
label = "F"
kind = "file"
accept = ["image/png"]
max_bytes = 10
"""
PDF = 'accept = ["application/pdf"]'
DOCX = 'accept = ["application/vnd.openxmlformats-officedocument.wordprocessingml.document"]'
TO_PDF = (
    "convert.'application/vnd.openxmlformats-officedocument.wordprocessingml.document'"
    ' = "application/pdf"'
)


def lines_of(folder: Path, definition: str) -> list[str]:
    """What is said of a definition, without the file's name; nothing of one that is right."""
    path = folder / "x.toml"
    path.write_text(definition)
    try:
        load_form_types(folder)
    except FormDefinitionError as error:
        said = error.lines
    else:
        return []
    assert all(line.startswith(f"{path}: ") for line in said)
    return [line.removeprefix(f"{path}: ") for line in said]


def field_with(*keys: str, accept: str = 'accept = ["image/png"]') -> str:
    """The definition with these keys in its field."""
    return FORM.replace('accept = ["image/png"]', accept) + "\n".join(keys) + "\n"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('type = "x"\n', "", "type: is missing"),
        ('title = "X"', 'title = " "', "title: must not be empty"),
        ('title = "X"', 'title = "X"\ncolour = 1', "colour: is no key that is known"),
        ('title = "S"', "", "section s: title: is missing"),
        ('name = "s"', "", "section 1: name: is missing"),
        ('name = "f"', "", "section s, field 1: name: is missing"),
        ('name = "f"', 'name = "F"', "section s, field F: name: has to begin with a small letter"),
        ('name = "f"', 'name = "data"', "section s, field data: name: 'data' is reserved"),
        ('label = "F"', 'label = ""', "section s, field f: label: must not be empty"),
        ('kind = "file"', "", "section s, field f: kind: is missing"),
        ('kind = "file"', 'kind = "video"', "section s, field f: kind: has to be one of 'text'"),
        ("max_bytes = 10", "", "section s, field f: max_bytes: is missing"),
        ("max_bytes = 10", "max_bytes = 0", "field f: max_bytes: has to be over 0"),
        ("max_bytes = 10", 'max_bytes = "10 MB"', "field f: max_bytes: has to be a whole number"),
        ('accept = ["image/png"]', "accept = []", "field f: accept: must not be empty"),
        ("max_bytes = 10", f"max_bytes = {10**22}", "field f: max_bytes: has to be at most 549755"),
        ('kind = "file"', 'kind = "file"\nsection = "x"', "field 'f' says section 'x'"),
        ('label = "F"', "label = “F”", "texts stand in straight quotes, not in “"),
    ],
)
def test_a_wrong_definition_names_place_key_and_reason(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    (line,) = lines_of(tmp_path, FORM.replace(old, new, 1))
    assert said in line


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[[sections]]", "[[section]]", "section: is no key that is known; did you mean sections?"),
        (
            "[[sections.fields]]",
            "[[sections.field]]",
            "field: is no key that is known; did you mean",
        ),
        (
            'kind = "file"',
            'kind = "checkbox"',
            "max_bytes: is no key that is known here, but elsew",
        ),
    ],
)
def test_a_key_in_the_wrong_place_is_explained(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert said in "\n".join(lines_of(tmp_path, FORM.replace(old, new)))


def test_a_definition_may_begin_with_a_mark_and_is_in_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(FORM, encoding="utf-8-sig")
    assert load_form_types(tmp_path)
    for encoding in ("latin-1", "utf-16"):
        path.write_text(FORM.replace('"F"', '"Fü"'), encoding=encoding)
        with pytest.raises(FormDefinitionError, match="isn't in UTF-8: save it as that"):
            load_form_types(tmp_path)


@pytest.mark.parametrize(
    ("accept", "key", "said"),
    [
        ("", "colour = 1", "colour: is no key that is known"),
        ("", "image.min_widht = 4", "image.min_widht: is no key that is known; did you mean min_width?"),
        ("", "max_files = 101", "max_files: has to be at most 100"),
        ("", "min_bytes = 11", "min_bytes: is more than max_bytes"),
        ("", 'key = "../up"', "key: must be a relative path"),
        ("", 'key = "{token}"', "key: has the placeholder {token}"),
        ("", 'key = "é"', "key: has 'é', which"),
        # which files
        ('accept = ["image/x-nope"]', "", "accept: 'image/x-nope' can't be processed; known are"),
        ('accept = ["image/*"]', "", "accept: 'image/*' can't be processed; known are"),
        ('accept = ["image/jp2"]', "", "accept: 'image/jp2' can't be processed; known are"),
        ('accept = [".png"]', "", "accept: names no media type"),
        ('accept = ["image/png", ".png", ".xyz"]', "", "accept: '.xyz' is the extension of no format"),
        ('accept = ["image/png", ".PNG", ".gif"]', "", "accept: '.gif' is the extension of GIF, and"),
        ('accept = ["image/png", "image/gif", ".png"]', "", "accept: has extensions, but none of GIF's"),
        # sizes
        ("", "image = {min_width = 5, max_width = 4}", "image.min_width: is more than max_width"),
        ("", "image = {min_height = 5, max_height = 4}", "image.min_height: is more than max_height"),
        ("", "image = {min_pixels = 5, max_pixels = 4}", "image.min_pixels: is more than max_pixels"),
        ("", "image = {min_width = 3, min_height = 3, max_pixels = 8}", "image.max_pixels: is less than"),
        ("", "image = {min_width = 5, recommended_width = 5}", "image.recommended_width: isn't more than"),
        ("", 'image = {min_width = 20000}\nconvert = {"image/png" = "image/webp"}', "image.min_width: WebP holds 16383 pixels"),
        ("", "image = {max_height = 5, recommended_height = 6}", "image.recommended_height: is more than"),
        (PDF, "pdf = {max_pages = 5, recommended_pages = 5}", "pdf.recommended_pages: isn't less than"),
        ("", "image = {min_pixels = 10, max_width = 3, max_height = 3}", "image.min_pixels: is more than max_width"),
        # several in one file
        ('accept = ["image/gif"]', "image.max_frames = 5", "image.max_frames: several frames aren't kept"),
        (
            'accept = ["image/gif"]',
            'image = {animation = "reject", max_frames = 5}',
            "image.max_frames: several frames aren't kept",
        ),
        ('accept = ["image/tiff"]', "image.max_pages = 5", "image.max_pages: several pages aren't kept"),
        ('accept = ["image/jpeg"]', 'image.animation = "reject"', "image.animation: no accepted type has"),
        ("", 'image.pages = "all"', "image.pages: no accepted type has several pages"),
        ("", 'image.animation = "keep"', "image.animation: only those of WebP and GIF can be kept"),
        (
            'accept = ["image/heic"]\nconvert = {"image/heic" = "image/tiff"}',
            'image.pages = "all"',
            "image.pages: only those of TIFF can be kept",
        ),
        (
            'accept = ["image/gif"]\nconvert = {"image/gif" = "image/png"}',
            'image.animation = "keep"',
            "image.animation: GIF is converted to PNG, which holds one image",
        ),
        (
            'accept = ["image/tiff"]\nconvert = {"image/tiff" = "image/jpeg"}',
            'image.pages = "all"',
            "image.pages: TIFF is converted to JPG, which holds one image",
        ),
        # rules that never apply
        (PDF, "image.min_width = 5", "image: the field accepts no images"),
        ("", "pdf.max_pages = 5", "pdf: the field accepts no PDFs"),
        ("", 'document.macros = "allow"', "document: the field accepts no documents"),
        (DOCX, "document.max_pages = 5", "document.max_pages: no document is converted"),
        (DOCX, 'document.without_converter = "store"', "document.without_converter: no document is"),
        (DOCX, 'flag = ["file-too-many-pages"]', "flag: 'file-too-many-pages' is found in no file"),
        ("", 'flag = ["file-corrupt", "file-corrupt"]', "flag: 'file-corrupt' is there twice"),
        (PDF, "keep_metadata = true", "keep_metadata: it is about images"),
        (PDF, "keep_original = true", "keep_original: what is stored is the received file anyway"),
        (DOCX, "keep_original = true", "keep_original: what is stored is the received file anyway"),
        (DOCX, "derivatives.small.size = 9", "derivatives: they are made of images and PDFs"),
        ("", 'scan = false\nunscannable = "accept"', "unscannable: nothing is scanned"),
        # what is made
        ("", 'convert = {"image/gif" = "image/png"}', "convert.image/gif: the field doesn't accept it"),
        ("", 'convert = {"image/png" = "image/png"}', "convert.image/png: it is stored as that anyway"),
        ("", 'convert = {"image/png" = "application/pdf"}', "convert.image/png: PDF can't be made of PNG"),
        ("", 'convert = {"image/png" = "image/nope"}', "convert.image/png: 'image/nope' can't be processed"),
        (
            "",
            'convert = {"image/png" = "image/jpeg", "image/x-png" = "image/webp"}',
            "convert.image/x-png: PNG is converted twice",
        ),
        ('accept = ["image/heic"]', "", "convert: HEIC can't be written: convert image/heic"),
        ("", "derivatives.original.size = 9", "derivatives.original: would be taken for the received file"),
        ("", "derivatives.f.size = 9", "derivatives.f: is the name of the field"),
        ("", "derivatives.small.size = 0", "derivatives.small.size: has to be over 0"),
        ("", "derivatives.Small.size = 9", "derivatives.Small: has to begin with a small letter"),
        ("", 'derivatives.s = {size = 9, format = "png", quality = 9}', "derivatives.s.quality: PNG loses"),
        # what is said
        ("", 'flag = ["file-nope"]', "flag: 'file-nope' can't be flagged; what can is"),
        ("", 'flag = ["file-too-large"]', "flag: 'file-too-large' can't be flagged; what can is"),
        ("", 'flag = ["file-has-macros"]', "flag: 'file-has-macros' is found in no file of this field"),
        ("", 'messages = {"file-nope" = "x"}', "messages.file-nope: is no code of a file's"),
        ("", 'messages = {"file-corrupt" = " "}', "messages.file-corrupt: must not be empty"),
        ("", 'messages = {"file-corrupt" = "{"}', "messages.file-corrupt: is not a text"),
        ("", 'messages = {"file-corrupt" = "{0:d}"}', "messages.file-corrupt: a placeholder is a name"),
        ("", 'messages = {"file-corrupt" = "{}"}', "messages.file-corrupt: a placeholder is a name"),
        ("", 'messages = {"file-corrupt" = "{width}"}', "messages.file-corrupt: has the placeholder {width}"),
    ],
)  # fmt: skip
def test_a_rule_of_a_file_field_that_cant_be_right_is_named_with_its_reason(
    tmp_path: Path, accept: str, key: str, said: str
) -> None:
    definition = field_with(key, accept=accept or 'accept = ["image/png"]')
    (line,) = lines_of(tmp_path, definition)
    assert line.startswith(f"section s, field f: {said}")


@pytest.mark.parametrize(
    ("accept", "key"),
    [
        ('accept = ["image/png", ".png"]', ""),
        ('accept = ["image/jpg", ".JPEG"]', ""),
        ('accept = ["image/gif"]', 'image.animation = "keep"'),
        ('accept = ["image/tiff"]', 'image = {pages = "all", max_pages = 3}'),
        ('accept = ["image/tiff"]', 'image.pages = "reject"\nflag = ["file-too-many-pages"]'),
        (PDF, "derivatives.preview.size = 400"),
        (DOCX, f'{TO_PDF}\nflag = ["file-too-many-pages"]\ndocument.without_converter = "store"'),
        (PDF, 'pdf.attachments = "strip"\nkeep_original = true'),
        (DOCX, f"{TO_PDF}\ndocument.max_pages = 5\nderivatives.preview.size = 400\nkeep_original = true"),
        ("", 'messages = {"image-too-small" = "{width} {min_width}, {{really}}"}'),
    ],
)  # fmt: skip
def test_rules_that_make_sense_together_are_taken(tmp_path: Path, accept: str, key: str) -> None:
    assert lines_of(tmp_path, field_with(key, accept=accept or 'accept = ["image/png"]')) == []


def test_all_that_is_wrong_in_all_definitions_is_told_at_once(tmp_path: Path) -> None:
    wrong = field_with("image.min_width = 5\nimage.max_width = 4", 'key = "/"', 'flag = ["nope"]')
    text = '[[sections.fields]]\nname = "g"\nlabel = "G"\nkind = "choice"\nchoices = ["a", "a"]\n'
    (tmp_path / "x.toml").write_text(wrong + text)
    (tmp_path / "y.toml").write_text("type =")
    with pytest.raises(FormDefinitionError) as refused:
        load_form_types(tmp_path)
    said = [line.removeprefix(f"{tmp_path}/") for line in refused.value.lines]
    assert [line.rpartition(":")[0] for line in said[:4]] == [
        "x.toml: section s, field f: image.min_width",
        "x.toml: section s, field f: flag",
        "x.toml: section s, field f: key",
        "x.toml: section s, field g: choices",
    ]
    assert said[4].startswith("y.toml: ")
    assert len(said) == 5


@pytest.mark.parametrize("code", sorted(FLAGS))
def test_every_finding_can_be_flagged_by_a_field_that_refuses_it(tmp_path: Path, code: str) -> None:
    accept = 'accept = ["image/gif", "application/pdf", "application/rtf"]'
    refusing = (
        "min_bytes = 2",
        'image = {min_width = 2, animation = "reject"}',
        'pdf = {active_content = "reject", attachments = "reject", xfa = "reject"}',
        f'flag = ["{code}"]',
    )
    assert lines_of(tmp_path, field_with(*refusing, accept=accept)) == [], (
        "_possible_findings of shared/policy_checks.py; or no field may keep it: FLAGS"
    )


def test_a_field_or_a_section_or_a_type_defined_twice_is_refused(tmp_path: Path) -> None:
    field = FORM[FORM.index("[[sections.fields]]") :]
    section = FORM[FORM.index("[[sections]]") :]
    assert lines_of(tmp_path, FORM + field) == [
        "(the whole definition): the field 'f' is defined twice"
    ]
    assert lines_of(tmp_path, FORM + section.replace('"f"', '"g"')) == [
        "(the whole definition): the section 's' is defined twice"
    ]
    (tmp_path / "x.toml").write_text(FORM)
    (tmp_path / "y.toml").write_text(FORM)
    with pytest.raises(FormDefinitionError, match=r"y\.toml: type: 'x' is defined twice"):
        load_form_types(tmp_path)


def test_a_folder_without_definitions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormDefinitionError, match="no form definition"):
        load_form_types(tmp_path)
    with pytest.raises(FormDefinitionError, match="is not a folder"):
        load_form_types(tmp_path / "none")


def test_the_rules_of_another_version_can_be_read() -> None:
    """Those of an upload that was acknowledged before a deploy, or by an api that is newer."""
    snapshot = {
        "accept": ["image/x-newer"],
        "max_bytes": 10,
        "image": {"min_width": 5, "max_width": 4, "newer": 1},
        "flag": ["newer-finding"],
        "messages": {"newer-code": "{newer}"},
    }
    assert FilePolicy.model_validate(snapshot).flag == ("newer-finding",)


def test_what_is_loaded_can_be_written_and_read_again(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(FORM)
    (loaded,) = load_form_types(tmp_path).values()
    assert FormType.model_validate_json(loaded.model_dump_json()) == loaded


def test_a_folder_of_definitions_can_be_checked_before_it_is_deployed(tmp_path: Path) -> None:
    def run(folder: Path) -> tuple[int, list[str]]:
        command = [sys.executable, "-m", "shared.check_forms", str(folder)]
        done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout.splitlines()

    (tmp_path / "x.toml").write_text(FORM)
    status, lines = run(tmp_path)
    assert status == 0
    assert [line.split() for line in lines] == [["ok", "form", "type", "x:", "f"]]
    (tmp_path / "x.toml").write_text(field_with("min_bytes = 11", 'key = "/"'))
    status, lines = run(tmp_path)
    assert status == 1
    assert [line.split()[0] for line in lines] == ["wrong", "wrong"]
    assert "x.toml: section s, field f: min_bytes: is more than max_bytes" in lines[0]


def test_hints_of_the_shipped_definition_say_what_is_accepted() -> None:
    files = [
        field
        for form_type in load_form_types(CHECKOUT / "forms").values()
        for field in form_type.file_fields.values()
    ]
    for field in files:
        says = [accepted(field), size(field.max_bytes)]
        says += [f"{field.max_files} files"] if field.max_files > 1 else []
        missing = [each for each in says if each not in (field.hint or "")]
        assert not missing, f"say in the hint of {field.name} what it accepts"
    assert files


def test_the_shipped_signup_needs_one_file_and_takes_what_phones_and_scanners_make() -> None:
    fields = load_form_types(CHECKOUT / "forms")["therapist_signup"].file_fields
    assert [name for name, each in fields.items() if each.required] == ["licence"]
    for name in ("headshot", "licence", "certificates", "liability_insurance"):
        assert {"image/jpeg", "image/png", "image/heic"} <= set(fields[name].accept)
    for name in ("licence", "certificates", "liability_insurance", "resume"):
        assert "application/pdf" in fields[name].accept
