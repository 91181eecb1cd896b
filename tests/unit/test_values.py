"""Text values: which are kept, and what is said of them."""

import pytest

from api.forms.values import from_form, from_json, missing, problem_of
from api.texts.errors import Problem
from shared.form_definition import CheckboxField, ChoiceField, TextField


def text(kind: str, **more: object) -> TextField:
    return TextField.model_validate({"name": "f", "label": "F", "kind": kind, **more})


BOX = CheckboxField(name="f", label="F", kind="checkbox", required=True)
CHOICE = ChoiceField(name="f", label="F", kind="choice", choices=("a", "b"))


@pytest.mark.parametrize(
    ("kind", "value", "code"),
    [
        ("text", "anything at all", None),
        ("text", "x" * 1001, "too-long"),
        ("email", "a@example.org", None),
        ("email", " a@example.org ", None),
        ("email", "a@b", "invalid-email"),
        ("email", "a b@example.org", "invalid-email"),
        ("tel", "+1 (555) 010-0199 ext. 12", None),
        ("tel", "call me", "invalid-tel"),
        ("url", "https://example.org/a?b#c", None),
        ("url", "javascript:alert(1)", "invalid-url"),
        ("url", "http://", "invalid-url"),
        ("url", "http://[", "invalid-url"),
        ("date", "2028-02-29", None),
        ("date", "2027-02-29", "invalid-date"),
        ("date", "20280229", "invalid-date"),
        ("email", "", None),
    ],
)
def test_a_value_is_judged_by_its_fields_kind(kind: str, value: str, code: str | None) -> None:
    found = problem_of(text(kind), value)
    assert (found or {}).get("code") == code


def test_a_choice_must_be_one_of_the_choices() -> None:
    assert problem_of(CHOICE, "a") is None
    assert (problem_of(CHOICE, "c") or {})["code"] == "invalid-choice"


def test_a_required_field_without_an_answer_is_missing() -> None:
    assert missing(BOX, False)
    assert missing(BOX, None)
    assert missing(BOX, True) is None
    assert missing(text("text", required=True), "")
    assert missing(text("text"), "") is None


def test_a_ticked_box_is_true_in_a_form_and_only_true_in_json() -> None:
    assert from_form(BOX, "on") is True
    assert from_form(BOX, "") is False
    assert from_json(BOX, False) is False
    with pytest.raises(Problem, match="invalid-request"):
        from_json(BOX, "on")


@pytest.mark.parametrize("value", [5, 1.5, True, [], {}, "a\x00b", "x" * 70_000])
def test_json_that_is_no_text_is_refused(value: object) -> None:
    with pytest.raises(Problem, match="invalid-request") as refused:
        from_json(text("text"), value)
    assert refused.value.errors[0]["pointer"] == "/f"
