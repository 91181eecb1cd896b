"""An event of a stream, as a schema: what tools take the schema of `text/event-stream` for."""

from typing import Any

from api.news.streams import PURGED, SETTLED
from api.views.rows import FormEvent

_VERSION = {"type": "string", "pattern": "^[0-9]+$", "description": "the form's version"}
_END = {
    "type": "object",
    "required": ["reason"],
    "properties": {"reason": {"type": "string", "enum": [PURGED, SETTLED]}},
}


def _event(name: str, data: dict[str, Any], **more: Any) -> dict[str, Any]:
    written = {"type": "string", "contentMediaType": "application/json", "contentSchema": data}
    properties = {"event": {"const": name}, "data": written, **more}
    return {"type": "object", "required": list(properties), "properties": properties}


EVENT: dict[str, Any] = {
    "type": "object",
    "oneOf": [
        _event("upload", {"$ref": "#/components/schemas/UploadView"}, id=_VERSION),
        _event("form", FormEvent.model_json_schema(), id=_VERSION),
        _event("end", _END),
    ],
}
