"""What an object says of itself to whoever reads the bucket alone.

The values of S3's user metadata are HTTP headers. What a header can't hold is sent as encoded words
(RFC 2047), as S3 itself answers with them: Python's `email.header.decode_header` reads them.
"""

import base64

from shared.internal_api import WorkOrder

MAX_BYTES = 255
"""Of a value, in UTF-8. Encoded they are below 500, and S3 takes 2048 for all of them together."""
_WORD_BYTES = 45
"""Of UTF-8 in an encoded word, which then has 72 characters. It may have 75."""


def metadata_of(order: WorkOrder, detected_type: str | None) -> dict[str, str]:
    """The metadata of each object of an upload. `filename` is as the person called the file that
    was received, whatever was made of it; what isn't known is left out."""
    known = {
        "upload-id": order.upload_id,
        "filename": order.filename,
        "detected-type": detected_type,
    }
    return {name: header_text(value) for name, value in known.items() if value}


def header_text(value: str) -> str:
    """`value` as it is if a header can hold it, else as encoded words of RFC 2047. Nothing in it
    can end the header."""
    value = value.encode(errors="replace")[:MAX_BYTES].decode(errors="ignore")
    survives = value == " ".join(value.split())  # spaces may be trimmed and joined on the way
    if value.isascii() and value.isprintable() and survives and "=?" not in value:
        return value
    return " ".join(
        f"=?UTF-8?B?{base64.b64encode(piece.encode()).decode()}?=" for piece in _pieces(value)
    )


def _pieces(value: str) -> list[str]:
    """As long as an encoded word can hold them, with no character divided between two."""
    pieces = [""]
    for char in value:
        if len((pieces[-1] + char).encode()) > _WORD_BYTES:
            pieces.append("")
        pieces[-1] += char
    return pieces
