"""Form definitions: one TOML file per form type, the only place for what is acceptable.

Read by the api and the worker, and by the browser through `GET /v1/form-types/{type}`.
"""

import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from shared.definition_errors import explain
from shared.policy import FilePolicy, Model, Name
from shared.policy_checks import Fault, faults

RESERVED_NAMES = frozenset({"data", "go", "original", "section", "remove", "submit", "token"})
"""Names that mean something else in a request that saves a section, or beside an object."""

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
"""Text that people read."""

_DEFINING = "defining"
"""Set in the context while a definition is loaded: only then is everything held against what this
version knows. Snapshots and work orders may come from a newer or an older one."""


_CURLY = frozenset("\u201c\u201d\u201e\u2018\u2019")
"""Quotes that word processors make of straight ones."""


class FormDefinitionError(Exception):
    """Definitions that can't be used. Each of `lines` names the file, the key and the reason."""

    def __init__(self, *lines: str) -> None:
        self.lines = lines
        super().__init__("; ".join(lines))


class _FieldBase(Model):
    name: Name
    """What programs call it: small letters, digits and `_`."""
    label: Words
    """What the person reads beside it."""
    hint: Words | None = None
    """A sentence below the label that helps with the answer."""
    section: str = ""
    """Filled in from the section the field stands in."""
    required: bool = False
    """Whether the form can't be submitted without an answer."""
    missing: Words | None = None
    """What is said where a required answer isn't there; without it, that the label is required."""

    @field_validator("name")
    @classmethod
    def _name_is_free(cls, value: str) -> str:
        if value in RESERVED_NAMES:
            raise ValueError(f"{value!r} is reserved")
        return value


class TextField(_FieldBase):
    kind: Literal["text", "email", "tel", "url", "date", "textarea"]
    """What is typed. `textarea` has several lines; `date` is `2027-03-31`."""
    max_length: Annotated[int, Field(gt=0, le=20_000)] = 1_000
    """Characters an answer has at most."""


class ChoiceField(_FieldBase):
    kind: Literal["choice"]
    """One of several answers."""
    choices: Annotated[tuple[Words, ...], Field(min_length=1)]
    """The answers to choose from, in their order."""

    @field_validator("choices")
    @classmethod
    def _choices_differ(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        twice = [choice for choice, times in Counter(value).items() if times > 1]
        if twice:
            raise ValueError(f"{twice[0]!r} is there twice")
        return value


class CheckboxField(_FieldBase):
    kind: Literal["checkbox"]
    """A tick, or none."""


class FileField(_FieldBase, FilePolicy):
    kind: Literal["file"]
    """A file, or several."""

    @model_validator(mode="after")
    def _policy_makes_sense(self, info: ValidationInfo) -> Self:
        if (info.context or {}).get(_DEFINING):
            lines = [_line(each) for each in (*self._name_clashes(), *faults(self))]
            if lines:
                raise ValidationError.from_exception_data(self.name, lines)
        return self

    def _name_clashes(self) -> Iterator[Fault]:
        if self.name in self.derivatives:
            yield Fault(
                ("derivatives", self.name),
                "is the name of the field itself",
            )

    @cached_property
    def policy(self) -> FilePolicy:
        return FilePolicy.model_validate(self.model_dump(include=set(FilePolicy.model_fields)))

    @cached_property
    def snapshot(self) -> dict[str, Any]:
        """The policy as JSON, made once: each upload is given it to keep, and nobody changes it."""
        return self.policy.model_dump(mode="json")


AnyField = Annotated[
    TextField | ChoiceField | CheckboxField | FileField, Field(discriminator="kind")
]


def _line(fault: Fault) -> InitErrorDetails:
    """For pydantic, which puts the field's own place before the key."""
    said = PydanticCustomError("policy", "{reason}", {"reason": fault.reason})
    return InitErrorDetails(type=said, loc=fault.key, input=None)


class Section(Model):
    """A page of the form."""

    name: Name
    """What programs call it, as in the address of its page."""
    title: Words
    """The heading of its page."""
    fields: Annotated[tuple[AnyField, ...], Field(min_length=1)]
    """What is asked, in its order."""

    @model_validator(mode="before")
    @classmethod
    def _tell_fields_their_section(cls, value: object) -> object:
        if isinstance(value, dict) and isinstance(value.get("fields"), list):
            named = [
                {"section": value.get("name", ""), **field} if isinstance(field, dict) else field
                for field in value["fields"]
            ]
            return {**value, "fields": named}
        return value

    @model_validator(mode="after")
    def _fields_say_no_other_section(self) -> Self:
        for field in self.fields:
            if field.section != self.name:
                reason = "a field's section is the one that it stands in: leave it out"
                raise ValueError(
                    f"the field {field.name!r} says section {field.section!r}; {reason}"
                )
        return self


class FormType(Model):
    """One form: what is asked in it, and what is acceptable."""

    type: Name
    """What programs call it: forms are created by it."""
    title: Words
    """The heading of its pages."""
    intro: Words | None = None
    """What the person reads first: what the form is for, and what to have at hand."""
    afterwards: Words | None = None
    """What the person reads once the form is sent: what happens next."""
    sections: Annotated[tuple[Section, ...], Field(min_length=1)]
    """Its pages, in their order."""

    @property
    def fields(self) -> dict[str, TextField | ChoiceField | CheckboxField | FileField]:
        return {field.name: field for section in self.sections for field in section.fields}

    @property
    def file_fields(self) -> dict[str, FileField]:
        return {name: field for name, field in self.fields.items() if isinstance(field, FileField)}

    def section(self, name: str) -> Section:
        """The section of that name, which it has."""
        return next(each for each in self.sections if each.name == name)

    @property
    def max_bytes(self) -> int:
        """What all its files may have together."""
        return sum(field.max_bytes * field.max_files for field in self.file_fields.values())

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        fields = Counter(field.name for section in self.sections for field in section.fields)
        sections = Counter(section.name for section in self.sections)
        for what, names in (("field", fields), ("section", sections)):
            twice = [name for name, times in names.items() if times > 1]
            if twice:
                raise ValueError(f"the {what} {twice[0]!r} is defined twice")
        return self


def load_form_types(folder: Path) -> dict[str, FormType]:
    """Every `*.toml` of `folder` by its type.

    Raises `FormDefinitionError` for a missing folder, no definition, or all that is wrong in any.
    """
    if not folder.is_dir():
        raise FormDefinitionError(f"{folder} is not a folder with form definitions")
    found: dict[str, FormType] = {}
    wrong: list[str] = []
    for path in sorted(folder.glob("*.toml")):
        try:
            form_type = _load(path)
        except FormDefinitionError as error:
            wrong += error.lines
            continue
        if form_type.type in found:
            wrong.append(f"{path}: type: {form_type.type!r} is defined twice")
        found[form_type.type] = form_type
    if wrong:
        raise FormDefinitionError(*wrong)
    if not found:
        raise FormDefinitionError(f"{folder} holds no form definition (*.toml)")
    return found


def _load(path: Path) -> FormType:
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors begin a file with a mark
    except UnicodeDecodeError as error:
        raise FormDefinitionError(f"{path}: isn't in UTF-8: save it as that") from error
    except OSError as error:
        raise FormDefinitionError(f"{path}: {error}") from error
    try:
        defined = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        curly = sorted(set(text) & _CURLY)
        hint = f"; texts stand in straight quotes, not in {curly[0]}" if curly else ""
        raise FormDefinitionError(f"{path}: {error}{hint}") from error
    try:
        return FormType.model_validate(defined, extra="forbid", context={_DEFINING: True})
    except ValidationError as error:
        lines = (f"{path}: {line}" for line in explain(error, defined))
        raise FormDefinitionError(*lines) from error
