"""Links to private objects: signed offline, with a key that may only read."""

from pathlib import PurePath
from urllib.parse import quote

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from api.receive.names import MAX_FILENAME, clean_filename
from api.records.rows import UploadRow
from api.settings.settings import Settings
from api.texts.errors import Problem
from shared.formats import FORMATS
from shared.keys import public_url
from shared.status import UploadStatus

INLINE_TYPES = {name for name, each in FORMATS.items() if each.kind == "image" and each.writer}
"""What may be shown in a page, where it is a file that we made."""
ANY_BYTES, UNKNOWN_EXTENSION = "application/octet-stream", ".bin"
"""What is served of a type that isn't one of ours."""
MAX_SUFFIX = 6
"""Characters of what still looks like a file name's extension."""


class Links:
    """Signs links to objects (AWS Signature Version 4, in the query), without asking the store, and
    with the key that may only read.

    url = links.presign(key, filename="cv.pdf", content_type="application/pdf", inline=True)
    """

    def __init__(self, settings: Settings) -> None:
        self._endpoint = settings.s3_public_endpoint_url
        self._bucket = settings.s3_bucket
        self.seconds = settings.presigned_seconds
        # A client of botocore's signs no differently, and takes 30 MB and a third of a second
        # to learn everything else that it could do.
        self._signer = S3SigV4QueryAuth(
            Credentials(
                settings.s3_access_key_id, settings.s3_secret_access_key.get_secret_value()
            ),
            "s3",
            settings.s3_region,
            expires=self.seconds,
        )

    def presign(
        self, key: str, *, filename: str, content_type: str, inline: bool, head: bool = False
    ) -> str:
        """A URL that reads the object for `seconds`, as a download unless `inline`.

        A signature holds for one method: with `head` for HEAD, else for GET.
        """
        request = AWSRequest(
            method="HEAD" if head else "GET",
            url=public_url(self._endpoint, self._bucket, key),
            params={
                "response-content-disposition": content_disposition(filename, inline=inline),
                "response-content-type": content_type,
            },
        )
        self._signer.add_auth(request)
        return str(request.url)


def content_disposition(filename: str, *, inline: bool) -> str:
    """RFC 6266: a plain name for old clients, the real one beside it. `filename` is for display;
    nothing in it can end the header."""
    plain = "".join(
        char if char.isascii() and char.isprintable() and char not in '"\\%' else "_"
        for char in filename
    )
    kind = "inline" if inline else "attachment"
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"


def link_of(
    links: Links,
    upload: UploadRow,
    derivative: str | None,
    *,
    inline: bool,
    even_withheld: bool = False,
    head: bool = False,
) -> str:
    """A link to an upload's object, or to one of its derivatives; for HEAD, or for GET.
    `even_withheld` says that who asks may have what isn't released, too.

    Raises `Problem` not-stored, not-released or not-found. Only images that we made ourselves are
    ever shown inline: anything else may be active content, whatever type it seems to be of.
    """
    if upload.status is not UploadStatus.STORED or upload.object is None:
        raise Problem("not-stored", field=upload.field)
    if upload.withheld and not even_withheld:
        raise Problem("not-released", field=upload.field)
    chosen = upload.object if derivative is None else upload.derivatives.get(derivative)
    if chosen is None:
        raise Problem("not-found", "This file has no such derivative.", field=upload.field)
    content_type = str(chosen["content_type"])
    if content_type not in FORMATS:
        content_type = ANY_BYTES
    made_by_us = chosen["sha256"] != upload.sha256 and not upload.flags
    return links.presign(
        str(chosen["key"]),
        filename=_download_name(upload.filename, content_type, derivative),
        content_type=content_type,
        inline=inline and made_by_us and content_type in INLINE_TYPES,
        head=head,
    )


def _download_name(filename: str, content_type: str, derivative: str | None) -> str:
    """The name the person gave, with the extension of what we stored: a name alone makes no
    program of a document."""
    known = FORMATS.get(content_type)
    extensions = known.extensions if known else (UNKNOWN_EXTENSION,)
    name = clean_filename(filename) or "file"
    suffix = PurePath(name).suffix
    if suffix.lower() in extensions and derivative is None:
        return name
    stem = name.removesuffix(suffix) if len(suffix) <= MAX_SUFFIX else name
    ending = f"-{derivative}{extensions[0]}" if derivative else extensions[0]
    room = MAX_FILENAME - len(ending.encode())
    return stem.encode()[:room].decode(errors="ignore") + ending


def object_url(settings: Settings, key: str) -> str:
    """The address of an object, as records hold it."""
    base = settings.public_base_url or settings.s3_public_endpoint_url
    return public_url(base, settings.s3_bucket, key)
