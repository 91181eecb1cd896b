"""Keys, definitions, statuses: what both services read."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.errors import ERRORS
from api.rejections import NOTICE_TEXTS
from shared.form_definition import FormDefinitionError, load_form_types
from shared.jobs import deserialize, serialize
from shared.keys import (
    KeyTemplateError,
    check_template,
    generation_prefix,
    public_url,
    render_key_base,
)
from shared.policy import NOTICES, REJECTIONS
from shared.status import PENDING, SETTLED, TERMINAL, TRANSITIONS, UploadStatus

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


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('kind = "file"', 'kind = "video"', "kind"),
        ("max_bytes = 10", "", "max_bytes: Field required"),
        ("max_bytes = 10", "max_bytes = 10\ncolour = 1", "colour"),
        ("max_bytes = 10", "max_bytes = 10\nmin_bytes = 11", "min_bytes is more than max_bytes"),
        ("image/png", "image/x-nope", "can't be processed"),
        ("image/png", ".png", "names no media type"),
        ('name = "f"', 'name = "data"', "reserved"),
        ("max_bytes = 10", 'max_bytes = 10\nkey = "../up"', "relative path"),
        ("max_bytes = 10", 'max_bytes = 10\nkey = "{token}"', "placeholder"),
        ("max_bytes = 10", 'max_bytes = 10\nconvert = {"image/png" = "application/pdf"}', "can't"),
        ("title = ", "title ", "="),
        (
            "max_bytes = 10",
            'max_bytes = 10\nmessages = {"file-nope" = "x"}',
            "no code of a file",
        ),
        ("max_bytes = 10", 'max_bytes = 10\nmessages = {"file-corrupt" = "{"}', "file-corrupt"),
        ("max_bytes = 10", 'max_bytes = 10\nmessages = {"file-corrupt" = "{0:d}"}', "placeholder"),
        ("max_bytes = 10", "max_bytes = 10\nimage = {min_widht = 4}", "min_widht"),
        ("max_bytes = 10", 'max_bytes = 10\nkey = "é"', "ASCII"),
    ],
)
def test_a_wrong_definition_names_file_key_and_reason(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    (tmp_path / "x.toml").write_text(FORM.replace(old, new, 1))
    with pytest.raises(FormDefinitionError) as refused:
        load_form_types(tmp_path)
    assert str(refused.value).startswith(str(tmp_path / "x.toml"))
    assert said in str(refused.value)


def test_a_field_or_a_type_defined_twice_is_refused(tmp_path: Path) -> None:
    field = FORM[FORM.index("[[sections.fields]]") :]
    (tmp_path / "x.toml").write_text(FORM + field)
    with pytest.raises(FormDefinitionError, match="'f' is defined twice"):
        load_form_types(tmp_path)
    (tmp_path / "x.toml").write_text(FORM)
    (tmp_path / "y.toml").write_text(FORM)
    with pytest.raises(FormDefinitionError, match="'x' is defined twice"):
        load_form_types(tmp_path)


def test_a_folder_without_definitions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormDefinitionError, match="no form definition"):
        load_form_types(tmp_path)
    with pytest.raises(FormDefinitionError, match="is not a folder"):
        load_form_types(tmp_path / "none")


@given(st.dictionaries(st.sampled_from(["form_id", "reference", "field", "year"]), st.text()))
def test_no_value_climbs_out_of_its_segment_of_the_key(values: dict[str, str]) -> None:
    template = "{form_type}/{reference}/{field}/{year}"
    rendered = render_key_base(template, {"form_type": "t", **values})
    segments = rendered.split("/")
    assert len(segments) == 4
    assert not {"", ".", ".."} & set(segments)


@pytest.mark.parametrize(
    "template", ["", "/a", "a/", "a//b", "../a", "{x}", "{field!r}", "{", "{0}"]
)
def test_a_template_that_is_no_clean_path_is_refused(template: str) -> None:
    with pytest.raises(KeyTemplateError):
        check_template(template)


def test_two_attempts_at_an_upload_share_no_prefix() -> None:
    one, ten = generation_prefix("a", "upl_x", 1), generation_prefix("a", "upl_x", 10)
    assert one == "a/upl_x.1/"
    assert not ten.startswith(one)


def test_every_code_that_a_definition_may_word_is_a_documented_one() -> None:
    assert set(ERRORS) >= REJECTIONS
    assert set(NOTICE_TEXTS) == NOTICES


def test_a_public_url_is_encoded() -> None:
    assert public_url("https://s/", "b", "a b/ü.png") == "https://s/b/a%20b/%C3%BC.png"


def test_every_status_is_pending_settled_or_terminal_and_terminal_ones_are_left_by_nobody() -> None:
    assert PENDING | SETTLED | TERMINAL == set(UploadStatus) == set(TRANSITIONS)
    assert not (PENDING & SETTLED)
    assert not (PENDING & TERMINAL)
    assert not (SETTLED & TERMINAL)
    assert all(not TRANSITIONS[status] for status in TERMINAL)


def test_a_job_is_json_and_nothing_else() -> None:
    assert deserialize(serialize({"a": 1})) == {"a": 1}
    with pytest.raises(ValueError, match="decode"):
        deserialize(b"\x80\x05K\x01.")
