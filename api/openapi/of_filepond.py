"""What FilePond's address of a field answers, and to what."""

from typing import Any

from api.openapi import bodies, examples
from api.openapi import headers as sent
from api.openapi.of_uploads import CHANGING, ONE_FILE_OF_MULTIPART, UNREADABLE
from api.openapi.operation import OWNER, answer, operation

_ID: dict[str, Any] = {"text/plain": {"schema": {"type": "string"}, "example": examples.UPLOAD_ID}}
_BYTES: dict[str, Any] = {"*/*": {"schema": bodies.BINARY, "example": "%PDF-1.7 …"}}

PROCESS = operation(
    answers={
        201: {
            **answer(
                "The bytes are durable; this is the upload's id",
                always=("Location", "Cache-Control"),
            ),
            "content": _ID,
        }
    },
    errors=ONE_FILE_OF_MULTIPART,
    may=OWNER,
    takes=(sent.IDEMPOTENCY_KEY, sent.REPR_DIGEST),
    body=bodies.ONE_FILE,
)

REVERT = operation(
    answers={204: answer("It is removed")},
    errors=(*CHANGING, "request-too-large"),
    may=OWNER,
    body=_ID,
)

RESTORE = operation(
    answers={
        200: {
            **answer(
                "The bytes as they were sent, while the upload is checked",
                always=("Cache-Control", "Content-Disposition"),
            ),
            "content": _BYTES,
        },
        307: answer("The link to the stored object", always=("Location", "Cache-Control")),
    },
    errors=(*UNREADABLE, "fetch-not-supported"),
    may=OWNER,
)
