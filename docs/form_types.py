"""The tables of `form-types.md`: every key with its meaning and an example, formats and texts.

Meanings are the texts below the keys in the models; examples come from a definition of the tests
that uses every key.
"""  # noqa: INP001 - a folder of documents, not a package

import json
import tomllib
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from api.texts.errors import ERRORS
from api.texts.rejections import NOTICE_TEXTS
from docs.tables import table
from shared.codes import NOTICE_PLACEHOLDERS, POLICY_PLACEHOLDERS, REJECTION_PLACEHOLDERS
from shared.form_definition import (
    CheckboxField,
    ChoiceField,
    FileField,
    FormType,
    Section,
    TextField,
)
from shared.formats import FORMATS, Format
from shared.policy import Derivative, DocumentLimits, FilePolicy, ImageLimits, PdfLimits

EVERY_KEY = Path(__file__).parents[1] / "tests/forms/every_key.toml"


def form_type_blocks() -> dict[str, str]:
    """The generated blocks of the page, by the name in their markers."""
    defined = tomllib.loads(EVERY_KEY.read_text("utf-8"))
    fields = [field for section in defined["sections"] for field in section["fields"]]
    files = [field for field in fields if field["kind"] == "file"]
    typed = set(TextField.model_fields) - {"max_length"}
    return {
        "keys of a form type": _keys(FormType, [defined]),
        "keys of a section": _keys(Section, defined["sections"]),
        "keys of every field": _keys(TextField, fields, leave={"max_length", "section", "kind"}),
        "keys of a field that is typed": _keys(TextField, fields, leave=typed),
        "keys of a choice": _keys(ChoiceField, fields, leave=typed),
        "kinds of fields": _kinds(),
        "keys of a file field": _keys(FilePolicy, files),
        "keys of image": _keys(ImageLimits, _within(files, "image")),
        "keys of pdf": _keys(PdfLimits, _within(files, "pdf")),
        "keys of document": _keys(DocumentLimits, _within(files, "document")),
        "keys of a derivative": _keys(
            Derivative, [each for made in _within(files, "derivatives") for each in made.values()]
        ),
        "formats": _formats(),
        "texts of rejections": _texts(
            {code: ERRORS[code].detail for code in REJECTION_PLACEHOLDERS}, REJECTION_PLACEHOLDERS
        ),
        "texts of notices": _texts(NOTICE_TEXTS, NOTICE_PLACEHOLDERS),
        "placeholders": table(
            ("Placeholder", "Stands for"),
            ((f"`{{{name}}}`", meaning) for name, meaning in POLICY_PLACEHOLDERS.items()),
        ),
    }


# --- keys


def _keys(
    model: type[BaseModel],
    examples: list[dict[str, Any]],
    *,
    leave: AbstractSet[str] = frozenset(),
) -> str:
    fields = {name: field for name, field in model.model_fields.items() if name not in leave}
    return table(
        ("Key", "Default", "Meaning", "Example"),
        (
            (
                f"`{name}`",
                "needed" if field.is_required() else _default(field.default),
                _meaning(field),
                "" if isinstance(field.default, BaseModel) else _example(name, examples),
            )
            for name, field in fields.items()
        ),
    )


def _meaning(field: FieldInfo) -> str:
    told = " ".join((field.description or "").split())
    if get_origin(field.annotation) is Literal and len(get_args(field.annotation)) > 1:
        told += f" One of {', '.join(f'`{each}`' for each in get_args(field.annotation))}."
    return told


def _default(value: object) -> str:
    if value is None or value in ({}, ()) or isinstance(value, BaseModel):
        return "–"
    assert value is not PydanticUndefined  # noqa: S101 - what is required has no default
    return f"`{_toml(value)}`"


def _example(name: str, examples: list[dict[str, Any]]) -> str:
    value = next((each[name] for each in examples if name in each), None)
    if value is None or (isinstance(value, list) and isinstance(value[0], dict)):
        return ""
    return f"`{name} = {_toml(value)}`"


def _toml(value: object) -> str:
    """As it is written in a definition; of a table or a list the first entries."""
    match value:
        case bool():
            return str(value).lower()
        case int():
            return f"{value:_}"
        case str():
            return json.dumps(value, ensure_ascii=False)
        case list() | tuple():
            return f"[{', '.join(map(_toml, value))}]"
        case Mapping():
            shown = ((f'"{key}"' if "/" in key else key, each) for key, each in value.items())
            return f"{{ {', '.join(f'{key} = {_toml(each)}' for key, each in shown)} }}"
        case _:
            raise TypeError(f"{value!r} is in no definition")


def _within(fields: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    return [field[key] for field in fields if key in field]


def _kinds() -> str:
    meanings = {
        "text": "a line",
        "textarea": "several lines",
        "email": "an email address",
        "tel": "a phone number",
        "url": "a web address",
        "date": "a date",
        "choice": "one of several answers",
        "checkbox": "a tick",
        "file": "a file, or several",
    }
    kinds = [
        kind
        for model in (TextField, ChoiceField, CheckboxField, FileField)
        for kind in model.model_json_schema()["properties"]["kind"].get("enum")
        or [model.model_json_schema()["properties"]["kind"]["const"]]
    ]
    return table(("`kind`", "The answer is"), ((f"`{kind}`", meanings[kind]) for kind in kinds))


# --- formats and texts


def _formats() -> str:
    return table(
        ("Format", "In `accept`", "Extensions", "Can be stored as"),
        (
            (
                each.name,
                f"`{each.media_type}`",
                " ".join(f"`{extension}`" for extension in each.extensions),
                _made(each),
            )
            for each in FORMATS.values()
        ),
    )


def _made(each: Format) -> str:
    writable = [other.name for other in FORMATS.values() if other.writer]
    match each.kind:
        case "image" if each.writer:
            return ", ".join([each.name, *(name for name in writable if name != each.name)])
        case "image":
            return f"{', '.join(writable)}; it has to be converted"
        case "document":
            return f"{each.name}, PDF"
        case _:
            return each.name


def _texts(texts: Mapping[str, str], placeholders: Mapping[str, tuple[str, ...]]) -> str:
    return table(
        ("Code", "Built-in text", "Placeholders of its own"),
        (
            (f"`{code}`", texts[code], " ".join(f"`{{{each}}}`" for each in placeholders[code]))
            for code in placeholders
        ),
    )
