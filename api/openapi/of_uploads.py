"""What the endpoints of uploads answer, and to what."""

from api.openapi import bodies, examples
from api.openapi import headers as sent
from api.openapi.errors import Coded
from api.openapi.operation import (
    MULTIPART,
    NOT_MODIFIED,
    OWNER,
    OWNER_OR_PAGES,
    RECEIVING,
    SERVICE_KEY,
    answer,
    leads_to,
    operation,
)
from api.views.rows import LinkView, UploadView

_ACCEPTED = answer(
    "The bytes are durable; the rest is ours",
    UploadView,
    example=examples.STAGED,
    always=("Location", "ETag", "Cache-Control"),
    sometimes=("Retry-After",),
    links=leads_to(
        "upload_id",
        *("read_upload", "read_content", "read_derivative", "retry_upload", "remove_upload"),
    ),
)
_ONE_FILE = (
    "not-found",
    *RECEIVING,
    "too-many-files",
    "file-too-large",
    "file-empty",
    "upload-running",
    "key-reused",
    "digest-mismatch",
)
_LINK = {
    200: answer(
        "The link as JSON, for who accepts that",
        LinkView,
        example=examples.LINK,
        always=("Cache-Control",),
    ),
    307: answer("The link", always=("Location", "Cache-Control")),
}
CHANGING = ("not-found", "form-submitted")

ONE_FILE_OF_MULTIPART: tuple[Coded, ...] = (
    *_ONE_FILE,
    *MULTIPART,
    "file-missing",
    ("too-many-files", 422),
)

IN_PIECES = ("piece-mismatch", "upload-gone")

UPLOAD_MULTIPART = operation(
    answers={
        200: answer(
            "Dropzone's chunk is durable; others are still to come",
            UploadView,
            example=examples.RECEIVING,
            always=("ETag", "Cache-Control"),
            sometimes=("Retry-After",),
        ),
        202: _ACCEPTED,
    },
    errors=(
        *ONE_FILE_OF_MULTIPART,
        *IN_PIECES,
        *("malformed-json", "request-too-large", "invalid-request", "upload-not-reusable"),
    ),
    may=OWNER_OR_PAGES,
    takes=(sent.IDEMPOTENCY_KEY, sent.REPR_DIGEST),
    body=bodies.ONE_FILE_OR_REUSE,
)

UPLOAD_RAW = operation(
    answers={202: _ACCEPTED},
    errors=_ONE_FILE,
    may=OWNER,
    takes=(sent.CONTENT_DISPOSITION, sent.REPR_DIGEST),
    body=bodies.RAW,
)

READ_UPLOAD = operation(
    answers={
        200: answer(
            "The upload as it is now",
            UploadView,
            example=examples.STORED,
            always=("ETag", "Cache-Control"),
            sometimes=("Retry-After", "Preference-Applied"),
        ),
        304: NOT_MODIFIED,
    },
    errors=("not-found",),
    may=OWNER_OR_PAGES,
    takes=(sent.IF_NONE_MATCH, sent.PREFER),
)

UNREADABLE = ("not-found", "not-stored", "not-released")

READ_CONTENT = operation(answers=_LINK, errors=UNREADABLE, may=OWNER_OR_PAGES)

READ_DERIVATIVE = operation(answers=_LINK, errors=UNREADABLE, may=OWNER_OR_PAGES)

RETRY_UPLOAD = operation(
    answers={202: _ACCEPTED}, errors=(*CHANGING, "not-failed"), may=OWNER_OR_PAGES
)

RELEASE_UPLOAD = operation(
    answers={
        200: answer(
            "It is the value of its field",
            UploadView,
            example=examples.RELEASED,
            always=("ETag", "Cache-Control"),
        )
    },
    errors=("not-found", "not-flagged"),
    may=(SERVICE_KEY,),
)

REMOVE_UPLOAD = operation(
    answers={204: answer("It is removed")},
    # these are for clients of tus
    errors=(*CHANGING, "tus-version", ("too-many-requests", 503)),
    may=OWNER_OR_PAGES,
)
