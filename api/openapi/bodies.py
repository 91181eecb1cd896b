"""Bodies that routes read from the stream themselves, as schemas by media type."""

from typing import Any

from api.openapi.examples import UPLOAD_ID

MAX_REFERENCE = 200
BINARY = {"type": "string", "contentMediaType": "application/octet-stream", "format": "binary"}

_VALUE = {
    "description": "A text or a choice is a string, a checkbox a boolean; null takes it away. For a"
    " file field null removes its uploads and anything else is ignored.",
}
_REDIRECT: dict[str, Any] = {"type": ["string", "null"], "format": "uri", "maxLength": 2000}
_FIELDS: dict[str, Any] = {
    "type": "object",
    "description": "Fields of the form type by name, or all of them below `data`.",
    "additionalProperties": _VALUE,
}
_SECTION_EXAMPLE = {"email": "ada@example.com", "accepts_insurance": True, "licence": None}

NEW_FORM: dict[str, Any] = {
    "application/json": {
        "schema": {
            "type": "object",
            "properties": {
                "type": {"type": "string", "description": "a form type, by its name"},
                "data": {"type": "object", "additionalProperties": _VALUE},
                "reference": {
                    "type": ["string", "null"],
                    "minLength": 1,
                    "maxLength": MAX_REFERENCE,
                    "pattern": r"^[^\x00]*$",
                    "description": "the application's own name for the form",
                },
                "success_redirect": {
                    **_REDIRECT,
                    "description": "with a service key alone: where a post from another site"
                    " leads when all is well, on an origin of REDIRECT_ORIGINS",
                },
                "error_redirect": {
                    **_REDIRECT,
                    "description": "and where if not, with `code`, `field` and `errors` in its"
                    " query; where one of the two is given it is for both",
                },
                "metadata": {
                    "description": "with a service key alone: any JSON up to 4 KiB, which comes"
                    " back with the form"
                },
            },
            "required": ["type"],
        },
        "example": {
            "type": "therapist_signup",
            "data": {"full_name": "Ada Diaz"},
            "reference": "crm-4711",
        },
    }
}

_PARTS: dict[str, Any] = {
    "type": "object",
    "description": "Parts by the names of their fields: text, and files.",
    "additionalProperties": {"anyOf": [{"type": "string"}, BINARY]},
}

SECTION: dict[str, Any] = {
    "application/merge-patch+json": {"schema": _FIELDS, "example": _SECTION_EXAMPLE},
    "application/json": {"schema": _FIELDS, "example": _SECTION_EXAMPLE},
    "multipart/form-data": {"schema": _PARTS},
}

_POSTED: dict[str, Any] = {
    "type": "object",
    "description": "Fields of the form type, files among them, and controls. `remove`: id of an"
    " upload to take away. `submit`: closes the form; any value. `token`: the form's, from a page"
    " of another site; in multipart the first part.",
    # the other controls are no properties: tools that send requests would fill each of them in
    "properties": {
        "section": {
            "type": "string",
            "description": "its checkboxes that are absent become false",
            "example": "about",
        }
    },
    "additionalProperties": True,
}
HTML_FORM: dict[str, Any] = {
    kind: {"schema": _POSTED}
    for kind in ("multipart/form-data", "application/x-www-form-urlencoded")
}

ONE_FILE: dict[str, Any] = {
    "multipart/form-data": {
        "schema": {
            "type": "object",
            "properties": {
                "file": {
                    **BINARY,
                    "description": "the first part with a filename, whatever its name",
                }
            },
            "required": ["file"],
        }
    }
}

_ONE_FILE_OR_CHUNK: dict[str, Any] = ONE_FILE["multipart/form-data"]["schema"] | {
    # the fields are no properties: tools that send requests would fill each of them in
    "description": "Where `dzuuid`, `dzchunkindex`, `dztotalfilesize`, `dzchunksize`,"
    " `dztotalchunkcount` and `dzchunkbyteoffset` come before the file, it is Dropzone's chunk of"
    " one: in any order, several at once, and each as often as need be.",
}
ONE_FILE_OR_REUSE: dict[str, Any] = {
    "multipart/form-data": {"schema": _ONE_FILE_OR_CHUNK},
    "application/json": {
        "schema": {
            "type": "object",
            "properties": {
                "from": {
                    "type": "string",
                    "description": "an upload of the same form, by its id: its bytes are used"
                    " again, and the field's policy is asked anew",
                }
            },
            "required": ["from"],
        },
        "example": {"from": UPLOAD_ID},
    },
}

RAW: dict[str, Any] = {"*/*": {"schema": BINARY}}

OFFSET_BYTES: dict[str, Any] = {"application/offset+octet-stream": {"schema": BINARY}}
