"""When each error comes up, and what who meets it does about it: the words of the page that the
`type` of a problem leads to, and of `docs/errors.md`.

In a text, what stands in backticks is code.
"""

from collections.abc import Iterator
from typing import NamedTuple

from api.texts.errors import ERRORS

ANSWERS = {
    "bad-request": "a head that can't be read, or is over 64 KiB or 100 headers; no `Host` (but in "
    "HTTP/1.0), two, or one that names no host; framing that can't be trusted; a section with over "
    "32 files, a text part over 256 KiB or 1 MiB of text; a URL-encoded body with over 1000 "
    "values; a page's post whose `section`, `go`, `remove`, `submit` or `token` is a file or can't "
    "be read; two keys, or one that isn't 1 to 200 printable characters of UTF-8; a `Repr-Digest` "
    "that can't be read; a header of tus, of the IETF's uploads or of FilePond's chunks that is "
    "missing, can't be read or isn't supported; a field of Dropzone's that can't be read",
    "malformed-json": "the body is not one JSON object in UTF-8; NaN, half a surrogate pair and "
    "nesting without end are no JSON here",
    "malformed-multipart": "a `Content-Type` without a boundary, or with one of over 70 bytes; no "
    "closing boundary, or over 1000 spaces behind the first; over 1000 parts; a part without a "
    "name, with two, with two file names, or with a name of over 200 characters; a part's header "
    "that can't be read, stands twice or is over 4 KiB; over 8 of them in a part, or over 128 KiB "
    "in all; an encoded part that can't be decoded, or one that has parts of its own",
    "inconsistent-length": "a request of the IETF's with `Upload-Complete: ?1` whose "
    "`Content-Length` isn't what is missing of the file, or, of a `PATCH`, whose body ends before "
    "the file does; one that goes beyond without saying so is `request-too-large`. A `PATCH` of "
    "the IETF's whose `Upload-Length` isn't the one that its upload was begun with",
    "unsupported-transfer-encoding": "a part's `Content-Transfer-Encoding` is none of `base64`, "
    "`quoted-printable`, `7bit`, `8bit` and `binary`",
    "fragment-not-supported": "a header of the request (`Content-Range`, `Upload-Offset`, "
    "`Upload-Length`, `Tus-Resumable`, `Upload-Complete` and others), the `Content-Range` of a "
    "part, or a field of the body or the query that uploaders who send in chunks have, tells of a "
    "piece of a file, and it is none of FilePond's or tus at their own addresses, nor one of "
    "Dropzone's with all six fields before the file, each said once; a `Content-Range` beside tus "
    "or the IETF's uploads; a file beside the `Upload-Length` with which FilePond begins",
    "unauthorized": "no bearer token, or one, in a page's post also a hidden one, that opens "
    "nothing; the cookie of our pages, where a page of another site asks or at an address that "
    "takes none; a form's token where a service key alone opens (the list of forms, a release); a "
    "new form with what a service key alone may give",
    "foreign-origin": "a page of another site posted to an address of our pages, or with the "
    "hidden token of a form that has no `success_redirect` or `error_redirect`; or a post with "
    "this browser's cookie names neither `Origin` nor `Referer`",
    "not-found": "no such address, form, upload, field in the path, form type or derivative; or "
    "it is another form's",
    "method-not-allowed": "the address exists, this method of it doesn't",
    "not-acceptable": "`Accept` rules out `text/event-stream`, where that is what is answered",
    "request-timeout": "no byte of a body came for `RECEIVE_IDLE_SECONDS`, or fewer than "
    "`RECEIVE_MIN_BYTES_PER_SECOND` over `RECEIVE_RATE_SECONDS`; a head that had begun took longer "
    "than `RECEIVE_HEAD_SECONDS`. A client of tus is told 503 for a body",
    "too-many-requests": "a client has `MAX_CONNECTIONS_PER_CLIENT` requests under way, through a "
    "trusted proxy; or a stream is asked for beyond what the client, or the form, may have open. A "
    "client of tus is told 503",
    "precondition-failed": "`If-Match` of a `PATCH` of a form names another edit than the form's "
    "latest; `*` names any, and uploads ignore the header",
    "request-too-large": "JSON over 320 KiB; a section over what all its form's files may have "
    "together and 1 MiB more; a form that a page posts over 2 GB, or 1 MiB where it is "
    "URL-encoded; bytes of tus or the IETF's beyond the `Upload-Length`; what FilePond sends to "
    "begin a file in chunks over 64 KiB, or to take one away over 1 KiB",
    "unsupported-media-type": "the request's own `Content-Type` is none that the address takes; "
    "what is said of a file's type never counts",
    "uri-too-long": "path and query over 8192 bytes",
    "unsupported-content-encoding": "a body, or a part of one, with a `Content-Encoding` other "
    "than `identity`, of a part also than a charset; with `Accept-Encoding: identity`",
    "header-too-large": "a header that is parsed, over its own bound; `params` name both",
    "method-not-implemented": "`CONNECT`",
    "fetch-not-supported": "FilePond asks for a file at an address elsewhere (`?fetch=`)",
    "unsupported-transfer-coding": "a `Transfer-Encoding` other than `chunked`",
    "http-version-not-supported": "a version other than 1.0 and 1.1, HTTP/2 without TLS among them",
    "invalid-request": "JSON has a value that can't be kept: wrong type, over 65536 characters, "
    "NUL; or one that can't be used: a `reference` not of 1 to 200 characters, `metadata` over "
    "4 KiB or with a number that a double can't hold, a redirect that leads elsewhere than to "
    "`REDIRECT_ORIGINS`, no `from`; a parameter of the query is wrong; `section` or `go` of a "
    "page's post names no section",
    "unknown-field": "a key or part of a section, or a key in `data` of a new form, that is no "
    "field of the form",
    "unknown-form-type": "`type` of a new form names none",
    "wrong-offset": "`Upload-Offset` isn't where the upload stands; the `Upload-Offset` of the "
    "answer says where that is",
    "piece-mismatch": "a chunk's fields or headers contradict each other, its bytes are more or "
    "fewer than they say, it overlaps another one, or the file comes in over 10,000 of them; or "
    "bytes of tus or the IETF's come for an upload that has chunks with a hole between them, or "
    "that came in 10,000 requests",
    "upload-gone": "bytes for an upload that was rejected, replaced, removed or expired, or that "
    "failed and can't be tried again; or a question where it stands. Of chunks of Dropzone and "
    "FilePond: for one that ended before its last byte",
    "tus-version": "at an address of tus `Tus-Resumable` is another version, or a `POST` or "
    "`PATCH` has none and is none of the IETF's either; with `Tus-Version`",
    "upload-locked": "another request is sending bytes of the upload, or has just taken it over; "
    "of a `HEAD` of tus also whatever keeps it from being answered",
    "checksum-mismatch": "the body is not what its `Upload-Checksum` says, or the `Content-Digest` "
    "of one of the IETF's; nothing of it is kept",
    "form-submitted": "a write after submit; a service key may retry, release, remove and purge",
    "uploads-pending": "submit while files are under way; they are listed under `uploads`; with "
    "`Retry-After`",
    "form-incomplete": "submit with missing or wrong answers, listed under `errors`",
    "file-missing": "an upload without a file part",
    "file-empty": "an upload whose file has no bytes",
    "file-too-large": "an upload over its field's `max_bytes`, by what is said of its length "
    "(`Content-Length`, `Upload-Length`, `dztotalfilesize`) or as it comes; a file that is to be "
    "used again and is over it",
    "too-many-files": "409: the field for many files is full. 422: a second file in one request "
    "for one upload",
    "form-full": "an upload, or a section's body, is more than the form may hold of files "
    "(`MAX_FORM_BYTES`, `MAX_FORM_UPLOADS`), or values are more text (`MAX_FORM_TEXT_BYTES`)",
    "too-many-forms": "a client address begins more than `MAX_DRAFTS_PER_HOUR` drafts within an "
    "hour; with `Retry-After`",
    "key-reused": "a key, of the address or of `Idempotency-Key`, that already stands for other "
    "bytes in this field; of an upload in "
    "several requests, a key or `dzuuid` that stands for another length",
    "upload-running": "a key whose first request is still being received; with `Retry-After`",
    "digest-mismatch": "`Repr-Digest` is the SHA-256 neither of the file that arrived nor of the "
    "body that brought it; of a file that is to be used again, neither of what was sent nor of "
    "what is kept. Of an upload in several requests `Repr-Digest`, or `sha256` in the metadata of "
    "tus, isn't that of the whole file; the upload is removed with it",
    "upload-not-reusable": "a file that is to be used again can't be; `params` have the `reason`",
    "not-stored": "a link is asked for and the upload is not `stored`",
    "not-released": "a link is asked for with a form's token, and the upload is flagged",
    "not-flagged": "a release of an upload that is not flagged, or is not in the bucket any more",
    "not-failed": "a retry of an upload that is not `failed`, or is with `retryable` false: its "
    "bytes are lost, changed or no longer kept, or the object that it uses again is gone",
    "internal-error": "a fault of ours; `request_id` finds it in the logs",
    "unavailable": "the database or the volume can't be used, the api is stopping, there are too "
    "many connections, all streams of events are taken, the form's type was taken away, the file "
    "was being moved in that moment, or it took so long to be acknowledged that the sweep had "
    "taken it for an orphan; with `Retry-After`",
    "storage-full": "too few bytes or inodes free on the volume; before the body where that can be "
    "known; with `Retry-After`",
}
"""When an answer of the public listener has the code."""

UPLOADS = {
    "file-too-large": (
        "rejected",
        "a file of a section is over its field's `max_bytes`, or a page posts too much together",
    ),
    "too-many-files": ("rejected", "a file of a saved section finds its field full"),
    "file-too-small": ("rejected", "it has fewer bytes than its field's `min_bytes`"),
    "file-invalid-type": (
        "rejected",
        "the type found in the bytes is not in the field's `accept`, or no known one is found",
    ),
    "file-corrupt": (
        "rejected",
        "it can't be decoded whole, LibreOffice makes no PDF of it, or two decoders died of it",
    ),
    "file-encrypted": (
        "rejected",
        "it can't be opened without a password, or has restrictions, and the field refuses that",
    ),
    "file-has-active-content": (
        "rejected",
        "it has scripts or actions that the field refuses, or wants out of a signed or damaged PDF",
    ),
    "file-has-attachments": (
        "rejected",
        "a PDF has attachments that the field refuses, or wants out of a signed or damaged one",
    ),
    "file-has-forms": (
        "rejected",
        "a PDF is an XFA form that the field refuses, or wants out of a signed or damaged one",
    ),
    "file-has-macros": (
        "rejected",
        "a document has macros that the field refuses, or wants out and there is no LibreOffice",
    ),
    "file-infected": ("rejected", "the scanner found something in it"),
    "file-unscannable": ("rejected", "the scanner can't look into it, and the field refuses that"),
    "file-too-complex": (
        "rejected",
        "it is over a bound on what is read, which `params` name, or of a kind that isn't read",
    ),
    "file-too-many-pages": ("rejected", "it has more pages than the field allows"),
    "image-animated": ("rejected", "it is animated, and the field refuses that"),
    "image-too-small": (
        "rejected",
        "the upright image is under the field's width or height, or has fewer pixels than it wants",
    ),
    "image-too-large": (
        "rejected",
        "alone or with all its kept frames it is over the field's limits, or over a format's own",
    ),
    "attempts-exhausted": ("failed", "`MAX_ATTEMPTS` attempts came to nothing"),
    "deadline-passed": (
        "failed",
        "`DEADLINE_SECONDS` went by without an outcome; an attempt under way is waited for",
    ),
    "bytes-expired": ("failed", "`FAILED_KEEP_SECONDS` went by, and the bytes with them"),
    "bytes-lost": (
        "failed",
        "the staged file is gone, or part of one that is being received; it was looked for twice",
    ),
    "bytes-changed": ("failed", "the staged file is not the acknowledged bytes any more"),
    "object-lost": ("failed", "it reuses a stored upload whose object is gone from the bucket"),
}
"""How an upload ends with the code in its `error`, and when."""

INTERNAL = {
    "stale-generation": "heartbeat or outcome of a generation that doesn't own the upload; an "
    "outcome for another form than the upload's",
    "upload-held": "claim of an upload that another worker holds; with `Retry-After`",
    "upload-not-due": "claim of an upload whose backoff isn't over; with `Retry-After`",
    "upload-final": "claim of an upload that waits for no worker, as it is `receiving` or final",
}
"""When an answer of the internal listener has the code."""

TO_DO = {
    "bad-request": "correct what `detail` names",
    "malformed-json": "send one JSON object, in UTF-8",
    "malformed-multipart": "let the HTTP library make the body and its `Content-Type`",
    "inconsistent-length": "send `Upload-Complete: ?1` with the last byte, and only then",
    "unsupported-transfer-encoding": "send the part as it is",
    "fragment-not-supported": "turn chunks off in the uploader, or send by tus, Dropzone or "
    "FilePond at the addresses made for them",
    "unauthorized": "send the form's token, or the service key",
    "foreign-origin": "open our own page and send from there; for another site create the form "
    "with a service key and a `success_redirect`, or send the token in `Authorization`",
    "wrong-offset": "ask by `HEAD` where the upload stands, and go on there",
    "piece-mismatch": "cut the file in one way, and send it as a new one",
    "upload-gone": "begin a new upload",
    "tus-version": "send `Tus-Resumable: 1.0.0`",
    "upload-locked": "ask again after `Retry-After`, or let the other request go on",
    "checksum-mismatch": "send the same bytes again",
    "not-found": "check the address and whose token it is; the form may be purged",
    "method-not-allowed": "use a method of `Allow`",
    "not-acceptable": "leave `Accept` out, or name what is offered",
    "request-timeout": "send it again",
    "too-many-requests": "wait for `Retry-After`; close streams that aren't needed",
    "precondition-failed": "read the form, merge, send with its new `ETag`",
    "request-too-large": "send less at a time",
    "unsupported-media-type": "send the `Content-Type` that `detail` names",
    "uri-too-long": "shorten the address",
    "unsupported-content-encoding": "send the body uncompressed",
    "header-too-large": "shorten the header that `params` name",
    "method-not-implemented": "ask the service for its own addresses: it connects to no others",
    "fetch-not-supported": "send the file itself",
    "unsupported-transfer-coding": "send `chunked`, or a `Content-Length`",
    "http-version-not-supported": "speak HTTP/1.1",
    "invalid-request": "correct what `errors` point at",
    "unknown-field": "use the names that `GET /v1/form-types/{type}` lists",
    "unknown-form-type": "use a name that `GET /v1/form-types` lists",
    "form-submitted": "show the form as sent; only the back end can change it",
    "uploads-pending": "submit again after `Retry-After`, or with `Prefer: wait`",
    "form-incomplete": "show each of `errors` beside its field",
    "file-missing": "send a part with a filename",
    "file-empty": "choose a file that isn't empty",
    "file-too-large": "choose a smaller file",
    "too-many-files": "409, and of an upload: remove one of the field's files first. 422: send one "
    "file a request",
    "form-full": "remove files or shorten answers; past `MAX_FORM_UPLOADS` begin a new form",
    "too-many-forms": "wait for `Retry-After`",
    "key-reused": "take a new key for other bytes",
    "upload-running": "wait, and send it again",
    "digest-mismatch": "send it again, all of it; if it stays, the digest is wrong",
    "upload-not-reusable": "do what `detail` says of its `reason`",
    "not-stored": "follow the upload until it is `stored`; one that ended otherwise has no link",
    "not-released": "wait for the back end's release",
    "not-flagged": "do nothing: there is nothing to release",
    "not-failed": "read the upload; where its bytes are gone, send the file again",
    "internal-error": "tell the operator the `request_id`",
    "unavailable": "send it again after `Retry-After`",
    "storage-full": "send it again after `Retry-After`; an operator makes room",
    "file-too-small": "choose a larger file",
    "file-invalid-type": "choose a file of a type that the field accepts",
    "file-corrupt": "save it again, or choose another one",
    "file-encrypted": "save it without a password",
    "file-has-active-content": "print it to a PDF, and choose that",
    "file-has-attachments": "take the attached files out",
    "file-has-forms": "print it to a PDF, and choose that",
    "file-has-macros": "save it without macros",
    "file-infected": "choose another file",
    "file-unscannable": "save it without a password, or smaller",
    "file-too-complex": "save it again, or choose another one",
    "file-too-many-pages": "choose a file with fewer pages",
    "image-animated": "choose an image that isn't animated",
    "image-too-small": "choose a larger image",
    "image-too-large": "make the image smaller",
    "attempts-exhausted": "retry it; if it stays, an operator looks at the worker's log",
    "deadline-passed": "retry it; an operator looks at why nothing was processed",
    "bytes-expired": "send the file again",
    "bytes-lost": "send the file again; an operator looks at the volume",
    "bytes-changed": "send the file again; an operator looks at the volume",
    "object-lost": "send the file again; an operator looks at the bucket",
    "stale-generation": "stop, and delete the prefix of this generation",
    "upload-held": "leave it; its worker or the sweep drives it on",
    "upload-not-due": "leave it; the sweep wakes it when it is due",
    "upload-final": "forget the job",
}
"""What who meets the code does about it."""


class Entry(NamedTuple):
    """A code, explained."""

    code: str
    title: str
    detail: str
    """With placeholders, as `{max_size}`."""
    status: int | None
    """None for a code that no answer has: an upload ends with it."""
    when: list[str]
    """One for each place that the code comes up in."""
    to_do: str
    retryable: bool


def entries() -> Iterator[Entry]:
    """All codes, by their names."""
    for code, spec in sorted(ERRORS.items()):
        answers = [each[code] for each in (ANSWERS, INTERNAL) if code in each]
        ends = [f"the upload is `{status}`: {when}" for status, when in _ends(code)]
        yield Entry(
            code=code,
            title=spec.title,
            detail=spec.detail,
            status=spec.status if answers else None,
            when=[*answers, *ends],
            to_do=TO_DO[code],
            retryable=spec.retryable,
        )


def _ends(code: str) -> list[tuple[str, str]]:
    return [UPLOADS[code]] if code in UPLOADS else []
