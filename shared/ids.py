"""Identifiers: a prefix that says of what, and 130 random bits."""

import re
import secrets

LENGTH = 26
_ALPHABET = b"abcdefghijklmnopqrstuvwxyz234567"
_LETTERS = _ALPHABET * (256 // len(_ALPHABET))
"""One for each byte, and each as often as any other."""
_ID = re.compile(rf"[a-z]{{3}}_[a-z2-7]{{{LENGTH}}}")


def is_id(text: str) -> bool:
    """Whether this can be one of ours: anything else needs no look into a database."""
    return _ID.fullmatch(text) is not None


def new_id(prefix: str) -> str:
    """`upl_…`: lower-case letters and digits, so that it is safe in paths, keys and URLs."""
    return f"{prefix}_{secrets.token_bytes(LENGTH).translate(_LETTERS).decode()}"
