"""Keys, definitions, statuses: what both services read."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from api.texts.errors import ERRORS
from api.texts.rejections import NOTICE_TEXTS
from shared.codes import NOTICES, REJECTIONS
from shared.internal_api import StoredObject
from shared.jobs import deserialize, serialize
from shared.keys import (
    DEFAULT_TEMPLATE,
    MAX_KEY,
    MAX_KEY_BASE,
    SAFE,
    KeyTemplateError,
    check_template,
    flagged_prefix,
    generation_prefix,
    public_url,
    render_key_base,
)
from shared.status import PENDING, SETTLED, TERMINAL, TRANSITIONS, UploadStatus

CLIMBING = st.text(st.sampled_from("./\\-%a\0é"), max_size=5)
"""What texts that are drawn from all there are hardly ever hold."""


@given(st.fixed_dictionaries(dict.fromkeys(("reference", "field", "year"), CLIMBING | st.text())))
@example({"reference": "..", "field": ".", "year": ""})
@example({"reference": "../..", "field": "a/..", "year": "..\\.."})
@example({"reference": "r" * 5_000, "field": "f" * 101, "year": "é" * 500})
def test_no_value_climbs_out_of_its_segment_of_the_key(values: dict[str, str]) -> None:
    template = "{form_type}/{reference}/{field}/{year}"
    rendered = render_key_base(template, {"form_type": "t", **values})
    segments = rendered.split("/")
    assert len(segments) == 4
    assert not {"", ".", ".."} & set(segments)
    assert set(rendered) <= SAFE
    assert max(map(len, segments)) <= 100


def test_what_a_key_can_hold_of_a_value_is_kept() -> None:
    values = {"form_type": "signup", "reference": "Acme & Söhne_2026.v1", "field": "x"}
    assert render_key_base("{form_type}/{reference}", values) == "signup/Acme---S-hne_2026.v1"


def test_a_key_that_is_cut_ends_in_no_slash_and_in_whatever_else_it_ends() -> None:
    values = {"form_id": "f" * 100, "reference": "r" * 100, "field": "x."}
    cut = render_key_base("a" * (MAX_KEY_BASE - 101) + "/{form_id}/{field}", values)
    assert cut == "a" * (MAX_KEY_BASE - 101) + "/" + "f" * 100
    assert render_key_base("{form_id}/{field}", values).endswith("/x.")
    assert render_key_base("{reference}/{field}." + "b" * 500, values)[-1] == "b"


@pytest.mark.parametrize(
    "template",
    [
        "", "/a", "a/", "a//b", "../a", "./a", "a/../b", "a/..", "..", ".", "{x}", "{field!r}", "{", "{0}",
        "a\nb", "a\0b", "a\\b", "a?b", "a#b", "a b", "a ", "ä", "{{a}}",
    ],
)  # fmt: skip
def test_a_template_that_is_no_clean_path_is_refused(template: str) -> None:
    with pytest.raises(KeyTemplateError):
        check_template(template)


def test_the_longest_key_that_a_template_may_make_is_one_that_an_outcome_may_name() -> None:
    longest = "/".join("x" * 100 for _ in range(4)) + "/{reference}"
    check_template(longest)
    base = render_key_base(longest, {"reference": "r" * 200})
    key = flagged_prefix(base, f"upl_{'a' * 26}", 2**31 - 1) + f"{'f' * 50}-{'d' * 50}.jpeg"
    StoredObject(key=key, content_type="image/jpeg", size=1, sha256="0" * 64)
    with pytest.raises(KeyTemplateError, match="characters long"):
        check_template(longest + "/{field}")


def test_each_placeholder_is_filled_and_counts_as_long_as_it_may_become() -> None:
    names = ("form_type", "form_id", "reference", "field", "year", "month")
    template = "/".join(f"{{{name}}}" for name in names)
    check_template(template)
    assert render_key_base(template, dict(zip(names, "abcdef", strict=True))) == "a/b/c/d/e/f"
    for name in names:
        most = {"year": 4, "month": 2}.get(name, 100)
        check_template("a" * (MAX_KEY_BASE - most) + f"{{{name}}}")
        with pytest.raises(KeyTemplateError, match="513 characters long"):
            check_template("a" * (MAX_KEY_BASE - most + 1) + f"{{{name}}}")


def test_where_files_lie_in_the_bucket_is_what_the_documents_say() -> None:
    assert DEFAULT_TEMPLATE == "{form_type}/{form_id}/{field}"
    assert flagged_prefix("a/b", "upl_1", 2) == "flagged/a/b/upl_1.2/"
    assert MAX_KEY == 1024, "bytes, as S3 has it"


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
