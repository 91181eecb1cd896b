"""Identifiers: a prefix that says of what, and 128 random bits."""

import base64
import re
import secrets

BITS = 128


_ID = re.compile(r"[a-z]{3}_[a-z2-7]{26}")


def is_id(text: str) -> bool:
    """Whether this can be one of ours: anything else needs no look into a database."""
    return _ID.fullmatch(text) is not None


def new_id(prefix: str) -> str:
    """`upl_…`: lower-case letters and digits, so that it is safe in paths, keys and URLs."""
    raw = base64.b32encode(secrets.token_bytes(BITS // 8)).decode().rstrip("=").lower()
    return f"{prefix}_{raw}"
