"""Every error a client can meet: stable code, status, title, text.

`docs/errors.md` lists them; a test holds the two together. Raise `Problem` anywhere behind a route;
`api/http/problems.py` is the only place that makes an HTTP answer of it (RFC 9457).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from shared.codes import Params

GUIDE = "/docs/errors"
"""The page that explains each code, on both listeners: the `type` of a problem leads there."""


class ErrorSpec(NamedTuple):
    """What a code is answered with."""

    status: int
    title: str
    detail: str
    """Default text for people; `str.format` with the problem's params."""
    retryable: bool = False


ERRORS: dict[str, ErrorSpec] = {
    # the request
    "bad-request": ErrorSpec(400, "Bad request", "The request can't be understood."),
    "malformed-json": ErrorSpec(400, "Malformed JSON", "The body is not a JSON object."),
    "malformed-multipart": ErrorSpec(
        400, "Malformed multipart body", "The body is not complete and valid multipart/form-data."
    ),
    "inconsistent-length": ErrorSpec(
        400,
        "Inconsistent length",
        "Upload-Length, Upload-Complete and the length of the body don't fit together.",
    ),
    "unsupported-transfer-encoding": ErrorSpec(
        400,
        "Unsupported transfer encoding",
        "A part comes in a transfer encoding that isn't known; send it as it is.",
    ),
    "fragment-not-supported": ErrorSpec(
        400,
        "A piece of a file",
        "This is a piece of a file; send the whole file in one request (without chunks).",
    ),
    "unauthorized": ErrorSpec(
        401, "Unauthorized", "Send the form's token as 'Authorization: Bearer …'."
    ),
    "foreign-origin": ErrorSpec(
        403,
        "Sent from another site",
        "This form can't be sent from another site; open its own page and send it from there.",
    ),
    "not-found": ErrorSpec(404, "Not found", "There is nothing here, or it is not yours."),
    "method-not-allowed": ErrorSpec(
        405, "Method not allowed", "This address doesn't know that method."
    ),
    "not-acceptable": ErrorSpec(
        406, "Not acceptable", "The answer is {offered}; name that in Accept, or leave it out."
    ),
    "request-timeout": ErrorSpec(
        408, "Too slow", "Too little arrived for too long; send it again.", retryable=True
    ),
    "precondition-failed": ErrorSpec(
        412, "Precondition failed", "The form was edited since you read it; read it again."
    ),
    "request-too-large": ErrorSpec(
        413, "Request too large", "The request is larger than {max_bytes} bytes."
    ),
    "unsupported-media-type": ErrorSpec(
        415, "Unsupported media type", "Send the body as {expected}."
    ),
    "too-many-requests": ErrorSpec(
        429,
        "Too many requests",
        "Too many requests of yours are under way; try again.",
        retryable=True,
    ),
    "uri-too-long": ErrorSpec(
        414, "Address too long", "Path and query are longer than {max_bytes} bytes."
    ),
    "unsupported-content-encoding": ErrorSpec(
        415, "Unsupported content encoding", "Send the body as it is, without Content-Encoding."
    ),
    "header-too-large": ErrorSpec(
        431, "Header too large", "The header {header} is larger than {max_bytes} bytes."
    ),
    "method-not-implemented": ErrorSpec(501, "Method not implemented", "This service is no proxy."),
    "fetch-not-supported": ErrorSpec(
        501,
        "Fetch not supported",
        "This service fetches nothing from elsewhere; send the file itself.",
    ),
    "unsupported-transfer-coding": ErrorSpec(
        501, "Unsupported transfer coding", "The only transfer coding is chunked."
    ),
    "http-version-not-supported": ErrorSpec(
        505, "HTTP version not supported", "Speak HTTP/1.1 or HTTP/1.0."
    ),
    "invalid-request": ErrorSpec(422, "Invalid request", "Some values can't be used."),
    "unknown-field": ErrorSpec(422, "Unknown field", "This form has no such field."),
    "unknown-form-type": ErrorSpec(422, "Unknown form type", "There is no such form type."),
    # the form
    "form-submitted": ErrorSpec(409, "Form submitted", "The form was submitted and is closed."),
    "uploads-pending": ErrorSpec(
        409, "Uploads pending", "Some files are still being processed.", retryable=True
    ),
    "form-incomplete": ErrorSpec(422, "Form incomplete", "Some answers are missing or wrong."),
    # the upload
    "file-missing": ErrorSpec(422, "No file", "The request holds no file."),
    "file-empty": ErrorSpec(422, "Empty file", "The selected file is empty"),
    "file-too-large": ErrorSpec(
        413, "File too large", "The selected file must be smaller than {max_size}"
    ),
    "file-too-small": ErrorSpec(
        422, "File too small", "The selected file must be at least {min_size}"
    ),
    "too-many-files": ErrorSpec(
        409, "Too many files", "You can only select up to {max_files} files"
    ),
    "file-invalid-type": ErrorSpec(
        422, "Wrong type of file", "The selected file must be {an_accepted}"
    ),
    "file-corrupt": ErrorSpec(
        422,
        "Corrupt file",
        "The selected file is damaged and can't be read: save it again, or choose another one",
    ),
    "file-encrypted": ErrorSpec(
        422,
        "Encrypted file",
        "The selected file is password protected: save it without a password",
    ),
    "file-has-active-content": ErrorSpec(
        422,
        "Active content",
        "The selected file has scripts or actions in it: print it to a PDF, and choose that",
    ),
    "file-has-attachments": ErrorSpec(
        422, "Attachments", "The selected file has other files attached to it: take them out"
    ),
    "file-has-forms": ErrorSpec(
        422,
        "Dynamic form",
        "The selected file is a form that only some programs can show: print it to a PDF, "
        "and choose that",
    ),
    "file-has-macros": ErrorSpec(
        422, "Macros", "The selected file has macros in it: save it without macros"
    ),
    "file-infected": ErrorSpec(422, "Infected file", "The selected file contains a virus"),
    "file-unscannable": ErrorSpec(
        422,
        "Unscannable file",
        "The selected file can't be checked for viruses: save it without a password, or smaller",
    ),
    "file-too-complex": ErrorSpec(
        422,
        "File too complex",
        "The selected file is too complex to be checked: save it again, or choose another one",
    ),
    "image-animated": ErrorSpec(
        422, "Animation", "The selected image is animated: choose one that isn't"
    ),
    "file-too-many-pages": ErrorSpec(
        422, "Too many pages", "The selected file must have {max_pages} pages or fewer"
    ),
    "image-too-small": ErrorSpec(
        422,
        "Image too small",
        "The selected image must be at least {min_width} × {min_height} pixels",
    ),
    "image-too-large": ErrorSpec(
        422,
        "Image too large",
        "The selected image has too many pixels ({width} × {height}): make it smaller",
    ),
    "key-reused": ErrorSpec(
        422, "Key used before", "This key was used for other contents in this field."
    ),
    "upload-running": ErrorSpec(
        409, "Still running", "An upload with this key is being received.", retryable=True
    ),
    "digest-mismatch": ErrorSpec(
        422,
        "Digest mismatch",
        "What arrived is not what Repr-Digest announced; send it again.",
        retryable=True,
    ),
    "wrong-offset": ErrorSpec(
        409,
        "Wrong offset",
        "The upload goes on at {offset}; ask by HEAD where it stands.",
        retryable=True,
    ),
    "piece-mismatch": ErrorSpec(
        422,
        "The piece doesn't fit",
        "This chunk doesn't fit the file that it is of; send the whole file again.",
    ),
    "upload-gone": ErrorSpec(
        410, "Upload over", "This upload has ended and takes nothing more; begin a new one."
    ),
    "tus-version": ErrorSpec(
        412, "Other version of tus", "This is an address of tus 1.0.0: send 'Tus-Resumable: 1.0.0'."
    ),
    "upload-locked": ErrorSpec(
        423,
        "Upload locked",
        "Another request is sending bytes of this upload; try again.",
        retryable=True,
    ),
    "checksum-mismatch": ErrorSpec(
        460,
        "Checksum mismatch",
        "What arrived is not what Upload-Checksum or Content-Digest announced; send it again.",
        retryable=True,
    ),
    "form-full": ErrorSpec(
        413,
        "Form full",
        "The form holds as many files or as much text as it may; remove some, then try again.",
    ),
    "too-many-forms": ErrorSpec(
        429,
        "Too many forms",
        "Too many forms were begun from your network; try again later.",
        retryable=True,
    ),
    "upload-not-reusable": ErrorSpec(
        409, "Not reusable", "The file can't be used again; send it again."
    ),
    "not-stored": ErrorSpec(409, "Not stored yet", "The file is not in the bucket (yet)."),
    "not-released": ErrorSpec(
        409, "Not released", "The file is kept aside until it has been looked at."
    ),
    "not-flagged": ErrorSpec(409, "Not flagged", "There is nothing to release."),
    "not-failed": ErrorSpec(
        409, "Not failed", "Only a failed upload whose bytes are still kept can be tried again."
    ),
    # our side of an upload: shown in its status, never as an answer
    "attempts-exhausted": ErrorSpec(
        500,
        "Gave up",
        "We could not process the file. It is kept, and can be tried again.",
        retryable=True,
    ),
    "deadline-passed": ErrorSpec(
        500,
        "Gave up",
        "We could not process the file in time. It is kept, and can be tried again.",
        retryable=True,
    ),
    "bytes-expired": ErrorSpec(
        500,
        "No longer kept",
        "We could not process the file and no longer keep it. Send it again.",
    ),
    "bytes-lost": ErrorSpec(
        500, "Bytes lost", "The received file is gone from the volume. Send it again."
    ),
    "bytes-changed": ErrorSpec(
        500, "Bytes changed", "The received file changed on the volume. Send it again."
    ),
    "object-lost": ErrorSpec(
        500,
        "Object lost",
        "The stored file that was to be used again is gone. Send it again.",
    ),
    # our side
    "internal-error": ErrorSpec(500, "Internal error", "Something went wrong on our side."),
    "unavailable": ErrorSpec(
        503, "Unavailable", "The service can't do this right now; try again.", retryable=True
    ),
    "storage-full": ErrorSpec(
        507,
        "Storage full",
        "There is no room for the file right now; try again later.",
        retryable=True,
    ),
    # the internal listener
    "stale-generation": ErrorSpec(
        409, "Stale generation", "This upload is no longer yours; delete your own prefix."
    ),
    "upload-held": ErrorSpec(409, "Held", "Another worker holds this upload.", retryable=True),
    "upload-not-due": ErrorSpec(409, "Not due", "This upload is not due yet.", retryable=True),
    "upload-final": ErrorSpec(410, "Final", "There is nothing left to do for this upload."),
}


class Problem(Exception):  # noqa: N818 - RFC 9457 calls it so
    """An error that a client sees, by the code it is documented under."""

    def __init__(
        self,
        code: str,
        detail: str | None = None,
        *,
        field: str | None = None,
        params: Params | None = None,
        errors: Sequence[Mapping[str, object]] = (),
        headers: Mapping[str, str] | None = None,
        retry_after: int | None = None,
        status: int | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        spec = ERRORS[code]
        self.code = code
        self.status = status or spec.status
        self.title = spec.title
        self.params = dict(params or {})
        self.detail = detail or spec.detail.format_map(_Known(self.params))
        self.retryable = spec.retryable
        self.field = field
        self.errors = list(errors)
        self.headers = dict(headers or {})
        self.retry_after = retry_after
        """Seconds after which asking again makes sense."""
        self.extra = dict(extra or {})
        self.see_other: str | None = None
        """Where a person is sent who posted from another site, in place of a page of ours."""
        super().__init__(f"{code}: {self.detail}")


@contextmanager
def about(field: str) -> Iterator[None]:
    """A `Problem` that is raised within is about this field of the form."""
    try:
        yield
    except Problem as problem:
        problem.field = field
        raise


def pointer(*names: str) -> str:
    """Where in a JSON body something is (RFC 6901): `/data/full_name`."""
    return "".join(f"/{name.replace('~', '~0').replace('/', '~1')}" for name in names)


def error_of(name: str, code: str, detail: str) -> dict[str, str]:
    """One of a problem's `errors`: what is wrong with a member of the body, and where that is."""
    return {"pointer": pointer(name), "field": name, "code": code, "detail": detail}


def wrong_member(name: str, detail: str, *, says: str | None = None) -> Problem:
    """invalid-request: a member of the body that can't be used. `detail` goes on after its name,
    as in "must be an object"; `says` is the whole sentence where that is none."""
    errors = [error_of(name, "invalid-value", detail)]
    return Problem("invalid-request", says or f"{name} {detail}", field=name, errors=errors)


class _Known(dict[str, object]):
    """Leaves a placeholder without a value readable in place of raising."""

    def __missing__(self, key: str) -> str:
        return f"({key})"
