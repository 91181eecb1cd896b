"""What tus' requests are answered with, and to what."""

from api.openapi import bodies
from api.openapi import headers as sent
from api.openapi.operation import OWNER_OR_PAGES, answer, operation

_GONE = ("not-found", "upload-gone", "upload-locked", "tus-version")
_BYTES = (
    *("unsupported-media-type", "request-too-large", "form-submitted", "wrong-offset"),
    *("checksum-mismatch", "digest-mismatch", "storage-full", "inconsistent-length"),
)
_AGAIN = (("request-timeout", 503), ("too-many-requests", 503))
"""Clients of tus take the statuses that these have elsewhere for the end."""
_OF_IETF = ("Upload-Complete", "Upload-Limit", "Upload-Draft-Interop-Version")
"""Headers of answers to the IETF's resumable uploads, which are an experiment."""

CREATE = operation(
    answers={
        201: answer(
            "It is begun; what came with it is durable",
            always=("Location", "Upload-Offset", "Cache-Control"),
            sometimes=("Upload-Expires", *_OF_IETF),
        )
    },
    errors=(
        *_GONE,
        *_BYTES,
        *_AGAIN,
        *("form-full", "too-many-files", "file-too-large", "file-empty"),
        *("key-reused", "piece-mismatch", "fragment-not-supported"),
    ),
    may=OWNER_OR_PAGES,
    takes=(
        sent.TUS_RESUMABLE,
        sent.UPLOAD_LENGTH,
        sent.UPLOAD_METADATA,
        sent.UPLOAD_CHECKSUM,
        sent.UPLOAD_COMPLETE,
        sent.CONTENT_DIGEST,
        sent.IDEMPOTENCY_KEY,
        sent.REPR_DIGEST,
    ),
    body=bodies.OFFSET_BYTES,
    body_required=False,
)

SEND = operation(
    answers={
        204: answer(
            "They are durable; with the last one the upload is `staged`",
            always=("Upload-Offset", "Cache-Control"),
            sometimes=("Upload-Expires", *_OF_IETF),
        )
    },
    errors=(*_GONE, *_BYTES, *_AGAIN, "piece-mismatch", "fragment-not-supported"),
    takes=(
        sent.TUS_RESUMABLE,
        sent.UPLOAD_OFFSET,
        sent.UPLOAD_CHECKSUM,
        sent.UPLOAD_COMPLETE,
        sent.CONTENT_DIGEST,
    ),
    body=bodies.OFFSET_BYTES,
)

STAND = operation(
    answers={
        200: answer(
            "Where it stands; who was sending and is stalled can't go on. Without `Tus-Resumable`"
            " it is the head of GET, and needs its credential",
            always=("Cache-Control",),
            sometimes=(
                *("Upload-Offset", "Upload-Length", "Upload-Expires", "Upload-Metadata"),
                *("ETag", "Retry-After"),
            ),
        ),
        204: answer(
            "The same, for who asks as the IETF's draft has it",
            always=("Upload-Offset", "Upload-Length", "Cache-Control"),
            sometimes=_OF_IETF,
        ),
    },
    errors=(*_GONE, "unauthorized"),
    takes=(sent.ASKS_BY_TUS,),
)
