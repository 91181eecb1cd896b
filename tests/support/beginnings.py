"""How browsers are told that files begin, held against files."""

from shared.formats import FORMATS


def begins_as_told(media_type: str | None, content: bytes) -> bool:
    """Whether a browser that goes by the signatures would take it for one of its type."""
    told = FORMATS[str(media_type)]
    return any(
        all(content.startswith(piece, start + offset) for offset, piece in signature)
        for signature in told.signatures
        for start in range(told.starts_within + 1)
    )
