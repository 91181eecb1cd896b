"""What FilePond's address of a field answers, and to what."""

from typing import Any

from api.openapi import bodies, examples
from api.openapi import headers as sent
from api.openapi.of_uploads import CHANGING, IN_PIECES, ONE_FILE_OF_MULTIPART, UNREADABLE
from api.openapi.operation import OWNER, answer, operation

_ID: dict[str, Any] = {"text/plain": {"schema": {"type": "string"}, "example": examples.UPLOAD_ID}}
_BYTES: dict[str, Any] = {"*/*": {"schema": bodies.BINARY, "example": "%PDF-1.7 …"}}

PROCESS = operation(
    answers={
        201: {
            **answer(
                "The bytes are durable, or chunks may come; this is the upload's id",
                always=("Location", "Cache-Control"),
                sometimes=("Upload-Offset",),
            ),
            "content": _ID,
        }
    },
    errors=(*ONE_FILE_OF_MULTIPART, "request-too-large"),
    may=OWNER,
    takes=(sent.LENGTH_OF_CHUNKS, sent.IDEMPOTENCY_KEY, sent.REPR_DIGEST),
    body=bodies.ONE_FILE,
)

CHUNK = operation(
    answers={
        204: answer(
            "It is durable, whole; with the last one the upload is `staged`",
            always=("Upload-Offset", "Cache-Control"),
        )
    },
    errors=(
        *("not-found", "unsupported-media-type", "fragment-not-supported"),
        *("form-submitted", "storage-full", "digest-mismatch"),
        *IN_PIECES,
    ),
    takes=(sent.UPLOAD_OFFSET, sent.LENGTH_OF_CHUNKS, sent.UPLOAD_NAME),
    body=bodies.OFFSET_BYTES,
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
                "The bytes as they were sent, while the upload is checked; for `patch` no content,"
                " and how far the upload is",
                always=("Cache-Control",),
                sometimes=("Content-Disposition", "Upload-Offset", "Upload-Length"),
            ),
            "content": _BYTES,
        },
        307: answer("The link to the stored object", always=("Location", "Cache-Control")),
    },
    errors=(*UNREADABLE, "fetch-not-supported", "upload-gone"),
    may=OWNER,
)
