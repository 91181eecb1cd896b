"""A form type as browsers read it: its definition, and what they need to check a file by it."""

from pydantic import BaseModel

from api.texts.rejections import texts
from shared.form_definition import (
    AnyField,
    CheckboxField,
    ChoiceField,
    FileField,
    FormType,
    TextField,
)
from shared.formats import FORMATS, Format


class PieceView(BaseModel):
    """Bytes at a place of a file."""

    offset: int
    bytes: str
    """In hexadecimal digits."""


class FormatView(BaseModel):
    """A format that a field accepts."""

    type: str
    name: str
    """As people call it."""
    extensions: list[str]
    signatures: list[list[PieceView]]
    """A file of this format most often has all pieces of one of these. One that has none proves
    nothing."""
    starts_within: int
    """Bytes that may stand before the signature; pieces are counted from where it begins."""


class FileFieldView(FileField):
    """A file field with what is accepted, in detail, and what is said of a file that isn't."""

    formats: list[FormatView]
    texts: dict[str, str]
    """By code; a name in braces is one of the upload's `params`."""


class SectionView(BaseModel):
    name: str
    title: str
    fields: list[TextField | ChoiceField | CheckboxField | FileFieldView]


class FormTypeView(BaseModel):
    """What is asked in a form, and what is acceptable."""

    type: str
    title: str
    sections: list[SectionView]


def form_type_view(form_type: FormType) -> FormTypeView:
    return FormTypeView(
        type=form_type.type,
        title=form_type.title,
        sections=[
            SectionView(
                name=section.name,
                title=section.title,
                fields=[_field_view(each) for each in section.fields],
            )
            for section in form_type.sections
        ],
    )


def _field_view(field: AnyField) -> TextField | ChoiceField | CheckboxField | FileFieldView:
    if not isinstance(field, FileField):
        return field
    return FileFieldView(
        **dict(field),
        formats=[_format_view(FORMATS[each]) for each in field.accepted_types],
        texts=texts(field),
    )


def _format_view(each: Format) -> FormatView:
    return FormatView(
        type=each.media_type,
        name=each.name,
        extensions=list(each.extensions),
        signatures=[
            [PieceView(offset=offset, bytes=piece.hex()) for offset, piece in signature]
            for signature in each.signatures
        ],
        starts_within=each.starts_within,
    )
