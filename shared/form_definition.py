"""Form definitions: one TOML file per form type, the only place for what is acceptable.

Read by the api and the worker, and by the browser through `GET /v1/form-types/{type}`.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from shared.policy import DEFINING, FilePolicy, Model, Name

RESERVED_NAMES = frozenset({"data", "original", "section", "remove", "submit", "token"})
"""Names that mean something else in a request that saves a section, or beside an object."""


class FormDefinitionError(Exception):
    """A definition that can't be used: its text names the file, the key and the reason."""


class _FieldBase(Model):
    name: Name
    label: str
    hint: str | None = None
    section: str = ""
    """Filled in from the section the field stands in."""
    required: bool = False

    @field_validator("name")
    @classmethod
    def _name_is_free(cls, value: str) -> str:
        if value in RESERVED_NAMES:
            raise ValueError(f"{value!r} is reserved")
        return value


class TextField(_FieldBase):
    kind: Literal["text", "email", "tel", "url", "date", "textarea"]
    max_length: Annotated[int, Field(gt=0, le=20_000)] = 1_000


class ChoiceField(_FieldBase):
    kind: Literal["choice"]
    choices: Annotated[tuple[str, ...], Field(min_length=1)]


class CheckboxField(_FieldBase):
    kind: Literal["checkbox"]


class FileField(_FieldBase, FilePolicy):
    kind: Literal["file"]

    @property
    def policy(self) -> FilePolicy:
        return FilePolicy.model_validate(self.model_dump(include=set(FilePolicy.model_fields)))


AnyField = Annotated[
    TextField | ChoiceField | CheckboxField | FileField, Field(discriminator="kind")
]


class Section(Model):
    name: Name
    title: str
    fields: Annotated[tuple[AnyField, ...], Field(min_length=1)]

    @model_validator(mode="before")
    @classmethod
    def _tell_fields_their_section(cls, value: object) -> object:
        if isinstance(value, dict) and isinstance(value.get("fields"), list):
            named = [
                {**field, "section": value.get("name", "")} if isinstance(field, dict) else field
                for field in value["fields"]
            ]
            return {**value, "fields": named}
        return value


class FormType(Model):
    type: Name
    title: str
    sections: Annotated[tuple[Section, ...], Field(min_length=1)]

    @property
    def fields(self) -> dict[str, TextField | ChoiceField | CheckboxField | FileField]:
        return {field.name: field for section in self.sections for field in section.fields}

    @property
    def file_fields(self) -> dict[str, FileField]:
        return {name: field for name, field in self.fields.items() if isinstance(field, FileField)}

    @property
    def max_bytes(self) -> int:
        """What all its files may have together."""
        return sum(field.max_bytes * field.max_files for field in self.file_fields.values())

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [field.name for section in self.sections for field in section.fields]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"the field {twice[0]!r} is defined twice")
        return self


def load_form_types(folder: Path) -> dict[str, FormType]:
    """Every `*.toml` of `folder` by its type.

    Raises `FormDefinitionError` for a missing folder, no definition, or a wrong one.
    """
    if not folder.is_dir():
        raise FormDefinitionError(f"{folder} is not a folder with form definitions")
    found: dict[str, FormType] = {}
    for path in sorted(folder.glob("*.toml")):
        form_type = _load(path)
        if form_type.type in found:
            raise FormDefinitionError(f"{path}: type: {form_type.type!r} is defined twice")
        found[form_type.type] = form_type
    if not found:
        raise FormDefinitionError(f"{folder} holds no form definition (*.toml)")
    return found


def _load(path: Path) -> FormType:
    try:
        defined = tomllib.loads(path.read_text(encoding="utf-8"))
        return FormType.model_validate(defined, extra="forbid", context={DEFINING: True})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FormDefinitionError(f"{path}: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"]) or "(the whole definition)"
        raise FormDefinitionError(f"{path}: {key}: {first['msg']}") from error
